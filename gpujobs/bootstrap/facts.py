"""What a machine is: read-only probes with pure parsers, the sample output above each."""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING, Literal

from gpujobs._model import Model
from gpujobs.bootstrap.shell import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpujobs.bootstrap.shell import Argv, Shell

Cgroups = Literal["v1", "hybrid", "v2", "none"]


class Cpus(Model):
    """How the processors are laid out."""

    sockets: int
    cores_per_socket: int
    threads_per_core: int

    @property
    def total(self) -> int:
        """How many logical processors there are."""
        return self.sockets * self.cores_per_socket * self.threads_per_core


class GpuFact(Model):
    """One GPU, as the driver tells it.

    Attributes:
        memory_mib: None on machines whose GPU shares the memory of the system (GB10).
    """

    index: int
    name: str
    uuid: str
    memory_mib: int | None


class MachineFacts(Model):
    """A machine as it was found.

    Attributes:
        init_cgroup: The control group (version 2) of the first process, below which later Slurms put everything.
        address: The IPv4 address its own name resolves to, or "".
        clock_offset_s: How far its clock is ahead of ours.
        driver: The version of the NVIDIA driver, or "".
        driver_trouble: What nvidia-smi said when it could not work, or "".
        nvidia_cards: How many NVIDIA devices are on the PCI bus, with a driver or without.
        gpu_files: The device files of the GPUs, in order.
    """

    hostname: str
    os_id: str
    os_version: str
    os_name: str
    architecture: str
    root: bool
    systemd: bool
    cgroups: Cgroups
    cpus: Cpus
    memory_mib: int
    disk_free_mib: int
    address: str
    clock_offset_s: float
    init_cgroup: str = "/"
    driver: str = ""
    driver_trouble: str = ""
    nvidia_cards: int = 0
    gpus: tuple[GpuFact, ...] = ()
    gpu_files: tuple[str, ...] = ()

    @property
    def unified_memory(self) -> bool:
        """Whether a GPU takes its memory from the system's."""
        return any(gpu.memory_mib is None for gpu in self.gpus)


_GPU_QUERY = "--query-gpu=index,name,uuid,memory.total,driver_version"

_PCI = 'cd /sys/bus/pci/devices && for d in *; do [ "$(cat "$d/vendor")" != 0x10de ] || cat "$d/class"; done'

PROBES: Mapping[str, Argv] = {
    "hostname": ("hostname", "-s"),
    "os_release": ("cat", "/etc/os-release"),
    "architecture": ("uname", "-m"),
    "user": ("id", "-u"),
    "init": ("sh", "-c", "[ -d /run/systemd/system ] && echo systemd"),
    "cgroup_fs": (
        "sh", "-c",
        "cd /sys/fs/cgroup && stat -f -c %T . && [ -w . ] && echo writable; [ ! -d unified ] || echo unified",
    ),
    "init_cgroup": ("sed", "-n", "s/^0:://p", "/proc/1/cgroup"),
    "lscpu": ("lscpu", "-p=CPU,CORE,SOCKET"),
    "meminfo": ("cat", "/proc/meminfo"),
    "disk": ("df", "-Pk", "/var"),
    "resolved": ("sh", "-c", 'getent ahostsv4 "$(hostname -s)"'),
    "pci": ("sh", "-c", _PCI),
    "nvidia_smi": ("nvidia-smi", _GPU_QUERY, "--format=csv,noheader,nounits"),
    "gpu_files": ("sh", "-c", "ls -1d /dev/nvidia[0-9]* 2>/dev/null"),
    "date": ("date", "+%s.%N"),
}  # fmt: skip
"""Every command a look at a machine runs; none changes anything."""


def gather(shell: Shell, *, clock: Callable[[], float] = time.time) -> MachineFacts:
    """Look at a machine, in one round trip.

    Raises:
        UnavailableError: It cannot be reached.
    """
    # Exit code and output of each, apart by NUL, which no output has.
    script = "\n".join(f'o=$({shlex.join(argv)} 2>&1); printf \'%s\\0%s\\0\' "$?" "$o"' for argv in PROBES.values())
    said = shell.run(("sh", "-c", script)).stdout.split(b"\0")
    return parse(answers_of(said), now=clock())


def answers_of(said: Sequence[bytes]) -> dict[str, Completed]:
    """The probes' answers from exit codes and outputs in turn; what is missing was cut off, and failed."""
    answers: dict[str, Completed] = {}
    for number, (name, argv) in enumerate(PROBES.items()):
        code, output = [*said[2 * number : 2 * number + 2], b"", b""][:2]
        good = code == b"0"
        answers[name] = Completed(argv, 0 if good else 1, output if good else b"", b"" if good else output)
    return answers


def parse(answers: Mapping[str, Completed], *, now: float) -> MachineFacts:
    """The facts from the probes' answers, as a pure function."""
    text = {name: completed.text for name, completed in answers.items()}
    release = parse_os_release(text["os_release"])
    gpus, driver = parse_gpus(text["nvidia_smi"]) if answers["nvidia_smi"].ok else ((), "")
    return MachineFacts(
        hostname=text["hostname"].strip(),
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        os_name=release.get("PRETTY_NAME", "an unknown system"),
        architecture=text["architecture"].strip(),
        root=text["user"].strip() == "0",
        systemd="systemd" in text["init"],
        cgroups=parse_cgroups(text["cgroup_fs"]),
        cpus=parse_lscpu(text["lscpu"]),
        memory_mib=parse_meminfo(text["meminfo"]),
        disk_free_mib=parse_df(text["disk"]),
        address=parse_address(text["resolved"]),
        clock_offset_s=round(float(text["date"].strip() or now) - now, 1),
        init_cgroup=parse_init_cgroup(text["init_cgroup"]),
        driver=driver,
        driver_trouble="" if answers["nvidia_smi"].ok else answers["nvidia_smi"].last_line,
        nvidia_cards=parse_pci(text["pci"]),
        gpus=gpus,
        gpu_files=parse_gpu_files(text["gpu_files"]),
    )


# e.g. PRETTY_NAME="Debian GNU/Linux 12 (bookworm)", and on the next line VERSION_ID="12"
def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of /etc/os-release, without their quotes."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value.strip("\"'") for name, value in pairs}


# tmpfs            cgroup2fs         tmpfs
# writable         writable          writable
# unified
def parse_cgroups(text: str) -> Cgroups:
    """Which control groups there are; ``hybrid`` is version 1 with an empty version 2 beside it."""
    words = text.split()
    if "writable" not in words:
        return "none"  # a container that may look and not touch
    if words[0] == "cgroup2fs":
        return "v2"
    if words[0] != "tmpfs":
        return "none"
    return "hybrid" if "unified" in words else "v1"


# /init.scope        /        /process_api
def parse_init_cgroup(text: str) -> str:
    """Where the first process is; systemd's own scope stands for the top."""
    return text.strip().removesuffix("/init.scope") or "/"


# # CPU,Core,Socket
# 0,0,0
# 1,0,0
def parse_lscpu(text: str) -> Cpus:
    """Sockets, cores and threads from ``lscpu -p=CPU,CORE,SOCKET``; an uneven layout counts as single cores."""
    rows = [tuple(line.split(",")) for line in text.splitlines() if line and not line.startswith("#")]
    sockets = len({row[2] for row in rows}) or 1
    cores = len({row[1:] for row in rows}) or 1
    total = len(rows) or 1
    if cores % sockets or total % cores:
        return Cpus(sockets=1, cores_per_socket=total, threads_per_core=1)
    return Cpus(sockets=sockets, cores_per_socket=cores // sockets, threads_per_core=total // cores)


# MemTotal:       24683656 kB
def parse_meminfo(text: str) -> int:
    """The memory of the machine in MiB."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


# Filesystem     1024-blocks     Used Available Capacity Mounted on
# /dev/vda         264212084 22831936  72669328      24% /
def parse_df(text: str) -> int:
    """The free space in MiB."""
    last = text.splitlines()[-1].split() if text.strip() else []
    return int(last[-3]) // 1024 if len(last) > 3 and last[-3].isdigit() else 0  # noqa: PLR2004  # columns above


# 10.77.0.2       STREAM gpu01
def parse_address(text: str) -> str:
    """The first address of ``getent ahostsv4``."""
    return next(iter(text.split()), "")


# 0x030200
def parse_pci(text: str) -> int:
    """How many of the NVIDIA devices are GPUs: display and 3D controllers, not sound and USB."""
    return sum(line.startswith("0x03") for line in text.split())


# 0, NVIDIA H100 80GB HBM3, GPU-aef9e0e3-372f-b0f2-f171-4e4a5268aeed, 81559, 550.54.15
# 0, NVIDIA GB10, GPU-6b0f0b2c-0000-0000-0000-000000000000, [N/A], 580.95.05
# No devices were found
def parse_gpus(text: str) -> tuple[tuple[GpuFact, ...], str]:
    """The GPUs and the driver's version from nvidia-smi, which exits 0 without a GPU too."""
    rows = [[word.strip() for word in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) == 5 and row[0].isdigit()]  # noqa: PLR2004  # the five that were asked for
    gpus = tuple(
        GpuFact(index=int(index), name=name, uuid=uuid, memory_mib=int(memory) if memory.isdigit() else None)
        for index, name, uuid, memory, _ in rows
    )
    return gpus, rows[0][4] if rows else ""


# /dev/nvidia0
# /dev/nvidia10
def parse_gpu_files(text: str) -> tuple[str, ...]:
    """The device files in the order of their numbers."""
    return tuple(sorted(text.split(), key=lambda path: int(path.removeprefix("/dev/nvidia"))))
