"""Volumes of the pod and what is mounted where: files, scripts, shared memory, the user's volumes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from gpujobs.errors import SpecError
from gpujobs_kubernetes._launch import FILES_DIR, SCRIPT_PATH, needs_file
from gpujobs_kubernetes._quantity import bytes_text

if TYPE_CHECKING:
    from gpujobs.parts import Volume
    from gpujobs.specs import GpuJob, GpuService

MOST_FILES = 900 * 1024
_FILES = "gpujobs-files"
_SHM = "gpujobs-shm"
_SCRIPT_KEY = "script"
_EXECUTABLE = 0o555

Pair = tuple[dict[str, Any], dict[str, Any]]
"""A volume and its mount."""


def has_files(spec: GpuJob | GpuService) -> bool:
    """Whether the workload needs a ConfigMap."""
    return bool(spec.files) or (spec.script is not None and needs_file(spec.script))


def file_data(spec: GpuJob | GpuService) -> dict[str, dict[str, str]]:
    """``data`` and ``binaryData`` of the ConfigMap; keys are numbers, for paths may hold what keys may not.

    Raises:
        SpecError: More than a ConfigMap holds.
    """
    contents = {f"f{i}": spec.files[path] for i, path in enumerate(sorted(spec.files))}
    if spec.script is not None and needs_file(spec.script):
        contents[_SCRIPT_KEY] = spec.script.encode()
    size = sum(map(len, contents.values()))
    if size > MOST_FILES:
        raise SpecError(
            f"files: {size} bytes in all, but Kubernetes carries at most {MOST_FILES} with a workload.",
            next_step="Put them on a volume and mount it: volumes=[...].",
        )
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, content in contents.items():
        try:
            text[key] = content.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(content).decode()
    return {k: v for k, v in (("data", text), ("binaryData", binary)) if v}


def mounts(spec: GpuJob | GpuService, *, config: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(volumes of the pod, volumeMounts of the container)."""
    volumes, mounted = _file_mounts(spec, config)
    if spec.shm is not None:
        volumes.append({"name": _SHM, "emptyDir": {"medium": "Memory", "sizeLimit": bytes_text(spec.shm)}})
        mounted.append({"name": _SHM, "mountPath": "/dev/shm"})  # noqa: S108  # where programs look for it
    for i, volume in enumerate(spec.volumes):
        source, mount = _volume(volume, f"volume-{i}")
        volumes.append(source)
        mounted.append(mount)
    return volumes, mounted


def _file_mounts(spec: GpuJob | GpuService, config: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if not has_files(spec):
        return [], []
    keys = {path: f"f{i}" for i, path in enumerate(sorted(spec.files))}
    volumes: list[dict[str, Any]] = []
    mounted: list[dict[str, Any]] = []
    below = [{"key": key, "path": path} for path, key in keys.items() if not path.startswith("/")]
    if below:
        volumes.append({"name": _FILES, "configMap": {"name": config, "items": below, "defaultMode": _EXECUTABLE}})
        mounted.append({"name": _FILES, "mountPath": FILES_DIR, "readOnly": True})
    single = {path: key for path, key in keys.items() if path.startswith("/")}
    if spec.script is not None and needs_file(spec.script):
        single[SCRIPT_PATH] = _SCRIPT_KEY
    if single:
        volumes.append({"name": f"{_FILES}-each", "configMap": {"name": config, "defaultMode": _EXECUTABLE}})
    for path, key in single.items():
        mounted.append({"name": f"{_FILES}-each", "mountPath": path, "subPath": key, "readOnly": True})
    return volumes, mounted


def _volume(volume: Volume, name: str) -> Pair:
    mount: dict[str, Any] = {"name": name, "mountPath": volume.path}
    if volume.sub_path is not None:
        mount["subPath"] = volume.sub_path
    if volume.read_only:
        mount["readOnly"] = True
    return {"name": name, **_source(volume)}, mount


def _source(volume: Volume) -> dict[str, Any]:
    if volume.host is not None:
        return {"hostPath": {"path": volume.host}}
    if volume.claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    if volume.nfs is not None:
        server, _, path = volume.nfs.partition(":/")
        return {"nfs": {"server": server, "path": f"/{path}", **({"readOnly": True} if volume.read_only else {})}}
    empty: dict[str, Any] = {"medium": "Memory"} if volume.medium else {}
    if volume.size is not None:
        empty["sizeLimit"] = bytes_text(volume.size)
    return {"emptyDir": empty}
