"""Job directories: claims are atomic, ids lead to records, and forgetting leaves nothing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gpujobs_slurm._record import Record, split_id
from gpujobs_slurm.remote import records

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"claim.json": b'{"key":"k"}', "script": b"true", "files/d/f": b"\0x"}


def claim(root: Path, name: str = "aa", nonce: str = "n1") -> bool:
    """Claim a name."""
    return records.claim(str(root), name, FILES, nonce)


def test_a_claim_is_made_once_and_whole(tmp_path: Path) -> None:
    """Of many at once one wins; the directory has all its files, and nobody else may read them."""
    root = tmp_path / "new" / "root"

    def compete(number: int) -> bool:
        return claim(root, nonce=f"n{number}")

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(compete, range(16)))

    assert sum(won) == 1
    assert (root / "aa" / "files/d/f").read_bytes() == b"\0x"
    assert (root / "aa").stat().st_mode & 0o777 == 0o700
    assert [p.name for p in root.iterdir() if p.name.startswith(".new-")] == []


def test_an_id_is_written_down_and_found(tmp_path: Path) -> None:
    """From the id to the record and back; an id of a former cluster leads to the new record."""
    claim(tmp_path)
    claim(tmp_path, "bb")
    assert not records.note_id(str(tmp_path), "aa", "n1", "7")
    assert records.record_of(str(tmp_path), "7") == "aa"
    assert not records.note_id(str(tmp_path), "bb", "n1", "7")
    assert records.record_of(str(tmp_path), "7") == "bb"
    assert records.record_of(str(tmp_path), "8") is None


def test_two_ids_of_one_record_are_twins(tmp_path: Path) -> None:
    """Either answers for the owner."""
    claim(tmp_path)
    records.note_id(str(tmp_path), "aa", "n1", "7")
    records.begin_again(str(tmp_path), "aa", "n2")
    assert records.note_id(str(tmp_path), "aa", "n2", "8")
    assert sorted(records.twins(str(tmp_path))) == ["7", "8"]
    (tmp_path / "aa" / "owner").symlink_to("8")

    data = records.read(str(tmp_path), "aa")
    assert data is not None
    assert Record(data).ids(None) == ["8", "7"]


def test_a_refused_claim_is_gone_unless_another_send_is_open(tmp_path: Path) -> None:
    """The key is free again; a send without an answer keeps it."""
    claim(tmp_path)
    assert records.refused(str(tmp_path), "aa", "n1")
    assert claim(tmp_path)
    records.doubt(str(tmp_path), "aa", "n1")
    records.begin_again(str(tmp_path), "aa", "n2")
    assert not records.refused(str(tmp_path), "aa", "n2")
    assert (tmp_path / "aa").is_dir()


def test_keys_of_a_bulk_are_claimed_one_by_one(tmp_path: Path) -> None:
    """Those that are taken are left out."""
    claim(tmp_path, "k1")
    claim(tmp_path, "bulk-x")

    assert records.claim_elements(str(tmp_path), "bulk-x", ["k0", "k1", "k2"]) == [0, 2]
    assert records.resolve(str(tmp_path), "k2") == ["bulk-x", 2]
    assert records.resolve(str(tmp_path), "k1") == ["k1", None]
    assert records.resolve(str(tmp_path), "k9") is None
    assert not claim(tmp_path, "k0")


def test_forgetting_leaves_nothing(tmp_path: Path) -> None:
    """Record, ids and the keys of elements go; those of others stay."""
    elements = [{"at": f"k{i}", "index": i} for i in range(2)]
    files = {"claim.json": json.dumps({"elements": elements}).encode(), "script": b""}
    records.claim(str(tmp_path), "bulk-x", files, "n")
    records.claim_elements(str(tmp_path), "bulk-x", ["k0", "k1"])
    records.note_id(str(tmp_path), "bulk-x", "n", "7")
    claim(tmp_path, "other")
    records.note_id(str(tmp_path), "other", "n1", "8")

    for index in ("0", "1"):
        records.put(str(tmp_path), "bulk-x", f"deleted.{index}", b"")
        records.forget_elements(str(tmp_path), [["bulk-x", index]])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ids", "other", "twins"]
    assert [p.name for p in (tmp_path / "ids").iterdir()] == ["8"]


def test_the_first_end_that_was_seen_stays(tmp_path: Path) -> None:
    """Later ones are read after it and change nothing; half a file is no end."""
    claim(tmp_path)
    for stamp, state in (("2", "FAILED"), ("1", "CANCELLED")):
        records.put(str(tmp_path), "aa", f"final.{stamp}", json.dumps({"": {"state": state}}).encode())
    records.put(str(tmp_path), "aa", "final.0", b'{"": {"sta')

    data = records.read(str(tmp_path), "aa")
    assert data is not None
    assert data["finals"][""]["state"] == "CANCELLED"


@pytest.mark.parametrize(
    ("text", "part"),
    [("12", ("12", None)), ("12_3", ("12", 3)), ("", None), ("x", None), ("12_", None), ("../1", None)],
)
def test_ids_are_read(text: str, part: tuple[str, int | None] | None) -> None:
    """Nothing that is no id ever becomes a path."""
    assert split_id(text) == part
