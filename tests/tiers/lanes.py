"""Tiers side by side, each in a process of its own, each told as a whole when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from counting import Counts, say

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

_PAUSE_S = 0.05


class Started(NamedTuple):
    """A tier that runs in a process of its own, at the head of its own group."""

    tier: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def ended(self) -> bool:
        """Whether it has ended; then it was good enough if its exit code is 0."""
        return self.process.poll() is not None

    def tell(self) -> None:
        """Print what it printed; one that broke off has no line of its own."""
        self.output.seek(0)
        text = self.output.read().decode(errors="replace")
        self.output.close()
        say(text.rstrip("\n"))
        if f"\n{self.tier}: " not in text:
            say(f"{self.tier}: {Counts(failed=1)}")


def start(tier: str, command: Sequence[str]) -> Started:
    """Begin a tier; an interrupt of this program reaches it only through ``stop``."""
    output = tempfile.TemporaryFile()  # noqa: SIM115  # closed when it is told
    say(f"-- {tier} begins")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    return Started(tier, process, output)


def stop(running: Sequence[Started], interrupts: list[int]) -> None:
    """Pass interrupts on to what runs, and wait until it has cleared away what it had set up."""
    passed_on = 0
    while any(not started.ended() for started in running):
        if passed_on < len(interrupts):
            passed_on = len(interrupts)
            for started in running:
                if not started.ended():
                    os.killpg(started.process.pid, signal.SIGINT)
        time.sleep(_PAUSE_S)
    for started in running:
        started.tell()


@contextmanager
def noting(*numbers: signal.Signals) -> Generator[list[int]]:
    """Signals as they come. Raised anywhere, one would lose sight of a tier that is just being started."""
    noted: list[int] = []
    before = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def side_by_side(lanes: Iterable[Sequence[str]], command: Callable[[str], Sequence[str]]) -> list[str]:
    """Run the lanes at the same time; the tiers that were not good enough, in the order of their ends.

    Raises:
        KeyboardInterrupt: It was interrupted or terminated, and nothing of it runs any more.
    """
    waiting = [list(lane) for lane in lanes if lane]
    running: dict[int, Started] = {}
    bad: list[str] = []
    with noting(signal.SIGINT, signal.SIGTERM) as interrupts:
        while (running or any(waiting)) and not interrupts:
            for number, lane in enumerate(waiting):
                if number not in running and lane:
                    running[number] = start(lane[0], command(lane.pop(0)))
            for number in [n for n, started in running.items() if started.ended()]:
                started = running.pop(number)
                started.tell()
                if started.process.returncode:
                    bad.append(started.tier)
            time.sleep(_PAUSE_S)
        stop([*running.values()], interrupts)
    if interrupts:
        raise KeyboardInterrupt(interrupts[0])
    return bad
