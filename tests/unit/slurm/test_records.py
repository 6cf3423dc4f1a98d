"""Job directories: claims are atomic, ids lead to records, and forgetting leaves nothing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gpujobs_slurm._record import Record, split_id
from gpujobs_slurm.remote import bulks, records

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
    assert bulks.refused(str(tmp_path), "aa", "n1")
    assert claim(tmp_path)
    records.doubt(str(tmp_path), "aa", "n1")
    records.begin_again(str(tmp_path), "aa", "n2")
    assert not bulks.refused(str(tmp_path), "aa", "n2")
    assert (tmp_path / "aa").is_dir()


def bulk(root: Path, name: str, keys: list[str]) -> None:
    """Put a record of many keys in place."""
    assert records.claim(str(root), name, {"claim.json": json.dumps({"keys": keys}).encode(), "script": b""}, "n")


def test_keys_of_a_bulk_are_claimed_one_by_one(tmp_path: Path) -> None:
    """Those that are taken are left out."""
    claim(tmp_path, bulks.name_of("k1"))
    bulk(tmp_path, "bulk-x", ["k0", "k1", "k2"])

    assert bulks.claim_keys(str(tmp_path), "bulk-x", ["k0", "k1", "k2"]) == [0, 2]
    assert bulks.resolve(str(tmp_path), "k2") == ["bulk-x", 2]
    assert bulks.resolve(str(tmp_path), "k1") == [bulks.name_of("k1"), None]
    assert bulks.resolve(str(tmp_path), "k9") is None
    assert not claim(tmp_path, bulks.name_of("k0"))


STEM = "0123456789abcdef0123"


def test_keys_that_were_made_together_are_claimed_by_one_file(tmp_path: Path) -> None:
    """Also in several records; each is found in its own, and the stem cannot be claimed again."""
    keys = [f"{STEM}.{i}" for i in range(5)]
    bulk(tmp_path, "bulk-x", keys[:3])
    bulk(tmp_path, "bulk-y", keys[3:])
    before = len(list(tmp_path.iterdir()))

    assert bulks.claim_stem(str(tmp_path), keys, ["bulk-x", "bulk-y"])
    assert len(list(tmp_path.iterdir())) == before + 1
    assert [bulks.resolve(str(tmp_path), key) for key in (keys[2], keys[3], f"{STEM}.5")] == [
        ["bulk-x", 2],
        ["bulk-y", 0],
        None,
    ]
    assert not bulks.claim_stem(str(tmp_path), keys, ["bulk-z"])
    assert bulks.claim_keys(str(tmp_path), "bulk-z", [keys[0], f"{STEM}.5"]) == [1]
    assert sorted(record["name"] for record in records.listing(str(tmp_path))) == ["bulk-x", "bulk-y"]


@pytest.mark.parametrize("keys", [["k0", "k1"], [f"{STEM}.0", "1" + STEM[1:] + ".1"], [f"{STEM}.0", f"{STEM}.x"]])
def test_other_keys_have_no_common_claim(tmp_path: Path, keys: list[str]) -> None:
    """Not of one stem, or of none: each has a claim of its own."""
    bulk(tmp_path, "bulk-x", keys)
    assert not bulks.claim_stem(str(tmp_path), keys, ["bulk-x"])
    assert bulks.claim_keys(str(tmp_path), "bulk-x", keys) == [0, 1]


def test_one_key_that_is_claimed_alone_keeps_its_stem_from_being_claimed(tmp_path: Path) -> None:
    """Of two clients with keys of one stem only one gets each key, whichever comes first."""
    bulks.stand_apart(str(tmp_path), f"{STEM}.1")
    claim(tmp_path, bulks.name_of(f"{STEM}.1"))
    keys = [f"{STEM}.{i}" for i in range(3)]
    bulk(tmp_path, "bulk-x", keys)

    assert not bulks.claim_stem(str(tmp_path), keys, ["bulk-x"])
    assert bulks.claim_keys(str(tmp_path), "bulk-x", keys) == [0, 2]


def test_of_a_whole_and_a_single_claim_at_once_one_wins_each_key(tmp_path: Path) -> None:
    """Sixteen rounds of a bulk against single submissions of its keys: no key is claimed twice, and none by nobody."""
    keys = [f"{STEM}.{i}" for i in range(4)]

    def whole(root: Path) -> list[str]:
        bulk(root, "bulk-x", keys)
        if bulks.claim_stem(str(root), keys, ["bulk-x"]):
            return keys
        return [keys[i] for i in bulks.claim_keys(str(root), "bulk-x", keys)]

    def single(root: Path, key: str) -> list[str]:
        bulks.stand_apart(str(root), key)
        if bulks.member(str(root), key) or not claim(root, bulks.name_of(key), key):
            return []
        return [key]

    with ThreadPoolExecutor(5) as pool:
        for number in range(16):
            root = tmp_path / str(number)
            root.mkdir()
            (root / "twins").mkdir()
            won = [pool.submit(whole, root), *(pool.submit(single, root, key) for key in keys)]
            assert sorted(key for one in won for key in one.result()) == keys


def test_forgetting_leaves_nothing(tmp_path: Path) -> None:
    """Record, ids and the keys of elements go; those of others stay."""
    for name, keys in (("bulk-x", ["k0", "k1"]), ("bulk-y", [f"{STEM}.0", f"{STEM}.1"])):
        bulk(tmp_path, name, keys)
        if not bulks.claim_stem(str(tmp_path), keys, [name]):
            bulks.claim_keys(str(tmp_path), name, keys)
        records.note_id(str(tmp_path), name, "n", "7" + name[-1])
    claim(tmp_path, "other")
    records.note_id(str(tmp_path), "other", "n1", "8")

    assert len(records.listing(str(tmp_path))) == 3
    for name in ("bulk-x", "bulk-y"):
        for index in ("0", "1"):
            records.put(str(tmp_path), name, f"deleted.{index}", b"")
            bulks.forget_elements(str(tmp_path), [[name, index]])
            if index == "0":
                assert bulks.resolve(str(tmp_path), "k0" if name == "bulk-x" else f"{STEM}.0") is None
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
