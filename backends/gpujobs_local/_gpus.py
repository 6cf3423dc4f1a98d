"""The GPUs of this machine: found by NVML, else by ``nvidia-smi``, or pretended."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs_local._processes import boot_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpujobs_local._settings import Settings

_FRESH_S = 60.0
_PROFILE = re.compile(r"MIG (\S+)")
_SMI_TIMEOUT_S = 20.0
SMI_FIELDS = "index,uuid,name,memory.total"


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one MIG instance, that can be handed out.

    Attributes:
        uuid: NVIDIA's, or ``SIM-N``.
        index: Its place in the order of the PCI bus, among the GPUs that this process sees.
        memory: Bytes, or None where it has none of its own (GB10 shares the machine's).
        profile: The MIG profile of an instance.
        mig_parent: A whole GPU that is cut into instances: never handed out itself.
    """

    uuid: str
    index: int
    name: str
    memory: int | None = None
    profile: str | None = None
    mig_parent: bool = False


def find(settings: Settings, cache: Path) -> list[Device]:
    """The GPUs of a target; real ones are looked for at most once a minute, since NVML may take a second to start."""
    if settings.simulated is not None:
        kind, memory = settings.gpu_type, settings.gpu_memory
        return [Device(f"SIM-{i}", i, kind, memory) for i in range(settings.simulated)]
    known = _read_cache(cache)
    if known is None:
        known = _probe()
        _write_cache(cache, known)
    return known


def _read_cache(cache: Path) -> list[Device] | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        entry = json.loads(cache.read_text())
        if entry["view"] == _view() and 0 <= time.time() - entry["time"] < _FRESH_S:
            return [Device(**d) for d in entry["devices"]]
    return None


def _write_cache(cache: Path, devices: list[Device]) -> None:
    new = cache.with_name(f".{cache.name}.{os.getpid()}")
    with suppress(OSError):  # only a cache
        entry = {"view": _view(), "time": time.time(), "devices": [asdict(d) for d in devices]}
        new.write_text(json.dumps(entry))
        new.rename(cache)


def _view() -> str:
    """What decides which GPUs a process finds: the boot, and the control groups that may hide some (Slurm's do)."""
    with suppress(OSError):
        return boot_id() + Path("/proc/self/cgroup").read_text()
    return boot_id()


def _probe() -> list[Device]:
    found = _by_nvml()
    return found if found is not None else _by_smi()


def _started_nvml() -> Any:
    """NVIDIA's library, untyped as it is, or None where it is not there or does not start."""
    try:
        library = importlib.import_module("pynvml")  # only where real GPUs are asked for
        library.nvmlInit()
    except Exception:  # noqa: BLE001  # no driver, a mismatch, a broken library: nvidia-smi may know more
        return None
    return library


def _by_nvml() -> list[Device] | None:
    """Through NVIDIA's library; None where it is not there or does not start."""
    pynvml = _started_nvml()
    if pynvml is None:
        return None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [device for index, handle in enumerate(handles) for device in _nvml_device(pynvml, handle, index)]
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _nvml_device(nvml: Any, handle: Any, index: int) -> list[Device]:
    uuid, name = _text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle))
    mig = False
    with suppress(nvml.NVMLError):
        mig = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    devices = [Device(uuid, index, name, _nvml_memory(nvml, handle), mig_parent=mig)]
    for i in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) if mig else ():
        with suppress(nvml.NVMLError):
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, i)
            # NVIDIA A100-SXM4-40GB MIG 1g.5gb
            profile = _PROFILE.search(_text(nvml.nvmlDeviceGetName(part)))
            part_uuid = _text(nvml.nvmlDeviceGetUUID(part))
            devices.append(
                Device(part_uuid, index, name, _nvml_memory(nvml, part), profile=profile[1] if profile else None)
            )
    return devices


def _nvml_memory(nvml: Any, handle: Any) -> int | None:
    with suppress(nvml.NVMLError):  # GB10: Not Supported
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _by_smi() -> list[Device]:
    listing = _smi("-L")
    return parse_smi(_smi(f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader,nounits"), listing)


def _smi(*args: str) -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", *args], capture_output=True, text=True, check=False, timeout=_SMI_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def parse_smi(table: str, listing: str) -> list[Device]:
    """The GPUs in the two outputs of ``nvidia-smi``.

    The table (csv, no header, no units) is of ``SMI_FIELDS``; the listing (``-L``) shows MIG instances::

        0, GPU-5f2c..., NVIDIA A100-SXM4-40GB, 40960
        0, GPU-77aa..., NVIDIA GB10, [N/A]

        GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5f2c...)
          MIG 1g.5gb     Device  0: (UUID: MIG-c6d4f1ef-...)
    """
    parts = _mig_instances(listing)
    devices: list[Device] = []
    for line in table.splitlines():
        fields = [f.strip() for f in line.split(",")]
        if len(fields) != len(SMI_FIELDS.split(",")) or not fields[0].isdigit():
            continue
        index, memory = int(fields[0]), int(fields[3]) * 2**20 if fields[3].isdigit() else None
        own = [(uuid, profile) for gpu, uuid, profile in parts if gpu == index]
        devices.append(Device(fields[1], index, fields[2], memory, mig_parent=bool(own)))
        devices += [Device(uuid, index, fields[2], None, profile=profile) for uuid, profile in own]
    return devices


def _mig_instances(listing: str) -> list[tuple[int, str, str]]:
    found: list[tuple[int, str, str]] = []
    gpu = -1
    for line in listing.splitlines():
        if top := re.match(r"GPU (\d+):", line):
            gpu = int(top[1])
        elif part := re.match(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (\S+)\)", line):
            found.append((gpu, part[2], part[1]))
    return found


def visible(devices: Iterable[Device], setting: str | None) -> list[Device]:
    """Those that ``CUDA_VISIBLE_DEVICES`` lets this process see; None means all.

    Indices count in the order of the PCI bus; a UUID may be shortened. An entry that names nothing ends the list, as
    CUDA does: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
    """
    everything = list(devices)
    if setting is None:
        return everything
    chosen: list[Device] = []
    for entry in (e.strip() for e in setting.split(",")):
        if entry.isdigit():
            found = [d for d in everything if d.index == int(entry)]
        else:
            found = [d for d in everything if entry and d.uuid.startswith(entry)]
        if not found:
            break
        chosen += [d for d in found if d not in chosen]
    return chosen


def computing_on(uuids: Iterable[str]) -> dict[str, list[int]]:
    """Which processes compute on which of these GPUs, as NVML says; nothing where it cannot be asked."""
    found: dict[str, list[int]] = {}
    pynvml = _started_nvml()
    if pynvml is None:
        return found
    try:
        for uuid in uuids:
            with suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
                pids = [int(p.pid) for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)]
                if pids:
                    found[uuid] = pids
    finally:
        pynvml.nvmlShutdown()
    return found


def environment(devices: Iterable[Device]) -> dict[str, str]:
    """What a job's environment says of its GPUs, and only of them.

    Indices, as most programs expect, in the order that they are counted in; UUIDs where instances of a cut GPU make
    indices mean something else.
    """
    held = list(devices)
    by_uuid = any(d.profile is not None for d in held)
    names = [d.uuid if by_uuid else str(d.index) for d in held]
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(names)}
