"""Options that several verbs share, each defined once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from gpujobs.cli import _types as types
from gpujobs.cli._completion import complete_refs, complete_targets
from gpujobs.cli._verb import Sectioned, WordsAfter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

F = TypeVar("F", bound="Callable[..., Any]")

target = click.option(
    "-t", "--target", metavar="NAME", shell_complete=complete_targets, help="Where; by default the configured default."
)
json_output = click.option("--json", "json_", is_flag=True, help="JSON for programs, and nothing else, on stdout.")
one_ref = click.argument("ref", type=types.REF, metavar="REF", shell_complete=complete_refs)
refs = click.argument("refs", type=types.REF, nargs=-1, required=True, metavar="REF...", shell_complete=complete_refs)
time_out = click.option("--timeout", type=types.DURATION, help="Give up after this long (exit 125): 60s, 2h30m.")


def several(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """One decorator for many options, shown in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_WORKLOAD: list[Callable[[Any], Any]] = [
    target,
    click.option("--name", metavar="TEXT", help="What people call it; for a service also its key."),
    click.option("--gpus", type=types.GPUS, help="GPUs per node: 2, h100, h100:2, 1g.10gb."),
    click.option("--gpu-memory", type=types.MEMORY, help="The least memory of one GPU: 40GiB."),
    click.option(
        "--sharing",
        type=click.Choice(["exclusive", "time-slice", "mig", "mps", "shard"]),
        help="How the GPU may be shared; by default as the node has it.",
    ),
    click.option("--cpus", type=float, metavar="N", help="CPU cores per node."),
    click.option("--memory", type=types.MEMORY, help="Memory per node: 16GiB, 500MB."),
    click.option("--shm", type=types.MEMORY, help="Size of /dev/shm."),
    click.option("--disk", type=types.MEMORY, help="Local scratch space."),
    click.option("--nodes", type=types.COUNT, help="On how many nodes at once."),
    click.option("--tasks-per-node", type=types.COUNT, help="Processes on each node."),
    click.option("--array", type=types.ARRAY, help="That many elements, indices 0 to N-1."),
    click.option("--parallelism", type=types.COUNT, help="How many elements of the array at once."),
    click.option(
        "--time", "time_limit", type=types.DURATION, help="Running time of one attempt: 90s, 2h30m, 1-00:00:00."
    ),
    click.option("--deadline", type=types.DURATION, help="Whole life, queueing included."),
    click.option("--start-timeout", type=types.DURATION, help="Fail it if it has not started by then."),
    click.option("--grace", type=types.DURATION, help="Between TERM and KILL when it is ended; 30s."),
    click.option("--retries", type=types.NATURAL, help="How often a failed attempt is tried again."),
    click.option("--requeue/--no-requeue", default=None, help="Whether a lost node or preemption restarts it."),
    click.option("--after", multiple=True, metavar="[any:]REF", help="Start after its success (any: after its end)."),
    click.option("--image", metavar="IMAGE", help="Container image."),
    click.option("--image-optional", is_flag=True, default=None, help="Run without the image where there are none."),
    click.option("--env", type=types.ENV, multiple=True, help="Set a variable; K alone passes yours on."),
    click.option("--inherit-env", multiple=True, metavar="NAME|venv", help="Pass a variable on, or the active venv."),
    click.option(
        "--secret",
        "secrets",
        type=types.SECRET,
        multiple=True,
        metavar="NAME[=env:VAR|=file:PATH]",
        help="A secret variable.",
    ),
    click.option("--file", "files", type=types.FILE, multiple=True, help="Put a file at $GPUJOBS_FILES/DEST."),
    click.option(
        "--volume",
        "volumes",
        multiple=True,
        metavar="SRC:/PATH[:ro]",
        help="Host path, pvc=NAME, nfs=HOST:/DIR, empty.",
    ),
    click.option("--workdir", metavar="DIR", help="Where the command starts."),
    click.option("--setup", multiple=True, metavar="LINE", help="A shell line before the command."),
    click.option(
        "--script", type=click.File(encoding="utf-8"), metavar="FILE", help="A script instead of a command; - is stdin."
    ),
    click.option("--queue", "--partition", metavar="NAME", help="Queue or partition."),
    click.option("--account", metavar="NAME", help="Who pays."),
    click.option("--qos", metavar="NAME", help="Quality of service."),
    click.option("--priority", type=types.PRIORITY, help="Priority number or class."),
    click.option("--constraint", metavar="TEXT", help="Features that the node must have (Slurm)."),
    click.option("--exclude", multiple=True, metavar="NODE", help="Not on this node."),
    click.option(
        "--node-selector", type=types.PAIR, multiple=True, help="Labels that the node must have (Kubernetes)."
    ),
    click.option("--label", "labels", type=types.PAIR, multiple=True, help="A label, to find it by."),
    click.option("--service", is_flag=True, default=None, help="Keep it running: a service, not a job."),
    click.option("--replicas", type=types.NATURAL, help="Copies of the service."),
    click.option("--port", "ports", type=types.COUNT, multiple=True, help="A port that the service answers on."),
    click.option(
        "--expose",
        type=click.Choice(["none", "cluster-ip", "node-port", "headless"]),
        help="Who can reach the service.",
    ),
    click.option("--readiness", metavar="PATH", help="HTTP path that answers once a copy is ready."),
    click.option("--liveness", metavar="PATH", help="HTTP path that answers while a copy is well."),
    click.option("--idempotency-key", metavar="KEY", help="Submitting again with this key finds the first one."),
]
workload = several(_WORKLOAD)


class WorkloadVerb(Sectioned):
    """A verb with the options of a workload, sorted for a reader."""

    sections: ClassVar[dict[str, str]] = {
        "What runs": "name script image image_optional workdir setup env inherit_env secrets files volumes labels",
        "What it needs": "gpus gpu_memory sharing cpus memory shm disk nodes tasks_per_node array parallelism",
        "How long, how often": "time_limit deadline start_timeout grace retries requeue after",
        "Where": "target queue account qos priority constraint exclude node_selector",
        "A service": "service replicas ports expose readiness liveness",
    }


class WorkloadOrFile(WorkloadVerb, WordsAfter):
    """The same, with a command after ``--``."""


_SENDING: list[Callable[[Any], Any]] = [
    click.option("--no-preflight", is_flag=True, help="Do not refuse what could never run."),
    click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing."),
    json_output,
]
sending = several(_SENDING)
