"""The journal's files: what is written, what is left, and that many clients at once lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gpujobs import GpuJob
from gpujobs._identity import submission
from gpujobs._journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

ITEM = submission(GpuJob(command=["train"], files={"in": b"\xff\0"}), "mine")


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
