"""Whether a Slurm cluster really runs GPU jobs: every node is asked to."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm.conf import NODE_STATE, containment
from gpujobs.bootstrap.slurm.verify_services import accounting_check, munge_checks, rest_check, slurmctld_check
from gpujobs.bootstrap.verify import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish
    from gpujobs.bootstrap.step import Machine

_READY = {"idle", "mixed", "allocated", "completing"}
_JOB_S = 90
_RAN = "gpujobs-verify-ran"
# $1 = job, $2 = seconds. Prints its final state. `sbatch --wait` would look after 2 s, and then after 10.
_AWAIT = r"""end=$(($(date +%s) + $2))
while s=$(squeue -h -t all -j "$1" -o %T 2>&1); :; do
  case $s in
    BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT) break ;;
  esac
  [ "$(date +%s)" -lt "$end" ] || exit 1
  sleep 0.2
done
echo "$s"
"""
_LOGS = "tail -n 12 /var/log/slurm/slurmctld.log /var/log/slurm/slurmd.log /var/log/munge/munged.log 2>/dev/null"
# A directory that only root may write: a name below /tmp could be anybody's link.
_OUTPUT = f"{NODE_STATE}/gpujobs-verify-%j.out"


def verify(
    wish: SlurmWish,
    cluster: Mapping[str, SlurmFacts],
    machines: Mapping[str, Machine],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Check]:
    """Prove the cluster, one check after the other; after a failed one, those that need it are left out.

    Raises:
        UnavailableError: A machine cannot be reached.
    """
    controller = machines[wish.controller].shell
    yield from munge_checks(controller, {name: machine.shell for name, machine in machines.items()})
    answers = slurmctld_check(controller)
    yield _with_logs(answers, controller)
    if not answers.ok:
        return
    nodes = _nodes_check(controller, sleep)
    yield _with_logs(nodes, controller)
    last_job = ""
    for name in wish.workers:
        if not nodes.ok and not nodes_ready(_states_of(controller, cluster[name].machine.hostname)):
            continue  # a job for it would wait, and say nothing new
        node = _Node(cluster[name], machines[name].shell, controller)
        checks, last_job = node.checks()
        yield from checks
    if wish.accounting:
        yield accounting_check(controller, last_job, sleep)
    if wish.rest:
        yield rest_check(controller, wish.rest_address)


def _nodes_check(controller: Shell, sleep: Callable[[float], None]) -> Check:
    listed = ""
    for _ in range(20):
        listed = controller.run(("sinfo", "-h", "-N", "-o", "%N %T")).text
        if nodes_ready(listed):
            break
        sleep(0.5)  # a node that has just finished a job, or come up, needs a moment
    shown = ", ".join(sorted(set(listed.splitlines())))
    return Check("Every node is ready for jobs", nodes_ready(listed), shown or "sinfo lists no node")


def _states_of(controller: Shell, node: str) -> str:
    return controller.run(("sinfo", "-h", "-N", "-n", node, "-o", "%N %T")).text


# c1 idle
# n1 down*
def nodes_ready(text: str) -> bool:
    """Whether ``sinfo -N -o '%N %T'`` lists nodes, and all of them can take jobs."""
    states = [line.split()[1] for line in text.splitlines() if len(line.split()) > 1]
    return bool(states) and all(state in _READY for state in states)


class _Node:
    """One node, proved by jobs that are sent to it."""

    def __init__(self, facts: SlurmFacts, shell: Shell, controller: Shell) -> None:
        self._facts = facts
        self._shell = shell
        self._controller = controller
        self._name = facts.machine.hostname

    def checks(self) -> tuple[list[Check], str]:
        """The checks of this node, and the id of the last job."""
        if not self._facts.machine.gpu_files:
            found, job = self._job("hostname", ())
            plain = Check(f"A job ran on {self._name}", found.strip() != "", found.strip())
            return [_with_logs(plain, self._controller, self._shell)], job
        seen, job = self._job("nvidia-smi -L", ("--gres=gpu:1",))
        checks = [_with_logs(gpu_check(self._name, seen), self._controller, self._shell)]
        if containment(self._facts) != "none":
            unseen, job = self._job(f"nvidia-smi -L; echo {_RAN}", ())
            checks.append(_with_logs(isolation_check(self._name, unseen), self._controller, self._shell))
        return checks, job

    def _job(self, command: str, wants: tuple[str, ...]) -> tuple[str, str]:
        """What a job printed on this node, and its id."""
        words = ("sbatch", "--parsable", "-J", "gpujobs-verify", "-w", self._name, "-N1", "-n1", "--mem=64")
        sent = self._controller.run((*words, "--time=2", "-D", "/", "-o", _OUTPUT, *wants, "--wrap", command))
        job = parse_job(sent.text)
        if not job:
            return f"sbatch said: {sent.last_line}", ""
        ended = self._controller.run(("sh", "-c", _AWAIT, "await", job, str(_JOB_S)), timeout_s=_JOB_S + 30)
        if not ended.ok:
            reason = self._controller.run(("squeue", "-h", "-j", job, "-o", "%T %r")).text.strip()
            self._controller.run(("scancel", job))
            return f"job {job} did not end in {_JOB_S} s: {reason}", job
        path = _OUTPUT.replace("%j", job)
        said = self._shell.run(("cat", path)).text
        self._shell.run(("rm", "-f", "--", path))
        return said or f"job {job} printed nothing and is {ended.text.strip()}", job


# 17        17;cluster
def parse_job(text: str) -> str:
    """The id from ``sbatch --parsable``."""
    found = re.search(r"^\d+", text.strip())
    return found[0] if found else ""


# GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aef9e0e3-372f-b0f2-f171-4e4a5268aeed)
def gpu_check(node: str, said: str) -> Check:
    """Whether a job that asked for a GPU got one: nvidia-smi exits 0 without one too, so its words count."""
    seen = [line for line in said.splitlines() if line.startswith("GPU 0:")]
    return Check(f"A job on {node} got the GPU it asked for", bool(seen), seen[0] if seen else _first_line(said))


def isolation_check(node: str, said: str) -> Check:
    """Whether a job that asked for no GPU got none."""
    seen = [line for line in said.splitlines() if line.startswith("GPU ")]
    # A job that did not run has seen no GPU either, and that proves nothing.
    ran = _RAN in said.splitlines()
    return Check(f"A job on {node} without a GPU sees none", ran and not seen, seen[0] if seen else _first_line(said))


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "it printed nothing")


def _with_logs(check: Check, *shells: Shell) -> Check:
    if check.ok:
        return check
    logs = {shell.name: shell.run(("sh", "-c", _LOGS)).text for shell in shells}
    evidence = "\n".join(f"--- {name}\n{text}" for name, text in logs.items())
    return Check(check.title, check.ok, check.detail, evidence)
