"""From Kubernetes' words to ours: why a pod waits, and why it ended."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from gpujobs.backend import split_exit
from gpujobs.reasons import Cause, Reason

if TYPE_CHECKING:
    from gpujobs_kubernetes._views import Condition, PodView

# pkg/kubelet/images and pkg/kubelet/kuberuntime: every word a container may wait with.
WAITING: dict[str, Reason] = {
    "ContainerCreating": Reason.STARTING,
    "PodInitializing": Reason.STARTING,
    "ErrImagePull": Reason.IMAGE_PULL,
    "ImagePullBackOff": Reason.IMAGE_PULL,
    "ImageInspectError": Reason.IMAGE_PULL,
    "ErrImageNeverPull": Reason.IMAGE_PULL,
    "InvalidImageName": Reason.IMAGE_PULL,
    "RegistryUnavailable": Reason.IMAGE_PULL,
    "SignatureValidationFailed": Reason.IMAGE_PULL,
    "ImageVolumeMountFailed": Reason.VOLUME,
    "CreateContainerConfigError": Reason.CONFIG,
    "PreCreateHookError": Reason.CONFIG,
    "CreateContainerError": Reason.LAUNCH_FAILED,
    "RunContainerError": Reason.LAUNCH_FAILED,
    "PreStartHookError": Reason.LAUNCH_FAILED,
    "PostStartHookError": Reason.LAUNCH_FAILED,
    "CrashLoopBackOff": Reason.CRASH_LOOP,
}
_WAITING_NEXT = {
    Reason.IMAGE_PULL: "Check the image's name and tag, image_pull_secrets and image_pull_policy.",
    Reason.CONFIG: "Create what it names, or correct the name.",
    Reason.LAUNCH_FAILED: "Check the command and the image.",
    Reason.CRASH_LOOP: "Read the log of the attempt before.",
    Reason.VOLUME: "Check the volume that it names.",
}
# pkg/api/v1/pod and the taint manager, pod GC, scheduler, eviction API and kubelet: reasons of DisruptionTarget.
DISRUPTED: dict[str, Reason] = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "PreemptionByKubeScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_FAIL,
    "DeletionByPodGC": Reason.NODE_FAIL,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
}
# Reasons of a pod's own status: the kubelet's eviction, shutdown, admission and deadline handlers.
POD: dict[str, Reason] = {
    "DeadlineExceeded": Reason.TIMEOUT,
    "Evicted": Reason.EVICTED,
    "Preempting": Reason.PREEMPTED,
    "NodeLost": Reason.NODE_FAIL,
    "NodeShutdown": Reason.NODE_FAIL,
    "Shutdown": Reason.NODE_FAIL,
    "Terminated": Reason.NODE_FAIL,
    "NodeAffinity": Reason.LAUNCH_FAILED,
    "UnexpectedAdmissionError": Reason.LAUNCH_FAILED,
    "TopologyAffinityError": Reason.LAUNCH_FAILED,
    "SMTAlignmentError": Reason.LAUNCH_FAILED,
    "AppArmor": Reason.LAUNCH_FAILED,
    "SysctlForbidden": Reason.LAUNCH_FAILED,
    "PodOSNotSupported": Reason.LAUNCH_FAILED,
    "OutOfcpu": Reason.LAUNCH_FAILED,
    "OutOfmemory": Reason.LAUNCH_FAILED,
    "OutOfpods": Reason.LAUNCH_FAILED,
}
ENDED: dict[str, Reason] = {
    "OOMKilled": Reason.OOM,
    "StartError": Reason.LAUNCH_FAILED,
    "ContainerCannotRun": Reason.LAUNCH_FAILED,
    "ContainerStatusUnknown": Reason.NODE_FAIL,
}
_NEXT = {
    Reason.OOM: "Give it more memory (memory=...).",
    Reason.TIMEOUT: "Give it more time (time_limit=...).",
    Reason.PREEMPTED: "A workload of higher priority took its place: submit again, or give it a priority.",
    Reason.EVICTED: "Submit it again; requeue=True lets Kubernetes do so.",
    Reason.NODE_FAIL: "Submit it again; requeue=True lets Kubernetes do so.",
    Reason.LAUNCH_FAILED: "Check command, image and workdir.",
    Reason.EXIT_CODE: "Read its log.",
    Reason.SIGNAL: "Read its log.",
}
_HINTS = {126: "126 means that the program cannot be executed.", 127: "127 means that the program is not in the image."}
_NODES = re.compile(r"(\d+)/(\d+) nodes are available: (.*?)(?: preemption: .*)?", re.DOTALL)
_GPU_SHORT = re.compile(r"Insufficient (nvidia\.com/\S+?)[,.]")
_OTHER_SHORT = re.compile(r"Insufficient (\S+?)[,.]")
_ABSENT = ("not found in $PATH", "no such file or directory", "executable file not found")


def waiting(pod: PodView) -> Cause:
    """Why a pod does not run yet."""
    if pod.deleting:
        return Cause(Reason.STOPPING, "It is being ended.")
    if pod.waiting:
        code = WAITING.get(pod.waiting, Reason.UNKNOWN)
        if code is Reason.STARTING:
            return Cause(code, f"Its container is being made on {pod.node}.")
        told = f": {pod.waiting_message}" if pod.waiting_message else ""
        return Cause(
            code, f"Its container cannot start on {pod.node} ({pod.waiting}){told}.", _WAITING_NEXT.get(code, "")
        )
    if pod.unscheduled is not None:
        return unschedulable(pod.unscheduled)
    if not pod.node:
        return Cause(Reason.QUEUED, "It waits for the scheduler.")
    return Cause(Reason.STARTING, f"It is about to start on {pod.node}.")


def unschedulable(condition: Condition) -> Cause:
    """Why the scheduler finds no node, from its own count of nodes by reason."""
    text = condition.message
    if condition.reason == "SchedulingGated":
        return Cause(Reason.HELD, "A scheduling gate holds it.", "Whoever set the gate (Kueue, an operator) lifts it.")
    nodes = _NODES.fullmatch(text)
    # What follows the count of nodes is about preemption and the like.
    told = nodes[3].split(". ")[0].rstrip(". ") if nodes else text
    gpu = _GPU_SHORT.search(text)
    if gpu:
        return Cause(
            Reason.INSUFFICIENT_GPU,
            f"No node has enough {gpu[1]} free ({told}).",
            "It starts once others end; `gpujobs capacity` shows what is free.",
        )
    other = _OTHER_SHORT.search(text)
    if other:
        return Cause(
            Reason.INSUFFICIENT_RESOURCES, f"No node has enough {other[1]} free ({told}).", "Ask for less, or wait."
        )
    if "persistentvolumeclaim" in text.lower() or "volume" in text.lower():
        return Cause(Reason.VOLUME, f"A volume keeps it from every node ({told}).", "Check its claims.")
    return Cause(
        Reason.UNSCHEDULABLE,
        f"No node fits ({told or condition.reason}).",
        "Check gpus, node_selector, tolerations and exclude against the nodes.",
    )


def refused(message: str) -> Cause:
    """Why a controller cannot create pods, from its FailedCreate event."""
    code, then = Reason.ADMISSION, "Change what it names."
    if "exceeded quota" in message:
        code, then = Reason.QUOTA, "It starts once others end; or ask for less, or for a larger quota."
    elif "serviceaccount" in message or "PriorityClass" in message or "RuntimeClass" in message:
        code, then = Reason.CONFIG, "Create what it names, or correct the name."
    return Cause(code, f"Kubernetes does not let its pods be created: {message}", then)


def ended(pod: PodView) -> tuple[Cause | None, int | None, int | None]:
    """(why it ended, exit code, signal) of a pod that is over; no cause where it ended well."""
    code, number = (None, None) if pod.exit_code is None else split_exit(pod.exit_code)
    if pod.phase == "Succeeded":
        survived = pod.ended == "OOMKilled"
        warning = Cause(Reason.OOM, "A process of it ran out of memory, but its command ended well.", _NEXT[Reason.OOM])
        return (warning if survived else None), code, number
    if pod.ending:
        return Cause(Reason.CANCELLED, "It was cancelled."), None, None
    reason = _system_reason(pod)
    if reason is not None:
        return Cause(reason, _told(pod, reason), _NEXT[reason]), None, None
    return _by_container(pod, code, number)


def _by_container(pod: PodView, code: int | None, number: int | None) -> tuple[Cause, int | None, int | None]:
    """As ``ended``, from what the kubelet says of the container."""
    found = ENDED.get(pod.ended)
    if found is Reason.OOM:
        return (
            Cause(found, "It used more memory than it may (OOMKilled).", _NEXT[found]),
            None,
            number or signal.SIGKILL,
        )
    if found is Reason.LAUNCH_FAILED:
        absent = any(words in pod.ended_message for words in _ABSENT)
        return Cause(found, f"It could not be started: {pod.ended_message}", _NEXT[found]), 127 if absent else 126, None
    if found is not None:
        return Cause(found, f"Its node {pod.node} lost track of it ({pod.ended}).", _NEXT[found]), None, None
    return by_exit(code, number), code, number


def by_exit(code: int | None, number: int | None) -> Cause:
    """The cause that an exit code or a signal is by itself."""
    if number is not None:
        return Cause(Reason.SIGNAL, f"Signal {number} ({signal_name(number)}) ended it.", _NEXT[Reason.SIGNAL])
    if code is None:
        return Cause(Reason.UNKNOWN, "It failed, and Kubernetes kept no reason.", "Look at its events.")
    hint = f" {_HINTS[code]}" if code in _HINTS else ""
    return Cause(Reason.EXIT_CODE, f"Its command ended with exit code {code}.{hint}", _NEXT[Reason.EXIT_CODE])


def signal_name(number: int) -> str:
    """``SIGTERM`` of 15."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _system_reason(pod: PodView) -> Reason | None:
    """Whether the system ended it, rather than its own command."""
    if pod.reason == "DeadlineExceeded":
        return Reason.TIMEOUT
    if pod.disrupted is not None:
        return DISRUPTED.get(pod.disrupted.reason, Reason.EVICTED)
    if pod.reason.startswith("OutOf"):
        return Reason.LAUNCH_FAILED
    return POD.get(pod.reason)


def _told(pod: PodView, reason: Reason) -> str:
    if reason is Reason.TIMEOUT:
        return "It ran into its time limit."
    words = pod.disrupted.message if pod.disrupted else pod.message
    where = f" on {pod.node}" if pod.node else ""
    begins = {
        Reason.PREEMPTED: f"It was preempted{where}",
        Reason.EVICTED: f"It was evicted{where}",
        Reason.NODE_FAIL: f"Its node was lost{where}",
        Reason.LAUNCH_FAILED: f"The node refused it{where}",
    }
    return f"{begins[reason]}: {words or pod.reason}"
