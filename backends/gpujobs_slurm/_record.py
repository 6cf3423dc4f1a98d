"""A job directory as the client sees it: the claim, the ids, what the job left, and the ends already known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_slurm._ends import End, Traces

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 2
_SLACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Settled:
    """An end that was seen before; from then on it is the answer."""

    end: End
    attempt: int = 0
    nodes: tuple[str, ...] = ()
    started: float | None = None
    ended: float | None = None
    native: tuple[str, str] = ("", "")

    def dump(self) -> dict[str, Any]:
        """As it is kept in the record."""
        cause = self.end.cause
        return {
            "state": self.end.state.value,
            "cause": [cause.code.value, cause.message, cause.next] if cause else None,
            "exit_code": self.end.exit_code,
            "signal": self.end.signal,
            "attempt": self.attempt,
            "nodes": list(self.nodes),
            "started": self.started,
            "ended": self.ended,
            "native": list(self.native),
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Settled:
        """What :meth:`dump` wrote."""
        cause = data["cause"]
        return cls(
            End(
                State(data["state"]),
                Cause(Reason(cause[0]), cause[1], cause[2]) if cause else None,
                data["exit_code"],
                data["signal"],
            ),
            data["attempt"],
            tuple(data["nodes"]),
            data["started"],
            data["ended"],
            (data["native"][0], data["native"][1]),
        )


class Record:
    """One job directory; index None is the job itself, a number one of its elements."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.name: str = data["name"]
        self.claim: Mapping[str, Any] = data["claim"]
        marks: list[str] = data["marks"]
        self.sent = [m[5:] for m in marks if m.startswith("sent.")]
        self._marks = frozenset(marks)
        owners: Mapping[str, str] = data["owners"]
        self.jobs = {m.partition(".")[0] for m in self.sent} | {o.partition("_")[0] for o in owners.values()}
        """All Slurm jobs behind it, also one whose sender never learned its id."""
        self.plain = not data["finals"] and len(self.jobs) <= 1 and not any(m.startswith("deleted") for m in marks)
        """Whether nothing is known of it but what Slurm will say."""
        self.sending = [m.split(" ") for m in marks if m.startswith("sending.")]
        keys: list[str] | None = self.claim.get("keys")
        self.bulk = keys is not None
        """Whether its elements are jobs of their own."""
        self.size: int | None = self.claim.get("array") if keys is None else len(keys)
        """How many elements it has, None for a single job."""

    @property
    def differing(self) -> bool:
        """Whether its elements have names and labels of their own."""
        return self.bulk and (self.claim["names"].__class__ is list or self.claim["labels"].__class__ is list)

    def described(self, index: int | None) -> tuple[str, Mapping[str, str]]:
        """(name, labels): of an element of a bulk its own, else the claim's."""
        if not self.bulk:
            return self.claim.get("name") or "", self.claim.get("labels") or {}
        names, labels = self.claim["names"], self.claim["labels"]
        if index is None or index >= (self.size or 0):
            index = 0
        return (
            names if names.__class__ is str else names[index],
            labels if labels.__class__ is dict else labels[index],
        )

    def hash(self, index: int | None) -> str:
        """The hash of what was submitted for a key."""
        found: str = self.claim["hash"] if index is None or not self.bulk else self.claim["hashes"][index]
        return found

    def owner(self, index: int | None) -> str | None:
        """The job that claimed it first, and so runs it; None before it started."""
        owners: Mapping[str, str] = self._data["owners"]
        if index is None and self.size is not None:
            return next((o.partition("_")[0] for o in owners.values()), None)
        return owners.get(_at(index))

    def ids(self, index: int | None) -> list[str]:
        """All Slurm jobs that were sent for it, the owner first."""
        owner = self.owner(index)
        found = [owner] if owner else []
        for mark in self.sent:  # JOBID, or JOBID.INDEX where only that element was sent
            job, dot, only = mark.partition(".")
            if not dot or index is None or only == str(index):
                found.append(job if index is None else f"{job}_{index}")
        return list(dict.fromkeys(found))

    def settled(self, index: int | None) -> Settled | None:
        """The end that somebody saw before."""
        finals = self._data["finals"]
        data = finals.get(_at(index)) if finals else None
        return Settled.load(data) if data else None

    @property
    def doubled(self) -> bool:
        """Whether more than one Slurm job was sent for it, so that the owner has to be looked for."""
        return len(self.jobs) > 1

    def cancelled(self, index: int | None) -> bool:
        """Whether it was cancelled through gpujobs."""
        return "cancelled" in self._marks or (index is not None and f"cancelled.{index}" in self._marks)

    def deleted(self, index: int | None) -> bool:
        """Whether this element of a bulk was deleted while others are kept."""
        return index is not None and f"deleted.{index}" in self._marks

    def by_deadline(self, end: End, started: float | None, ended: float | None) -> bool:
        """Whether a time-out was its deadline: Slurm shortens the time limit to it, and then calls it a time-out."""
        if end.cause is None or end.cause.code is not Reason.TIMEOUT or not self.claim.get("deadline"):
            return False
        limit = self.claim.get("time_limit")
        return not limit or started is None or ended is None or ended - started < limit - _SLACK_S

    def traces(self, index: int | None) -> Traces:
        """What it left."""
        head = "" if index is None else f"{index}."
        notes: Mapping[str, Any] = self._data["notes"]

        def of(stem: str) -> dict[int, Any]:
            start = f"{stem}.{head}"
            return {
                int(n): v for k, v in notes.items() if k.startswith(start) and v and (n := k[len(start) :]).isdigit()
            }

        return Traces(of("outcome"), of("started"), self.cancelled(index))


def _at(index: int | None) -> str:
    return "" if index is None else str(index)


def split_id(text: str) -> tuple[str, int | None] | None:
    """``1234_7`` as (parent, index); None for what is no Slurm id."""
    parent, under, index = text.partition("_")
    if not (parent.isascii() and parent.isdigit()) or (under and not (index.isascii() and index.isdigit())):
        return None
    return parent, int(index) if under else None
