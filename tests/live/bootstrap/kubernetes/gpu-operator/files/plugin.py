# Runs where nothing but python3 is: a program of the bed, not of gpujobs.
# ruff: noqa: ANN001, ANN201, D103, PTH123, T201
# mypy: ignore-errors
# pyright: basic, reportAttributeAccessIssue=false, reportOptionalSubscript=false
"""What NVIDIA's device plugin and its config manager do with a configuration: the bed's plugin gets the numbers."""

import os
import signal
import sys
import time

sys.path.insert(0, "/stand-in")
import yaml
from api import call

NODE, DEFAULT, NAME = os.environ["NODE_NAME"], os.environ["DEFAULT_CONFIG"], os.environ["CONFIG_NAME"]
STRATEGY = os.environ["MIG_STRATEGY"]
GPUS = f"/lab/{NODE}/gpus"


def labels():
    return call("GET", f"/api/v1/nodes/{NODE}")["metadata"]["labels"]


def load(key):
    """A configuration is read when the plugin starts or the node's label changes, and not when the ConfigMap does."""
    if not NAME or not key:
        return {}
    with open(f"/available-configs/{key}") as text:
        return yaml.safe_load(text)


def lines(config, node):
    sharing = config.get("sharing") or {}
    slicing = sharing.get("timeSlicing") or sharing.get("mps") or {}
    if slicing and "resources" not in slicing:
        raise SystemExit("no resources specified")
    replicas = [r["replicas"] for r in slicing.get("resources", []) if r["name"] == "nvidia.com/gpu"]
    changed = {"replicas": str(replicas[0]) if replicas else None}
    changed["rename"] = "true" if slicing.get("renameByDefault") else None
    changed["fail_gt_one"] = "true" if slicing.get("failRequestsGreaterThanOne") else None
    profile = node.get("nvidia.com/mig.config", "").removeprefix("all-")
    whole = STRATEGY == "mixed" and profile not in {"", "disabled"}
    changed["mig"] = f"{profile}:7" if whole else None
    return changed


def write(changed):
    with open(GPUS) as text:
        kept = [line for line in text.read().splitlines() if line.partition("=")[0] not in changed]
    kept += [f"{name}={value}" for name, value in changed.items() if value is not None]
    with open(GPUS, "w") as text:
        text.write("\n".join(kept) + "\n")
    print("Registered device plugin for 'nvidia.com/gpu' with Kubelet:", " ".join(kept))


# The first process of a container gets no signal that it has not asked for.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
watched, before = ("nvidia.com/device-plugin.config", "nvidia.com/mig.config"), None
while True:
    found = labels()
    now = [found.get(name) for name in watched]
    if now != before:
        write(lines(load(found.get(watched[0]) or DEFAULT), found))
        before = now
    time.sleep(0.5)
