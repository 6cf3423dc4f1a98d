"""What is wrong with the GPUs of one machine, below every scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.doctor import Trouble
from gpujobs.bootstrap.facts import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpujobs.bootstrap.facts import MachineFacts
    from gpujobs.bootstrap.shell import Shell

# Docker is there; does it know NVIDIA's runtime, or devices by CDI?
_DOCKER = (
    "command -v dockerd >/dev/null || exit 0; command -v nvidia-container-runtime >/dev/null || { echo absent; exit; }"
)
_KNOWN = (
    "; grep -qs nvidia /etc/docker/daemon.json || ls /etc/cdi/nvidia* /var/run/cdi/nvidia* >/dev/null 2>&1"
    " || echo unknown"
)


def checkup(host: str, connect: Callable[[str], Shell]) -> tuple[list[Trouble], dict[str, Shell]] | None:
    """The troubles of a machine's GPUs, or None where it has none.

    Raises:
        UnavailableError: The machine cannot be reached.
    """
    shell = connect(host)
    facts = gather(shell)
    if not (facts.nvidia_cards or facts.driver or facts.gpu_files):
        return None
    return diagnose(host, facts, docker=shell.run(("sh", "-c", _DOCKER + _KNOWN)).text.strip()), {host: shell}


def diagnose(host: str, facts: MachineFacts, *, docker: str = "") -> list[Trouble]:
    """Everything that is wrong, as a pure function.

    Args:
        host: The machine.
        facts: What was found.
        docker: ``absent`` where Docker is there and NVIDIA's runtime is not, ``unknown`` where Docker was not told.
    """
    if not facts.driver:
        return [_no_driver(host, facts)]
    return [*_devices(host, facts), *_docker(host, docker)]


def _no_driver(host: str, facts: MachineFacts) -> Trouble:
    said = facts.driver_trouble
    if "mismatch" in said.lower():
        return Trouble(
            host,
            "the NVIDIA driver in the kernel and its libraries are of different versions",
            f"{said}. An update has replaced the libraries while the old module was loaded.",
            advice="Reboot; or end everything that uses a GPU, then `modprobe -r nvidia_uvm nvidia_drm nvidia_modeset "
            "nvidia && modprobe nvidia`.",
        )
    if "not found" in said and "nvidia-smi" in said:
        return Trouble(
            host,
            f"there are {facts.nvidia_cards} NVIDIA GPUs and no driver",
            "nvidia-smi is not installed.",
            advice="Install it: `ubuntu-drivers install` on Ubuntu, else https://docs.nvidia.com/datacenter/tesla/driver-installation-guide.",
        )
    if "couldn't communicate" in said or "communicate with the NVIDIA driver" in said:
        return Trouble(
            host,
            "the NVIDIA driver is installed and not loaded",
            said,
            (("modprobe", "nvidia"),),
            safe=True,
            advice="If there is no such module: it was not built for this kernel (dkms status), or see secure boot.",
        )
    return Trouble(
        host,
        "nvidia-smi finds no GPU that works",
        said or "It lists none.",
        advice="See `dmesg | grep -i -e nvrm -e xid`.",
    )


def _devices(host: str, facts: MachineFacts) -> Iterator[Trouble]:
    if facts.nvidia_cards > len(facts.gpus):
        yield Trouble(
            host,
            f"{facts.nvidia_cards - len(facts.gpus)} of {facts.nvidia_cards} GPUs are not seen by the driver",
            "They are on the PCI bus, and nvidia-smi does not list them: fallen off the bus, or bound to vfio.",
            advice="See `dmesg | grep -i -e nvrm -e xid` and `lspci -k -d 10de:`.",
        )
    if len(facts.gpu_files) < len(facts.gpus):
        missing = [str(n) for n in range(len(facts.gpus)) if f"/dev/nvidia{n}" not in facts.gpu_files]
        yield Trouble(
            host,
            f"the device files of {len(missing)} GPUs are missing (/dev/nvidia{', '.join(missing)})",
            "Slurm and containers find GPUs by these files; nothing has opened these GPUs since the boot.",
            tuple(("nvidia-modprobe", "-u", "-c", number) for number in missing),
            safe=True,
        )


def _docker(host: str, docker: str) -> Iterator[Trouble]:
    configure = ("nvidia-ctk", "runtime", "configure", "--runtime=docker")
    if docker == "absent":
        yield Trouble(
            host,
            "Docker is here and NVIDIA's container toolkit is not",
            "Containers of Docker see no GPU.",
            advice="Install nvidia-container-toolkit, then run `nvidia-ctk runtime configure --runtime=docker`.",
        )
    elif docker == "unknown":
        yield Trouble(
            host,
            "Docker was not told of NVIDIA's runtime",
            "Neither /etc/docker/daemon.json nor a CDI file names it.",
            (configure,),
            advice="Then restart Docker, which ends containers that are not kept by live-restore.",
        )
