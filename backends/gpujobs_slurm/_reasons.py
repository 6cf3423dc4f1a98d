"""Slurm's reasons for waiting -> ours, each with a sentence and a next step.

Held complete against Slurm's own list of reason texts, of every version at hand, by a test.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gpujobs.reasons import Cause, Reason

_LIMIT = re.compile(r"(QOS|Assoc)[A-Z]|Max\w+Per(Account|User)$")
_NODES = "`gpujobs capacity` shows the nodes; ask for what is there, or wait for them."
_ADMIN = "Ask the administrators of the cluster."
_PARTITION = "Choose another queue, or ask for less; `gpujobs capacity` shows what there is."

WAITING: dict[str, tuple[Reason, str, str]] = {
    "None": (Reason.QUEUED, "It is queued; the scheduler has not looked at it yet.", ""),
    "Priority": (Reason.PRIORITY, "Jobs with a higher priority are ahead of it.", "Wait, or ask for less."),
    "Resources": (Reason.INSUFFICIENT_RESOURCES, "It waits for resources that others use.", "Wait, or ask for less."),
    "SchedDefer": (Reason.QUEUED, "The scheduler looks at it in its next round.", ""),
    "Dependency": (Reason.DEPENDENCY, "It waits for the end of another job.", ""),
    "DependencyNeverSatisfied": (
        Reason.DEPENDENCY,
        "The job it was to run after did not end as asked, so it can never start.",
        "Look at that job, then submit this one again.",
    ),
    "JobArrayTaskLimit": (Reason.ARRAY_LIMIT, "Its array runs no more elements at once (parallelism).", ""),
    "JobHeldUser": (Reason.HELD, "It is held by its user.", "Release it with `scontrol release`."),
    "JobHeldAdmin": (Reason.HELD, "It is held by an administrator.", _ADMIN),
    "JobHoldMaxRequeue": (
        Reason.HELD,
        "It was started again too often and is held.",
        "Read its log, then release it with `scontrol release` or cancel it.",
    ),
    "BeginTime": (Reason.BEGIN_TIME, "Its time to begin has not come.", ""),
    "Licenses": (Reason.LICENSES, "It waits for a licence.", ""),
    "Reservation": (Reason.RESERVATION, "It waits for its reservation to begin.", ""),
    "ReservationDeleted": (Reason.RESERVATION, "Its reservation was deleted.", "Cancel it and submit it again."),
    "ReservationInvalid": (Reason.RESERVATION, "Its reservation is not valid.", "Cancel it and submit it again."),
    "ReqNodeNotAvail": (Reason.NODE_UNAVAILABLE, "The nodes it needs are down, drained or reserved.", _NODES),
    "NodeDown": (Reason.NODE_UNAVAILABLE, "A node it needs is down.", _NODES),
    "FrontEndDown": (Reason.NODE_UNAVAILABLE, "No front end node is up.", _ADMIN),
    "PowerNotAvail": (Reason.NODE_UNAVAILABLE, "There is not enough power for it.", ""),
    "PowerReserved": (Reason.NODE_UNAVAILABLE, "The power it needs is reserved.", ""),
    "MaxPoweredUpNodes": (Reason.NODE_UNAVAILABLE, "As many nodes as allowed are powered up.", ""),
    "Cleaning": (Reason.REQUEUED, "Its former attempt is being cleaned up.", ""),
    "Prolog": (Reason.STARTING, "The node is being prepared for it.", ""),
    "MpiPortsBusy": (Reason.INSUFFICIENT_RESOURCES, "It waits for free ports for MPI.", ""),
    "BadConstraints": (
        Reason.UNSCHEDULABLE,
        "No node can ever give what it asks for together.",
        f"Cancel it and ask for less. {_NODES}",
    ),
    "Constraints": (Reason.UNSCHEDULABLE, "No node meets its constraints.", _NODES),
    "NvidiaImexChannels": (Reason.INSUFFICIENT_GPU, "It waits for a free NVIDIA IMEX channel.", ""),
    "PartitionDown": (Reason.PARTITION_DOWN, "Its partition is down.", _PARTITION),
    "PartitionInactive": (Reason.PARTITION_DOWN, "Its partition takes no jobs.", _PARTITION),
    "PartitionNodeLimit": (Reason.PARTITION_LIMIT, "It asks for more nodes than its partition gives.", _PARTITION),
    "PartitionTimeLimit": (Reason.PARTITION_LIMIT, "It asks for more time than its partition gives.", _PARTITION),
    "PartitionConfig": (Reason.PARTITION_LIMIT, "It asks for more than its partition's nodes have.", _PARTITION),
    "MaxMemPerLimit": (Reason.PARTITION_LIMIT, "It asks for more memory than its partition gives.", _PARTITION),
    "AssociationJobLimit": (Reason.QUOTA, "Your account runs as many jobs as it may.", ""),
    "AssociationResourceLimit": (Reason.QUOTA, "Your account uses as much as it may.", ""),
    "AssociationTimeLimit": (Reason.QUOTA, "Your account has used up its time.", _ADMIN),
    "AccountingPolicy": (Reason.QUOTA, "A limit of your account holds it back.", _ADMIN),
    "InvalidAccount": (Reason.ACCOUNT, "Its account is not valid.", "Name an account of yours: account='...'."),
    "InvalidQOS": (Reason.ACCOUNT, "Its QOS is not valid.", "Name a QOS of yours: qos='...'."),
    "QOSNotAllowed": (Reason.ACCOUNT, "Its QOS is not allowed there.", "Name another QOS or queue."),
    "AccountNotAllowed": (Reason.ACCOUNT, "Its account is not allowed there.", "Name another account or queue."),
    "FedJobLock": (Reason.QUEUED, "Another cluster of the federation is looking at it.", ""),
    "BurstBufferResources": (Reason.VOLUME, "It waits for space in the burst buffer.", ""),
    "BurstBufferStageIn": (Reason.VOLUME, "Its data is being staged in.", ""),
    "BurstBufferOperation": (Reason.VOLUME, "A burst buffer operation failed.", _ADMIN),
    "BlockMaxError": (Reason.NODE_UNAVAILABLE, "A block of nodes has too many errors.", _ADMIN),
    "BlockFreeAction": (Reason.NODE_UNAVAILABLE, "A block of nodes is being freed.", ""),
    "launch failed requeued held": (
        Reason.HELD,
        "It could not be launched on its node and is held.",
        "Release it with `scontrol release`, or cancel it and submit it again.",
    ),
    # Of ends, not of waits; a pending job may still carry the one of its former attempt.
    "SystemFailure": (Reason.NODE_FAIL, "A failure of the system ended its former attempt.", ""),
    "JobLaunchFailure": (Reason.LAUNCH_FAILED, "Its former attempt could not be launched.", ""),
    "NonZeroExitCode": (Reason.REQUEUED, "Its former attempt failed.", ""),
    "RaisedSignal": (Reason.REQUEUED, "A signal ended its former attempt.", ""),
    "TimeLimit": (Reason.REQUEUED, "Its former attempt ran into its time limit.", ""),
    "InactiveLimit": (Reason.REQUEUED, "Its former attempt was inactive for too long.", ""),
    "DeadLine": (Reason.DEADLINE, "Its deadline has passed.", ""),
    "OutOfMemory": (Reason.REQUEUED, "Its former attempt ran out of memory.", ""),
}
"""Everything that is not a limit of an account or a QOS; those are known by their first letters."""


@lru_cache(maxsize=1024)
def waiting(text: str) -> Cause:
    """Why a pending job waits, from what ``squeue`` prints as its reason.

    ``ReqNodeNotAvail, UnavailableNodes:n2`` and the like carry details after a comma; they are kept in the sentence.
    """
    word, _, detail = text.strip("()").partition(", ")
    known = WAITING.get(word) or WAITING.get(text)
    if known is not None:
        code, message, step = known
    elif _LIMIT.match(word):
        code, message, step = Reason.QUOTA, f"A limit of your account or QOS holds it back: {word}.", _ADMIN
    else:
        code, message, step = Reason.UNKNOWN, f"Slurm gives the reason {word!r}.", ""
    nodes = detail.removeprefix("UnavailableNodes:").strip()
    return Cause(code, message.removesuffix(".") + f": {nodes}." if nodes else message, step)


def known(text: str) -> bool:
    """Whether a reason text has a meaning of its own here."""
    return text in WAITING or _LIMIT.match(text) is not None
