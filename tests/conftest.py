"""Shared by all tests."""

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background of a shell ignores it, and so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite(
    "gpujobs.testing._base", "gpujobs.testing._ends", "gpujobs.testing._verbs", "gpujobs.testing._fieldwise"
)
