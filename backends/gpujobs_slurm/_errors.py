"""What Slurm's commands complain of -> our errors, naming the field that is to blame."""

from __future__ import annotations

import re

from gpujobs.errors import AuthError, BackendError, GpuJobsError, RejectedError, UnavailableError

_NOT_FOUND = 127
_TIMED_OUT = 124
_PREFIX = re.compile(r"^(?:\w+: )?(?:error|fatal): ", re.MULTILINE)

_DOWN = (
    "unable to contact slurm controller",
    "socket timed out",
    "connection refused",
    "connection timed out",
    "connection reset",
    "zero bytes were transmitted",
    "standby mode",
    "problem talking to the database",
    "transport endpoint",
    "unexpected message received",
    "communication connection failure",
    "temporarily unable to accept job",
    "slurm temporarily",
    "munge decode failed",
    "failed to open persistent connection",
    "unable to establish controller machine",
    "insane message length",
    "gave no answer within",
)
"""Nobody can say after one of these whether the request was taken."""

_UNCONFIGURED = ("could not establish a configuration source", "dns srv lookup failed", "unable to process config")

_DENIED = ("access/permission denied", "invalid user id", "user not allowed", "protocol authentication error")

_BLAME: tuple[tuple[str, str, str], ...] = (
    ("invalid partition", "queue", "`gpujobs capacity` shows the queues there are."),
    ("partition is down", "queue", "Choose another queue."),
    ("not permitted to use this partition", "queue", "Choose another queue."),
    ("partition configuration not available", "queue", "Choose another queue, or ask for less."),
    ("required partition not available", "queue", "Choose another queue."),
    ("invalid generic resource", "gpus", "`gpujobs capacity` shows the GPUs there are."),
    ("invalid gres", "gpus", "`gpujobs capacity` shows the GPUs there are."),
    ("trackable resource", "gpus", "`gpujobs capacity` shows the GPUs there are."),
    ("node configuration is not available", "gpus, cpus, memory, nodes", "No node has all of that: ask for less."),
    ("invalid node name", "exclude", "Name nodes that exist."),
    ("invalid feature", "constraint", "`sinfo -o %f` shows the features there are."),
    ("invalid account", "account", "`sacctmgr show associations user=$USER` shows yours."),
    ("invalid qos", "qos", "`sacctmgr show associations user=$USER format=qos` shows yours."),
    ("time limit is invalid", "time_limit", "Ask for less time, or choose another queue."),
    ("time limit specification", "time_limit", "Ask for less time, or choose another queue."),
    ("deadline", "deadline", "Give a later deadline."),
    ("memory", "memory", "Ask for less memory, or for more nodes."),
    ("job array", "array", "The cluster's MaxArraySize limits it."),
    ("too long", "script, args, env", "The script is beyond the cluster's limit: pass large data in files."),
    ("more processors", "cpus", "Ask for fewer CPUs or nodes."),
    ("node count", "nodes", "Ask for fewer nodes."),
    ("accounting/qos policy", "account, qos", "A limit of your account or QOS forbids it."),
    ("job dependency", "after", "Check the job it is to run after."),
    ("reservation", "extra", "Check the reservation."),
    ("unrecognized option", "extra", "Check the options in extra."),
    ("invalid option", "extra", "Check the options in extra."),
    ("nice", "priority", "Only an operator can raise a priority."),
    ("cpu count", "cpus", "Ask for a number of CPUs that a node has."),
    ("constraint", "constraint", "Check the features it asks for."),
)
"""What a complaint of sbatch contains -> the field, and what to do."""


def text_of(err: bytes) -> str:
    """The complaint without its prefixes, in one line."""
    lines = [line.strip() for line in _PREFIX.sub("", err.decode(errors="replace")).splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines)) or "it said nothing"


def is_down(text: str) -> bool:
    """Whether Slurm could not be asked, so that nothing is known."""
    lower = text.lower()
    return any(word in lower for word in _DOWN)


def command_error(program: str, rc: int, err: bytes) -> GpuJobsError:
    """The error for a Slurm command that failed."""
    text = text_of(err)
    if rc == _NOT_FOUND:
        return BackendError(
            f"{program} is not installed there: {text}.",
            next_step="Install Slurm's client programs, or reach a login node: transport = 'ssh', host = '...'.",
        )
    if any(words in text.lower() for words in _UNCONFIGURED):
        return BackendError(
            f"Slurm is not configured there: {text}.",
            next_step="Set SLURM_CONF, or reach a login node: transport = 'ssh', host = '...'.",
        )
    if rc < 0 or rc == _TIMED_OUT or is_down(text):
        return UnavailableError(f"Slurm cannot be asked: {text}.", next_step="It is asked again by itself.")
    if any(word in text.lower() for word in _DENIED):
        return AuthError(f"Slurm refuses: {text}.", next_step="Only the owner of a job or an operator may do that.")
    return RejectedError(f"{program} failed: {text}.")


def refusal(rc: int, err: bytes) -> GpuJobsError:
    """The error for a submission that sbatch refused; the field to blame is named where it is known."""
    error = command_error("sbatch", rc, err)
    if not isinstance(error, RejectedError):
        return error
    text = text_of(err)
    for words, field, step in _BLAME:
        if words in text.lower():
            return RejectedError(f"{field}: Slurm refuses it: {text}.", next_step=step)
    return RejectedError(f"Slurm refuses it: {text}.", next_step="See `gpujobs render` for what was sent.")
