"""What ``squeue`` and ``sacct`` print, as rows. The strings to ask with work alike on 22.05, 24.11 and 26.05."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from gpujobs_slurm._states import meaning

EXACT = {"SLURM_TIME_FORMAT": "%s", "TZ": "UTC0", "SLURM_BITSTR_LEN": "0"}
"""Times as seconds since 1970, and lists of an array's elements in full; without it times are local to the client's
time zone, and lists are cut after 64 characters.

The C library gets such a number by way of the local time: with a fixed zone that is exact in the hour that a change of
clocks repeats, and it does not look at /etc/localtime for each of them, which doubles the time of a long answer.
"""

_SQUEUE = (
    "JobArrayID", "State", "Reason", "NodeList", "RestartCnt", "SubmitTime", "StartTime", "EndTime", "exit_code",
    "Name", "Comment",
)  # fmt: skip
_SACCT = ("JobID", "State", "ExitCode", "NodeList", "Submit", "Start", "End", "JobName")
_SEPARATOR = "\x1f"
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", re.ASCII)
_LARGEST = 4_000_000
"""No version of Slurm takes a larger index."""
_BRACKETS = re.compile(r"([^,\[]*)\[([^\]]+)\]([^,]*)")
_MANY = 100
"""A long list of ids is the dearest question of all; from here on everything of ours is asked for."""
_RAW = 256

QUEUE = ("squeue", "-a", "-h", "-t", "all", "-O", ",".join(f"{name}:|" for name in _SQUEUE))
"""The elements of an array that wait are one row, as Slurm itself holds them, and not one row each (``-r``)."""


class Row(NamedTuple):
    """One job, or one element of an array, as Slurm shows it."""

    id: str
    state: str
    reason: str = ""
    nodes: str = ""
    restarts: int = 0
    submitted: int | None = None
    started: int | None = None
    ended: int | None = None
    exit_code: int = 0
    signal: int = 0
    name: str = ""
    comment: str = ""

    @property
    def parent(self) -> str:
        """The job id without the index of an element."""
        return self.id.partition("_")[0]

    @property
    def ended_state(self) -> bool:
        """Whether its state is an end."""
        return meaning(self.state).state.final


def squeue(ids: list[str]) -> list[str]:
    """The words that ask for these jobs; for many, those that ask for all of this user's."""
    return [*QUEUE, "-j", ",".join(ids)] if len(ids) <= _MANY else [*QUEUE, "--me"]


def squeue_named(name: str) -> list[str]:
    """The words that ask for jobs of a name."""
    return [*QUEUE, "-n", name]


def sacct(ids: list[str]) -> list[str]:
    """The words that ask the accounting; every restart is a line."""
    return [
        "sacct",
        "-n",
        "-P",
        "-X",
        "-D",
        f"--delimiter={_SEPARATOR}",
        "--format",
        ",".join(_SACCT),
        "-j",
        ",".join(ids),
    ]


def parse_line(job_id: str, rest: str) -> Row | None:
    """One line of ``squeue``, parted after the id; None for what is none."""
    parts = rest.split("|", 9)
    if len(parts) < 10 or not job_id[:1].isdigit():  # noqa: PLR2004  # one part per field asked for
        return None
    state, reason, nodes, restarts, submitted, started, ended, code, name, comment = parts
    exit_code, signal = parse_exit(code)
    return Row(
        job_id,
        state,
        reason,
        nodes,
        int(restarts) if restarts.isdigit() else 0,
        int(submitted) if submitted.isdigit() else None,
        int(started) if started.isdigit() else None,
        int(ended) if ended.isdigit() else None,
        exit_code,
        signal,
        name,
        comment[:-1],
    )


def parse_sacct(text: str) -> list[Row]:
    """The last line of each job, with the number of lines before it as its restarts."""
    latest: dict[str, Row] = {}
    for line in text.splitlines():
        parts = line.split(_SEPARATOR)
        if len(parts) != len(_SACCT):
            continue
        id_, state, code, nodes, submitted, started, ended, name = parts
        exit_code, signal = parse_exit(code)
        before = latest.get(id_)
        latest[id_] = Row(
            id_,
            state,
            "",
            "" if nodes == "None assigned" else nodes,
            before.restarts + 1 if before else 0,
            _time(submitted),
            _time(started),
            _time(ended),
            exit_code,
            signal,
            name,
        )
    return list(latest.values())


def indices(text: str) -> list[int | None]:
    """Which elements a job id's second half means: ``7``, ``[0-3,5%2]`` (of an array that never started), nothing."""
    if text.isdigit():
        return [int(text)]
    if not text.startswith("["):
        return [None]
    return [*elements(text)]


def elements(text: str) -> list[int]:
    """Which elements a list names: ``[0-3,5,8-12:2%4]``; what stands behind ``%`` is how many may run at once."""
    found: list[int] = []
    for first, last, step in _PART.findall(text.partition("%")[0]):
        found += range(int(first), min(int(last or first), _LARGEST) + 1, int(step or 1) or 1)
    return found


def _time(text: str) -> int | None:
    return int(text) if text.isdigit() else None


@lru_cache(maxsize=1024)
def parse_exit(text: str) -> tuple[int, int]:
    """(exit code, signal) of ``42:0``, or of the raw wait status that 22.05 prints."""
    if ":" in text:
        code, _, signal = text.partition(":")
        return (int(code) if code.isdigit() else 0), (int(signal) if signal.isdigit() else 0)
    raw = int(text) if text.isdigit() else 0
    return raw // _RAW, raw % 128


@lru_cache(maxsize=1024)
def expand(nodes: str) -> tuple[str, ...]:
    """``n[1-3,07],gpu5`` as single names; zeros in front are kept."""
    if not nodes or nodes in {"(null)", "None assigned"}:
        return ()
    if "[" not in nodes:
        return tuple(nodes.split(","))
    names: list[str] = []
    rest = nodes
    while rest:
        match = _BRACKETS.match(rest)
        if match is None:
            name, _, rest = rest.partition(",")
            names.append(name)
            continue
        names += _numbered(match[1], match[2], match[3])
        rest = rest[match.end() :].removeprefix(",")
    return tuple(names)


def _numbered(head: str, ranges: str, tail: str) -> list[str]:
    names: list[str] = []
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        last = last or first
        names += [f"{head}{n:0{len(first)}d}{tail}" for n in range(int(first), int(last) + 1)]
    return names
