"""One holder per GPU, machine-wide: a ``flock`` per GPU, or per share of one, that only the kernel can take away.

The supervisor of a job holds the lock. A supervisor that is killed loses it at once, also while processes of its job
still compute; so the file names its holder until that holder has left in good order, and a free lock whose last holder
left processes behind is not handed out.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gpujobs.errors import ConfigError
from gpujobs_local._cgroup import members
from gpujobs_local._flock import unlock
from gpujobs_local._processes import boot_id, carrying, environment

if TYPE_CHECKING:
    from gpujobs_local._processes import Process

_LONGEST_NOTE = 65536
MARK = "GPUJOBS_HOLDER"
"""The environment variable that marks every process of a holder; unlike a ref it is unique on the machine."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: the ref for people, the mark and the control groups for finding processes."""

    ref: str
    mark: str
    groups: str = ""

    def processes(self) -> list[Process]:
        """What of this holder lives."""
        found = carrying([(MARK, self.mark), ("GPUJOBS_REF", self.ref)], members(self.groups))
        # Another user's job may have the same ref; its mark is another.
        own = self.mark.encode()
        return [p for p in found if environment(p.pid).get(MARK.encode(), own) == own]

    def dump(self) -> bytes:
        """As it is noted in the lock file; it counts until the machine is restarted."""
        return json.dumps({"boot": boot_id(), "ref": self.ref, "mark": self.mark, "groups": self.groups}).encode()

    @classmethod
    def load(cls, text: bytes) -> Holder | None:
        """What a lock file notes, or None: anybody may write into it, so nothing is taken for granted."""
        try:
            entry = json.loads(text or b"{}")
        except ValueError:
            return None
        if not isinstance(entry, dict):
            return None
        note = {name: value for name, value in cast("dict[str, object]", entry).items() if isinstance(value, str)}
        if note.get("boot") != boot_id() or not note.get("ref") or not note.get("mark"):
            return None
        return cls(note["ref"], note["mark"], note.get("groups", ""))


@dataclass(frozen=True, slots=True)
class Hold:
    """Held locks, as open files: they pass to a child that inherits them, and end with the last copy."""

    gpu: str
    files: tuple[int, ...]

    def close(self) -> None:
        """Give up this process's copies; whoever inherited them holds on."""
        for fd in self.files:
            os.close(fd)

    def release(self) -> None:
        """Give it up for good: also copies that a fork of this process has by accident hold nothing any more."""
        for fd in self.files:
            unlock(fd)


class Locks:
    """The locks in one directory."""

    def __init__(self, directory: Path, shares: int, *, parents: bool = True) -> None:
        self._dir = directory
        self._parents = parents
        self._shares = shares
        self.left_behind: set[Holder] = set()
        """Holders found gone whose processes still live: they keep GPUs from being handed out."""

    def exclusive(self, gpu: str, holder: Holder) -> Hold | None:
        """The whole GPU, or None while anybody has it or a share of it."""
        whole = self._take(gpu, None, fcntl.LOCK_EX)
        if whole is None:
            return None
        if self._haunted(gpu, [None, *range(self._shares)]):
            unlock(whole)
            return None
        _write(whole, holder)
        return Hold(gpu, (whole,))

    def share(self, gpu: str, holder: Holder, count: int) -> Hold | None:
        """``count`` shares of the GPU, or None while somebody has the whole or too few shares are left."""
        whole = self._take(gpu, None, fcntl.LOCK_SH)
        if whole is None:
            return None
        taken = [whole]
        if not self._haunted(gpu, [None]):
            for slot in range(self._shares):
                if len(taken) > count:
                    break
                fd = self._take(gpu, slot, fcntl.LOCK_EX)
                if fd is not None and self._haunted(gpu, [slot]):
                    unlock(fd)
                elif fd is not None:
                    taken.append(fd)
        if len(taken) <= count:
            Hold(gpu, tuple(taken)).release()
            return None
        for fd in taken[1:]:
            _write(fd, holder)
        return Hold(gpu, tuple(taken))

    def in_use(self, gpu: str) -> bool:
        """Whether anybody holds it or a share of it now; only looks."""
        fd = self._take(gpu, None, fcntl.LOCK_EX)
        if fd is not None:
            unlock(fd)
        return fd is None

    def check(self, gpu: str) -> None:
        """See whether its lock could be used at all.

        Raises:
            ConfigError: It is a symbolic link, a directory, may not be opened...
        """
        os.close(self._open(self._path(gpu, None)))

    def forget(self, gpu: str) -> None:
        """Remove the lock of a GPU that is none (a trial)."""
        self._path(gpu, None).unlink(missing_ok=True)

    def _take(self, gpu: str, slot: int | None, how: int) -> int | None:
        path = self._path(gpu, slot)
        fd = self._open(path)
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if path.lstat().st_ino == os.fstat(fd).st_ino:
                    return fd
        except BlockingIOError:
            pass
        os.close(fd)
        return None

    def _path(self, gpu: str, slot: int | None) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", gpu)
        return self._dir / (f"{name}.lock" if slot is None else f"{name}.{slot}.lock")

    def _open(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            # First without O_CREAT: in a shared directory the kernel refuses it for another user's file
            # (fs.protected_regular), although the file may be opened.
            try:
                fd = os.open(path, flags)
            except FileNotFoundError:
                self._make_directory()
                fd = os.open(path, flags | os.O_CREAT, 0o666)
                with suppress(PermissionError):
                    os.fchmod(fd, 0o666)  # past the umask: other users lock the same file
        except OSError as e:
            raise _unusable(path, "is a symbolic link" if e.errno == errno.ELOOP else str(e.strerror)) from e
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _unusable(path, "is no regular file")
        return fd

    def _make_directory(self) -> None:
        with suppress(FileExistsError):
            self._dir.mkdir(parents=self._parents)
            self._dir.chmod(0o1777)
        if self._dir.is_symlink() or not self._dir.is_dir():
            raise _unusable(self._dir, "is no directory of its own")

    def _haunted(self, gpu: str, slots: list[int | None]) -> bool:
        """Whether processes of a holder that is gone are still there; only for locks that are free."""
        found = False
        for slot in slots:
            holder = self._last_holder(self._path(gpu, slot))
            if holder is not None and holder.processes():
                self.left_behind.add(holder)
                found = True
        return found

    def _last_holder(self, path: Path) -> Holder | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return Holder.load(os.read(fd, _LONGEST_NOTE))
        except OSError:
            return None
        finally:
            os.close(fd)


def mark_of(store_id: str, job_id: int, idx: int) -> str:
    """What marks the processes of a task, unique on this machine."""
    return f"{store_id}/{job_id}_{idx}"


def lock_directory(named: str | None) -> Path:
    """Where the locks of real GPUs lie: the same place for every user of this machine."""
    if named:
        return Path(named)
    parent = next((p for p in (Path("/run/lock"), Path("/tmp")) if _shared(p)), Path("/tmp"))  # noqa: S108
    return parent / "gpujobs"


def left_in_order(files: list[int]) -> None:
    """The holder is done and nothing of it is left: take its name out of the files it holds."""
    for fd in files:
        with suppress(OSError):
            os.ftruncate(fd, 0)


def _write(fd: int, holder: Holder) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, holder.dump(), 0)


def _shared(path: Path) -> bool:
    try:
        return path.stat().st_mode & 0o1777 == 0o1777  # noqa: PLR2004  # the mode of /tmp
    except OSError:
        return False


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The GPU lock {path} {why}.",
        next_step="Have its owner remove it, or name another directory for all users: lock_dir in [targets.local].",
    )
