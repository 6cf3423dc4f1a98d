"""The stand-in machine of the tests of microk8s: its facts, its plan, and what was done to it."""

import json
from pathlib import Path

from gpujobs.bootstrap import Journal, LocalShell, Machine, Plan
from gpujobs.bootstrap.facts import Cpus, MachineFacts
from gpujobs.bootstrap.microk8s import Microk8sWish
from gpujobs.bootstrap.microk8s.leftovers import with_leftovers
from gpujobs.bootstrap.microk8s.microk8s import UNDOERS
from gpujobs.bootstrap.microk8s.probes import Microk8sFacts
from gpujobs.bootstrap.microk8s.steps import microk8s_steps


def machine_facts(**changes: object) -> MachineFacts:
    """An ordinary Ubuntu."""
    facts = {
        "hostname": "box", "os_id": "ubuntu", "os_version": "24.04", "os_name": "Ubuntu 24.04", "root": True,
        "architecture": "x86_64", "systemd": True, "cgroups": "v2", "memory_mib": 16000, "disk_free_mib": 90000,
        "cpus": Cpus(sockets=1, cores_per_socket=4, threads_per_core=1), "address": "10.0.0.4", "clock_offset_s": 0.0,
    }  # fmt: skip
    return MachineFacts.model_validate({**facts, **changes})


def facts(home: Path, **changes: object) -> Microk8sFacts:
    """That machine before microk8s."""
    known = {"machine": machine_facts(), "snapd": True, "user": "alice", "home": str(home), "group": "alice"}
    return Microk8sFacts.model_validate({**known, **changes})


def machine(bed: Path, me: str) -> Machine:
    """The machine with the stand-ins first on its PATH, and nothing else of a kubectl on it."""
    shell = LocalShell("box", prefix=("env", f"STAND_IN={bed}", f"PATH={bed}/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
    return Machine("localhost", shell, Journal(shell, "microk8s", directory=f"{bed}/state", user=me))


def plan(bed: Path, me: str, wish: Microk8sWish | None = None) -> Plan:
    """The plan for that machine."""
    wish = wish or Microk8sWish()
    steps = microk8s_steps(wish, {"localhost": facts(bed / "home")}, {"localhost": machine(bed, me).shell})
    # Whether this machine has a kubectl is its own business.
    steps = tuple(step for step in steps if step.key != "command:alias")
    control = machine(bed, me)
    steps = with_leftovers(steps, control, UNDOERS)
    return Plan("microk8s", {"localhost": control}, steps, wish.model_dump(mode="json"))


def state(bed: Path) -> dict[str, object]:
    """What the stand-ins say is so."""
    path = bed / "state.json"
    return json.loads(path.read_text()) if path.exists() else {}


def log(bed: Path) -> list[str]:
    """What was run that changes anything."""
    return (bed / "log").read_text().splitlines() if (bed / "log").exists() else []
