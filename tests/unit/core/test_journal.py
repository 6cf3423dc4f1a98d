"""The journal of open submissions: nothing is sent that it does not know, and nothing in it is lost or invented."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    AuthError,
    Client,
    Config,
    ConflictError,
    GpuJob,
    GpuJobsError,
    NotFoundError,
    Secret,
    SubmitManyError,
    UnavailableError,
)
from gpujobs._identity import submission
from gpujobs._journal import Journal
from gpujobs._retry import ATTEMPTS
from gpujobs.testing import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.backend import Submission, Submitted

ITEM = submission(GpuJob(command=["train"], files={"in": b"\xff\0"}), "mine")
DEFAULTS = "[targets.memory]\nbackend = 'memory'\n[targets.memory.defaults]\nretries = 3\n"


class Cut(MemoryBackend):
    """A memory backend that loses replies, or fails as a whole."""

    cut = 0
    broken: GpuJobsError | None = None

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Take them; say nothing of it while ``cut``."""
        if self.broken is not None:
            raise self.broken
        results = super().submit(items)
        if self.cut:
            self.cut -= 1
            return [UnavailableError("The reply was lost.") for _ in items]
        return results


@pytest.fixture
def backend() -> Cut:
    """Four pretended GPUs."""
    backend = Cut.create()
    assert isinstance(backend, Cut)
    return backend


def client_of(backend: MemoryBackend, state: Path, config: str = "") -> Client:
    """A client of that backend alone."""
    return Client(Config.parse(config), backends={"memory": backend}, clock=backend.clock, state_dir=state)


def test_an_entry_holds_what_is_needed_to_send_it_again(tmp_path: Path) -> None:
    """Key, target, hash, time and the workload; a settled one is gone."""
    journal = Journal(tmp_path)
    call = journal.begin([ITEM], target="lab", now=5.0)

    ((entry,), broken) = journal.open()
    assert (entry.key, entry.target, entry.spec_hash, entry.began_at) == ("mine", "lab", ITEM.spec_hash, 5.0)
    assert GpuJob.model_validate(entry.spec) == ITEM.spec
    assert broken == []
    journal.settle(call, ())
    journal.settle(call, ())
    assert journal.open() == ([], [])
    assert list((tmp_path / "open").iterdir()) == []


def test_the_same_key_on_two_targets_is_two_entries(tmp_path: Path) -> None:
    """A key belongs to a target; the oldest comes first; settling one leaves the other."""
    journal = Journal(tmp_path)
    journal.begin([ITEM], target="b", now=1.0)
    call = journal.begin([ITEM], target="a", now=2.0)
    assert [e.target for e in journal.open()[0]] == ["b", "a"]
    assert call.earlier == frozenset()
    journal.settle(call, ())
    assert [e.target for e in journal.open()[0]] == ["b"]


def test_many_that_are_sent_together_are_one_file(tmp_path: Path) -> None:
    """Those that are settled leave it, whatever the others do; the last one takes it along."""
    journal = Journal(tmp_path)
    items = [submission(GpuJob(command=["x", str(i)]), f"k\u2028{i}") for i in range(1000)]
    call = journal.begin(items, target="lab", now=1.0)
    assert len(list((tmp_path / "open").iterdir())) == 1
    assert [e.key for e in journal.open()[0]] == [item.key for item in items]

    journal.settle(call, {items[7].key})
    assert [e.key for e in journal.open()[0]] == [items[7].key]
    again = journal.begin([items[7], items[8]], target="lab", now=2.0)
    assert again.earlier == {items[7].key}
    journal.settle(again, ())
    assert list((tmp_path / "open").iterdir()) == []


def test_an_open_key_is_open_once_however_often_it_is_tried(tmp_path: Path) -> None:
    """What an earlier call left open stays, until a later one knows the outcome."""
    journal = Journal(tmp_path)
    journal.begin([ITEM], target="lab", now=1.0)
    for now in (2.0, 3.0):
        call = journal.begin([ITEM], target="lab", now=now)
        journal.settle(call, {ITEM.key})
    assert [e.began_at for e in journal.open()[0]] == [1.0]
    assert len(list((tmp_path / "open").iterdir())) == 1


def test_many_clients_at_once_lose_no_entry(tmp_path: Path) -> None:
    """Eight threads begin and settle; the one key that is never settled is still there."""
    journal = Journal(tmp_path)
    journal.begin([submission(GpuJob(command=["x"]), "kept")], target="lab", now=0.0)

    def work(name: str) -> None:
        for i in range(20):
            items = [submission(GpuJob(command=["x"]), f"{name}-{i}-{j}") for j in range(3)]
            journal.settle(journal.begin(items, target="lab", now=1.0), ())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, "abcdefgh"))
    entries, broken = journal.open()
    assert ([e.key for e in entries], broken) == (["kept"], [])


DIES_WHILE_SENDING = """
import os, signal, sys
from pathlib import Path
from gpujobs import Client, Config, GpuJob
from gpujobs.testing import MemoryBackend

backend = MemoryBackend.create()
backend.submit = lambda items: os.kill(os.getpid(), signal.SIGKILL)
client = Client(Config(), backends={"memory": backend}, state_dir=Path(sys.argv[1]))
client.submit(GpuJob(command=["train"], name="survivor"), idempotency_key="mine")
"""


def test_a_client_killed_between_begin_and_settle_can_be_resumed(backend: Cut, tmp_path: Path) -> None:
    """Another process finds the open key, sends it, and then nothing is open."""
    died = subprocess.run([sys.executable, "-c", DIES_WHILE_SENDING, tmp_path], check=False)
    assert died.returncode == -signal.SIGKILL

    client = client_of(backend, tmp_path)
    assert [e.key for e in client.open_submissions()] == ["mine"]
    (job,) = client.resume("mine")
    assert job.status().name == "survivor"
    assert client.open_submissions() == []


DIES_IN_A_BULK = """
import os, signal, sys
from pathlib import Path
from gpujobs import Client, Config, GpuJob
from gpujobs.testing import MemoryBackend

backend = MemoryBackend.create()
backend.submit = lambda items: os.kill(os.getpid(), signal.SIGKILL)
client = Client(Config(), backends={"memory": backend}, state_dir=Path(sys.argv[1]))
client.submit_many([GpuJob(command=["train"], name=f"n{i}") for i in range(50)])
"""


def test_a_client_killed_in_a_bulk_can_be_resumed_in_one_call(backend: Cut, tmp_path: Path) -> None:
    """All fifty were written down before any was sent; they are settled together, and nothing is open then."""
    died = subprocess.run([sys.executable, "-c", DIES_IN_A_BULK, tmp_path], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "open").iterdir())) == 1
    calls: list[int] = []
    submit = backend.submit

    def counted(items: Sequence[Submission]) -> list[Submitted]:
        calls.append(len(items))
        return submit(items)

    backend.submit = counted  # type: ignore[method-assign]
    client = client_of(backend, tmp_path)
    jobs = client.resume()
    assert [job.status().name for job in jobs] == [f"n{i}" for i in range(50)]
    assert calls == [50]
    assert list((tmp_path / "open").iterdir()) == []


NO_ROOM = """
import resource, sys
from pathlib import Path
from gpujobs import Client, Config, GpuJob, GpuJobsError
from gpujobs.testing import MemoryBackend

backend = MemoryBackend.create()
client = Client(Config(), backends={"memory": backend}, state_dir=Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    client.submit(GpuJob(command=["train"]))
except GpuJobsError as e:
    sys.exit(0 if "Nothing was submitted" in str(e) and not client.list_jobs(finished=True) else str(e))
"""


def test_without_room_nothing_is_sent_and_no_rubbish_left(tmp_path: Path) -> None:
    """The file system takes not one byte: one clear error, no job, no file."""
    subprocess.run([sys.executable, "-c", NO_ROOM, tmp_path], check=True)
    assert list((tmp_path / "open").iterdir()) == []


def test_a_bulk_costs_one_file(backend: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, renamed into place and removed once, however many are in it."""
    made: list[str] = []
    rename = Path.rename

    def counted(path: Path, target: str) -> Path:
        made.append(target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", counted)
    client = client_of(backend, tmp_path)
    client.submit_many([GpuJob(command=["train"])] * 200)
    assert len(made) == 1
    assert list((tmp_path / "open").iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "x"}', "\xff"])
def test_an_unreadable_entry_is_named_and_holds_up_nobody(
    backend: Cut, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It may stand for a job: it is named and kept until a person lets it go; the others are settled."""
    client = client_of(backend, tmp_path)
    Journal(tmp_path).begin([submission(GpuJob(command=["y"]), "good")], target="memory", now=2.0)
    bad = tmp_path / "open" / "bad.json"
    bad.write_text(content, encoding="latin-1")

    assert [e.key for e in client.open_submissions()] == ["good"]
    assert "bad.json cannot be read" in caplog.text
    with pytest.raises(NotFoundError, match=r"'other' is open here") as missing:
        client.resume("other")
    assert "bad.json" in missing.value.next_step
    with pytest.raises(SubmitManyError, match=r"bad\.json cannot be read") as caught:
        client.resume()
    assert [ref is not None for ref in caught.value.refs] == [True, False]
    assert bad.exists()
    assert "--abandon" in (caught.value.errors[1] or GpuJobsError("")).next_step

    assert client.abandon(str(bad)) == 1
    assert client.resume() == []
    with pytest.raises(NotFoundError, match="no unreadable file"):
        client.abandon(str(bad))


def test_an_open_key_can_be_abandoned(backend: Cut, tmp_path: Path) -> None:
    """The others of its file stay, and so does what cannot be read until that is let go, too."""
    client = client_of(backend, tmp_path)
    items = [submission(GpuJob(command=["y"]), key) for key in "abc"]
    path = Path(Journal(tmp_path).begin(items, target="memory", now=2.0).path)
    path.write_text(path.read_text() + "half a li")

    assert client.abandon("b") == 1
    assert [e.key for e in client.open_submissions()] == ["a", "c"]
    with pytest.raises(SubmitManyError, match="1 of 3 lines are no entry"):
        client.resume()
    assert client.abandon(str(path)) == 1
    assert list((tmp_path / "open").iterdir()) == []


def test_an_entry_that_cannot_be_removed_loses_no_job(
    backend: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The job is returned all the same; resuming the left-over finds the same one."""
    client = client_of(backend, tmp_path)

    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002  # the signature of Path.unlink
        if path.suffix == ".json":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    with caplog.at_level(logging.WARNING, "gpujobs"), monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        job = client.submit(GpuJob(command=["x"]), idempotency_key="k")
    assert "is settled, but it cannot be removed: Permission denied" in caplog.text
    assert client.resume("k") == [job]
    assert client.open_submissions() == []


def test_resuming_sends_what_was_sent_whatever_the_defaults_say_now(backend: Cut, tmp_path: Path) -> None:
    """An explicit value that equals the model's default is not overruled, and a new default is not merged in."""
    client = client_of(backend, tmp_path, DEFAULTS)
    backend.cut = ATTEMPTS
    with pytest.raises(UnavailableError):
        client.submit(GpuJob(command=["train"], retries=0), idempotency_key="k")

    other = client_of(backend, tmp_path, DEFAULTS + "name = 'added later'\n")
    (job,) = other.resume()
    assert [s.ref for s in other.list_jobs(finished=True)] == [job.ref]
    assert job.status().name == ""


def test_an_entry_that_was_tampered_with_is_not_sent(backend: Cut, tmp_path: Path) -> None:
    """Its hash tells; it stays open for a person to look at."""
    client = client_of(backend, tmp_path)
    Journal(tmp_path).begin([ITEM], target="memory", now=1.0)
    (path,) = (tmp_path / "open").iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"spec": {"command": ["other"], "kind": "job"}}))

    with pytest.raises(SubmitManyError, match="no longer means what was submitted") as caught:
        client.resume()
    assert isinstance(caught.value.errors[0], ConflictError)
    assert client.list_jobs(finished=True) == []
    assert len(client.open_submissions()) == 1


def test_resuming_several_settles_those_that_can_be(
    backend: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose secret is not there any more does not hold up the other, and stays open."""
    client = client_of(backend, tmp_path)
    secret = submission(GpuJob(command=["x"], secrets=[Secret("TOKEN")]), "a")
    Journal(tmp_path).begin([secret, submission(GpuJob(command=["y"]), "b")], target="memory", now=1.0)

    with pytest.raises(SubmitManyError, match="TOKEN is not set") as caught:
        client.resume()
    assert [ref is not None for ref in caught.value.refs] == [False, True]
    monkeypatch.setenv("TOKEN", "again")
    assert [e.key for e in client.open_submissions()] == ["a"]
    assert len(client.resume()) == 1


def test_a_call_that_is_refused_as_a_whole_leaves_nothing_open(backend: Cut, tmp_path: Path) -> None:
    """Nothing was sent, so there is nothing to resume; each item has the reason."""
    client = client_of(backend, tmp_path)
    backend.broken = AuthError("The token has expired.", next_step="Log in.")
    with pytest.raises(AuthError, match="expired"):
        client.submit(GpuJob(command=["x"]))
    with pytest.raises(SubmitManyError) as caught:
        client.submit_many([GpuJob(command=["x"])] * 2)
    assert [type(e) for e in caught.value.errors] == [AuthError, AuthError]
    assert client.open_submissions() == []
