"""Steps that are about files and directories, on real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpujobs.bootstrap import BootstrapError, CommandFailedError, LocalShell, Machine, files
from gpujobs.bootstrap.steps import UNDOERS, CopiedFile, Directory, File, SecretFile


def undone(machine: Machine, key: str) -> str:
    """Undo one entry, and say what was kept."""
    entry = machine.journal.find(key)
    assert entry is not None
    return UNDOERS[entry.kind](machine, entry.data).kept


@pytest.mark.parametrize(
    "name", ["plain", "with space", 'quote\'d "twice"', "$(touch pwned)", "-rf", "näme", "new\nline", "*"]
)
def test_a_path_is_only_a_path(machine: Machine, tmp_path: Path, me: str, name: str) -> None:
    """No character of a path means anything to a shell."""
    step = File("here", "Write", f"{tmp_path}/{name}", "text", 0o640, me)

    step.apply(machine)

    assert (tmp_path / name).read_text() == "text"
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
    assert step.check(machine).done
    undone(machine, step.key)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("there", "why"),
    [(("other", 0o644), "another content"), (("text", 0o600), "has mode 600 instead of 644"), (None, "is not there")],
)
def test_a_file_is_done_only_when_all_of_it_is(
    machine: Machine, tmp_path: Path, me: str, there: tuple[str, int] | None, why: str
) -> None:
    """Content and mode both count, and the finding names what is off."""
    if there:
        (tmp_path / "x").write_text(there[0])
        (tmp_path / "x").chmod(there[1])
    step = File("here", "Write", f"{tmp_path}/x", "text", owner=me)

    assert why in step.check(machine).why
    assert not step.check(machine).done
    step.apply(machine)
    assert step.check(machine).done


def test_the_owner_counts(machine: Machine, tmp_path: Path, me: str) -> None:
    """A file of somebody else is not done."""
    (tmp_path / "x").write_text("text")

    finding = File("here", "Write", f"{tmp_path}/x", "text", owner="nobody:nogroup").check(machine)

    assert finding.why == f"{tmp_path}/x belongs to {me} instead of nobody:nogroup"


def test_a_directory_in_the_way_is_an_error(machine: Machine, tmp_path: Path, me: str) -> None:
    """Nothing is removed to make room."""
    (tmp_path / "x").mkdir()

    with pytest.raises(BootstrapError, match="is a directory"):
        File("here", "Write", f"{tmp_path}/x", "text", owner=me).check(machine)
    (tmp_path / "y").write_text("")
    with pytest.raises(BootstrapError, match="is no directory"):
        Directory("here", "Make", f"{tmp_path}/y", owner=me).check(machine)


def test_undo_gives_back_content_mode_and_link(machine: Machine, tmp_path: Path, me: str) -> None:
    """A file reached through a link is changed where it is, and comes back as it was."""
    (tmp_path / "real").write_bytes(b"\x00bytes\xff")
    (tmp_path / "real").chmod(0o604)
    (tmp_path / "link").symlink_to("real")
    step = File("here", "Write", f"{tmp_path}/link", "text", 0o640, me)

    step.apply(machine)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "text"
    undone(machine, step.key)

    assert (tmp_path / "real").read_bytes() == b"\x00bytes\xff"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o604


def test_a_file_that_somebody_removed_comes_back_as_it_was(machine: Machine, tmp_path: Path, me: str) -> None:
    """Undo restores the earlier content even where ours is gone."""
    (tmp_path / "x").write_text("theirs")
    step = File("here", "Write", f"{tmp_path}/x", "ours", owner=me)
    step.apply(machine)
    (tmp_path / "x").unlink()

    assert undone(machine, step.key) == ""
    assert (tmp_path / "x").read_text() == "theirs"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, me: str) -> None:
    """A write that fails leaves the old content and no rest of the new one."""
    (tmp_path / "x").write_text("old")
    shell = LocalShell("here", prefix=("sh", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "limited"))

    with pytest.raises(CommandFailedError):
        files.write(shell, f"{tmp_path}/x", b"n" * 100_000, mode=0o644, owner=me)

    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_half_a_content_is_not_written(tmp_path: Path, me: str) -> None:
    """When the sender dies in the middle, the old file stays."""
    (tmp_path / "x").write_text("old")
    shell = LocalShell("here", prefix=("sh", "-c", 'head -c 3 | "$@"', "cut"))

    with pytest.raises(CommandFailedError, match="did not arrive whole"):
        files.write(shell, f"{tmp_path}/x", b"new content", mode=0o644, owner=me)

    assert (tmp_path / "x").read_text() == "old"


def test_a_change_that_never_came_leaves_no_backup(machine: Machine, tmp_path: Path, me: str) -> None:
    """A run that died between the note and the write is undone without a word."""
    (tmp_path / "x").write_text("theirs")
    step = File("here", "Write", f"{tmp_path}/x", "ours", owner=me)
    step.apply(machine)
    (tmp_path / "x").write_text("theirs")

    assert undone(machine, step.key) == ""
    assert not (tmp_path / "backups").exists()


def test_keys_are_random(machine: Machine, tmp_path: Path, me: str) -> None:
    """No two are the same."""
    for name in ("one", "two"):
        SecretFile("here", "Have a key", f"{tmp_path}/{name}", 32, 0o400, me).apply(machine)

    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_a_key_is_made_once(machine: Machine, tmp_path: Path, me: str) -> None:
    """A second run keeps the key, a short one is replaced, and a wrong mode is set without a new key."""
    path = tmp_path / "key"
    step = SecretFile("here", "Have a key", str(path), 32, 0o400, me)
    step.apply(machine)
    first = path.read_bytes()
    assert len(first) == 32

    path.chmod(0o644)
    assert step.check(machine).why == f"{path} has mode 644 instead of 400"
    step.apply(machine)
    assert path.read_bytes() == first
    assert step.check(machine).done

    path.unlink()
    path.write_bytes(b"short")
    assert "too short" in step.check(machine).why
    step.apply(machine)
    assert len(path.read_bytes()) == 32


def test_a_key_that_was_there_survives_the_undo(machine: Machine, tmp_path: Path, me: str) -> None:
    """Only the mode was ours, so only the mode goes back."""
    path = tmp_path / "key"
    path.write_bytes(b"k" * 64)
    path.chmod(0o640)
    step = SecretFile("here", "Have a key", str(path), 32, 0o400, me)
    step.apply(machine)

    undone(machine, step.key)

    assert path.read_bytes() == b"k" * 64
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_copied_key_follows_its_source(machine: Machine, tmp_path: Path, me: str) -> None:
    """Without a source it waits, with one it is the same, and a new source makes it undone."""
    other = LocalShell("other", prefix=("env", "-C", str(tmp_path)))
    step = CopiedFile("here", "Have the key", "key", other, 0o400, me)
    there = Machine("here", LocalShell("here", prefix=("env", "-C", str(tmp_path / "copy"))), machine.journal)
    (tmp_path / "copy").mkdir()

    assert step.check(there).why == "key is not there yet on other"
    with pytest.raises(BootstrapError, match="other has no key to copy"):
        step.apply(there)
    (tmp_path / "key").write_bytes(b"one")
    step.apply(there)
    assert (tmp_path / "copy/key").read_bytes() == b"one"
    assert step.check(there).done
    (tmp_path / "key").write_bytes(b"two")
    assert step.check(there).why == "key is not the one of other"


def test_a_directory_with_data_is_kept(machine: Machine, tmp_path: Path, me: str) -> None:
    """What is to be kept is, with the reason; empty, it goes, with the parents that were made for it."""
    step = Directory("here", "Make", f"{tmp_path}/a/b/c", 0o700, me, contents="keep", keep_why="it holds jobs")
    step.apply(machine)
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a/b/c/job").write_text("")

    assert undone(machine, step.key) == f"{tmp_path}/a/b/c stays: it holds jobs"
    assert (tmp_path / "a/b/c/job").exists()
    (tmp_path / "a/b/c/job").unlink()
    assert undone(machine, step.key) == ""
    assert not (tmp_path / "a").exists()


def test_a_directory_that_was_there_gets_its_mode_back(machine: Machine, tmp_path: Path, me: str) -> None:
    """A directory of somebody else is not removed, nor what is in it."""
    (tmp_path / "d").mkdir(mode=0o750)
    (tmp_path / "d/theirs").write_text("")
    step = Directory("here", "Make", f"{tmp_path}/d", 0o755, me)
    assert "750" in step.check(machine).why
    step.apply(machine)
    assert step.check(machine).done

    undone(machine, step.key)

    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "d/theirs").exists()


def test_parents_that_others_use_stay(machine: Machine, tmp_path: Path, me: str) -> None:
    """Only empty parents go with a directory."""
    step = Directory("here", "Make", f"{tmp_path}/a/b", owner=me)
    step.apply(machine)
    (tmp_path / "a/b/ours").write_text("")
    (tmp_path / "a/theirs").write_text("")

    undone(machine, step.key)

    assert not (tmp_path / "a/b").exists()
    assert (tmp_path / "a/theirs").exists()


def test_no_secret_is_shown(tmp_path: Path, me: str) -> None:
    """Commands of secret files have their paths and not their contents."""
    shown = File("here", "Write", f"{tmp_path}/x", "hunter2", owner=me, secret=True).commands()
    assert "hunter2" not in shown[0]
    assert "<secret>" in shown[0]
