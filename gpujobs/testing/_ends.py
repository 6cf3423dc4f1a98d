"""The contract about ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    NotFoundError,
    Reason,
    Ref,
    State,
)
from gpujobs.testing._base import ContractBase

if TYPE_CHECKING:
    from gpujobs import Client


PUBLIC_FIELDS = [
    "ref",
    "name",
    "kind",
    "target",
    "backend",
    "state",
    "final",
    "reason",
    "exit_code",
    "signal",
    "attempt",
    "replicas",
    "nodes",
    "submitted_at",
    "started_at",
    "ended_at",
    "native",
]
HOSTILE = (
    "plain",
    "",
    " leading and trailing ",
    "-n",
    "--help",
    "quotes ' \" ` and $HOME $(id) ${x} $$ \\ \\n",
    "percent %j %% and $(VAR) $$(VAR)",
    "line\nbreak\ttab",
    "émoji 🚀 עברית",
    "; rm -rf / #",
    "*?[a-z]{1,2}~",
    "x" * 100_000,
)


class EndsContract(ContractBase):
    """Every end is told truthfully, every text arrives byte for byte."""

    def test_a_job_that_ends_well_succeeds(self, client: Client) -> None:
        """Exit 0 is SUCCEEDED, with its times in order and nothing to complain of."""
        job, status = self.run(client, self.job("exit 0", name="fine"))

        assert (status.state, status.exit_code, status.signal, status.reason) == (State.SUCCEEDED, 0, None, None)
        assert (status.ref, status.name, status.kind, status.attempt) == (job.ref, "fine", "job", 0)
        assert (status.replicas.wanted, status.replicas.succeeded, status.replicas.running) == (1, 1, 0)
        times = [status.submitted_at, status.started_at, status.ended_at]
        assert all(times)
        assert status.started_at <= status.ended_at  # type: ignore[operator]

    def test_an_exit_code_is_told(self, client: Client) -> None:
        """Exit 7 is FAILED, reason exit-code, code 7."""
        _, status = self.run(client, self.job("exit 7"))

        assert (status.state, status.exit_code, status.signal) == (State.FAILED, 7, None)
        assert status.reason is not None
        assert status.reason.code is Reason.EXIT_CODE

    def test_a_signal_is_told_from_an_exit_code(self, client: Client) -> None:
        """A command ended by a signal has no exit code."""
        _, status = self.run(client, self.job("kill -USR1 $$; sleep 5"))

        assert (status.state, status.exit_code, status.signal) == (State.FAILED, None, 10)
        assert status.reason is not None
        assert status.reason.code is Reason.SIGNAL

    def test_a_status_is_json(self, client: Client) -> None:
        """``to_dict`` has exactly the public fields and is JSON."""
        _, status = self.run(client, self.job("exit 3"))

        public = json.loads(json.dumps(status.to_dict()))
        assert list(public) == PUBLIC_FIELDS
        assert set(public["reason"]) == {"code", "message", "next"}
        assert set(public["replicas"]) == {"wanted", "ready", "running", "succeeded", "failed"}
        assert public["ended_at"].endswith("Z")

    def test_an_unknown_ref_is_lost(self, client: Client) -> None:
        """Status says LOST; the other verbs raise NotFoundError."""
        job, _ = self.run(client, self.job("exit 0"))
        nobody = Ref(job.ref.backend, job.ref.target, self.unknown_id(job.ref.id))

        status = client.status(nobody)
        assert (status.state, status.submitted_at) == (State.LOST, None)
        with pytest.raises(NotFoundError):
            list(client.logs(nobody))
        with pytest.raises(NotFoundError):
            client.cancel(nobody)
        with pytest.raises(NotFoundError):
            client.explain(nobody)

    def unknown_id(self, known: str) -> str:
        """An id that never existed, in the shape of a known one."""
        head, _, last = known.rpartition("/")
        return f"{head}/{last[:-2]}zz" if head else "987654321"

    def test_hostile_text_arrives_byte_for_byte(self, client: Client) -> None:
        """No argument and no variable means anything to a shell, YAML or the scheduler."""
        script = (
            'for a in "$@"; do printf "%s" "$a" | od -An -v -tx1 | tr -d " \\n"; echo; done; printf %s "$V" | wc -c'
        )
        job, status = self.run(client, self.job(script, *HOSTILE, env={"V": "".join(HOSTILE[:-1])}))

        assert status.succeeded, job.explain()
        *words, size = self.text(job)
        assert [bytes.fromhex(w).decode() for w in words] == list(HOSTILE)
        assert int(size) == len("".join(HOSTILE[:-1]).encode())
