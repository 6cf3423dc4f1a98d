"""What the container runs: the command, or a shell around it where setup lines, scripts or several tasks need one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gpujobs.errors import UnsupportedError

if TYPE_CHECKING:
    from gpujobs.specs import GpuJob, GpuService

FILES_DIR = "/gpujobs/files"
SCRIPT_PATH = "/gpujobs/script"
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_LONGEST_WORD = 100_000
"""Bytes. The kernel takes 128 KiB in one word of a command; longer scripts travel as a file."""

# A variable of a pod can hold one of Kubernetes' two counts, not their sum, which is the attempt that a status tells.
_ATTEMPT = "export GPUJOBS_ATTEMPT=$((GPUJOBS_ATTEMPT + ${GPUJOBS_DISRUPTIONS:-0}))\n"

# One process per local rank; the first that fails ends the others, and its code is the pod's. POSIX sh has no "wait for
# any", so each process has a shell that reports a failure by a signal; the container is one process group, which TERM
# reaches as a whole; twice, for a process that is just being made misses the first. A wait that a signal interrupted is
# repeated; a shell that has then lost the code makes it 1.
_TASKS = """\
got=0; over=0; pids=; i=0
trap 'got=1; over=1; trap "got=1" TERM USR1; kill -TERM 0; (sleep 1; kill -TERM 0) &' TERM USR1
while [ "$i" -lt "$GPUJOBS_TASKS" ]; do
  (
    export GPUJOBS_LOCAL_RANK=$i GPUJOBS_RANK=$((GPUJOBS_NODE_RANK * GPUJOBS_TASKS + i))
    stop=0; trap 'stop=1' TERM
    [ "$stop" = 0 ] || exit 143
    "$@"; c=$?
    [ "$c" = 0 ] || [ "$stop" = 1 ] || kill -USR1 $$
    exit "$c"
  ) & pids="$pids $!"; i=$((i + 1))
done
code=0
for pid in $pids; do
  got=0; wait "$pid"; c=$?
  while [ "$got" = 1 ]; do got=0; wait "$pid"; c=$?; done
  case $over$c in 1127|1255|1-1) c=1;; esac
  case $c in 0) ;; *) case $code in 0|143) code=$c;; esac;; esac
done
exit "$code"
"""


def escape(text: str) -> str:
    """The text as Kubernetes writes it in command, args, env values and probes, where ``$(X)`` and ``$$`` mean more."""
    return text.replace("$", "$$")


def unescape(text: str) -> str:
    """What a text of a manifest means to the process."""
    return text.replace("$$", "$")


def words(spec: GpuJob | GpuService) -> tuple[list[str], list[str]]:
    """(command, args) of the container, not escaped; both may be empty: the image's own.

    Raises:
        UnsupportedError: ``setup`` or ``tasks_per_node`` without a command: there is nothing to wrap.
    """
    tasks = spec.tasks_per_node if spec.kind == "job" else 1
    wrapped = "setup" if spec.setup else "tasks_per_node" if tasks > 1 else None
    command, args = _plain(spec)
    if wrapped is None:
        return command, args
    if not command:
        raise UnsupportedError(
            f"{wrapped}: the image's own command cannot be wrapped in a shell.",
            next_step="Name the command that is to run.",
        )
    lines = "".join(f"{line}\n" for line in spec.setup)
    before = f"set -e\n{lines}set +e\n" if lines else ""
    run = _TASKS if tasks > 1 else 'exec "$@"\n'
    count = _ATTEMPT if spec.kind == "job" else ""
    return ["/bin/sh", "-c", count + before + run, "sh"], [*command, *args]


def _plain(spec: GpuJob | GpuService) -> tuple[list[str], list[str]]:
    if spec.script is None:
        return list(spec.command), list(spec.args)
    if needs_file(spec.script):
        return [SCRIPT_PATH], list(spec.args)
    return [*(_shell(spec.script) or ["/bin/sh"]), "-c", spec.script, "script"], list(spec.args)


def needs_file(script: str) -> bool:
    """Whether a script has to be a file in the container: another program than a shell reads it, or it is long."""
    return len(script.encode()) > _LONGEST_WORD or (script.startswith("#!") and _shell(script) is None)


def _shell(script: str) -> list[str] | None:
    """The words of a ``#!`` line that names a shell, or None."""
    first = script.split("\n", 1)[0]
    if not first.startswith("#!"):
        return None
    try:
        found = shlex.split(first[2:])
    except ValueError:
        return None
    program = found[1:2] if found[:1] in (["/usr/bin/env"], ["/bin/env"]) else found[:1]
    return found if program and program[0].rpartition("/")[2] in SHELLS else None
