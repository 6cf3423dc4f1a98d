"""The kinds of steps a plan is made of, and how the journal undoes each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.steps.command import Command, guarded
from gpujobs.bootstrap.steps.directory import Directory
from gpujobs.bootstrap.steps.file import CopiedFile, File, SecretFile
from gpujobs.bootstrap.steps.packages import Packages
from gpujobs.bootstrap.steps.service import RunningBefore, Service
from gpujobs.bootstrap.steps.take_back import TakeBack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.engine import Undoer

UNDOERS: Mapping[str, Undoer] = {
    kind.kind: kind.undo
    for kind in (Command, CopiedFile, Directory, File, Packages, RunningBefore, SecretFile, Service)
}

__all__ = [
    "UNDOERS",
    "Command",
    "CopiedFile",
    "Directory",
    "File",
    "Packages",
    "RunningBefore",
    "SecretFile",
    "Service",
    "TakeBack",
    "guarded",
]
