"""From a bare machine to a GPU cluster and back.

A plan is a list of steps on machines. ``plan.look()`` only looks, ``apply`` does what is missing and looks
again, ``undo`` takes back what the journal on the machine says was made, and nothing else.
"""

from __future__ import annotations

from gpujobs.bootstrap.engine import Applied, TakenBack, apply, holding, undo
from gpujobs.bootstrap.errors import BootstrapError, BusyError, CommandFailedError, RefusedError, StepFailedError
from gpujobs.bootstrap.facts import MachineFacts, gather
from gpujobs.bootstrap.journal import Journal
from gpujobs.bootstrap.plan import Event, Look, Plan
from gpujobs.bootstrap.shell import Completed, LocalShell, Shell, SshShell, checked, sudo_shell
from gpujobs.bootstrap.step import Finding, Machine, Step, Undone

__all__ = [
    "Applied",
    "BootstrapError",
    "BusyError",
    "CommandFailedError",
    "Completed",
    "Event",
    "Finding",
    "Journal",
    "LocalShell",
    "Look",
    "Machine",
    "MachineFacts",
    "Plan",
    "RefusedError",
    "Shell",
    "SshShell",
    "Step",
    "StepFailedError",
    "TakenBack",
    "Undone",
    "apply",
    "checked",
    "gather",
    "holding",
    "sudo_shell",
    "undo",
]
