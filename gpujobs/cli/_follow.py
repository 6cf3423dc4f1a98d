"""Following one workload to its end: its log to stdout, its state to stderr, and what an interrupt does.

Threads ask: one for the log, one for the state, and one to cancel; they hand over through one queue, and the main
thread alone writes. So the log is written at once and in batches when it comes fast, an interrupt loses no line, and a
question to the user stands still while it is answered.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gpujobs.cli import _output as output
from gpujobs.cli._interrupt import SLICE_S, handling, next_of
from gpujobs.cli._pump import LogPump
from gpujobs.states import Status

if TYPE_CHECKING:
    from types import FrameType

    from gpujobs.cli._log import LogWriter
    from gpujobs.cli._progress import Progress
    from gpujobs.client import Client
    from gpujobs.refs import Ref

OnInterrupt = Literal["detach", "cancel", "ask"]


@dataclass(frozen=True, slots=True)
class _Signal:
    number: int


@dataclass(frozen=True, slots=True)
class _LogReady:
    """There are lines to take."""


@dataclass(frozen=True, slots=True)
class _LogDone:
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    status: Status | None
    error: BaseException | None = None


_Event: TypeAlias = Status | _LogReady | _Signal | _LogDone | _Ended


class Detached(Exception):  # noqa: N818  # no error: the user chose it
    """The user left; the workload goes on."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.exit_code = 128 + signal_number


class Follower:
    """One workload, followed once."""

    def __init__(
        self, client: Client, ref: Ref, *, writer: LogWriter, progress: Progress, on_interrupt: OnInterrupt
    ) -> None:
        self._client = client
        self._ref = ref
        self._writer = writer
        self._progress = progress
        self._on_interrupt = on_interrupt
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._pump = LogPump(
            writer.log(client, ref, follow=True, stop=self._stop.is_set),
            ready=lambda: self._events.put(_LogReady()),
            done=lambda error: self._events.put(_LogDone(error)),
        )
        self._signals = 0
        self._log_done = False
        self._end: Status | None = None

    def to_end(self) -> Status:
        """Follow until the log is at its end and the state is final.

        Raises:
            Detached: An interrupt was to leave it running.
            GpuJobsError: The log or the state cannot be read; the workload goes on.
            BrokenPipeError: Nobody reads stdout any more.
        """
        with handling(self._on_signal, signal.SIGINT, signal.SIGTERM):
            try:
                self._pump.start()
                threading.Thread(target=self._watch, daemon=True).start()
                while self._end is None or not self._log_done:
                    self._handle(self._next())
                self._writer.finish()
                return self._end
            finally:
                self._stop.set()
                self._progress.pause()

    def _watch(self) -> None:
        try:
            end = self._client.wait(self._ref, on_status=lambda found: self._events.put(found[0]))
        except BaseException as e:  # noqa: BLE001  # handed over and raised in the main thread
            self._events.put(_Ended(None, e))
        else:
            self._events.put(_Ended(end))

    def _next(self) -> _Event:
        try:
            return self._events.get_nowait()
        except queue.Empty:
            self._writer.flush()
        return next_of(self._events)

    def _handle(self, event: _Event) -> None:
        if isinstance(event, _LogReady):
            self._write_log()
        elif isinstance(event, Status):
            if not event.final:  # the end is told after the last line of the log
                self._progress.update([event])
        elif isinstance(event, _Signal):
            self._interrupted(event.number)
        elif isinstance(event, _LogDone):
            self._write_log()
            self._log_done = True
            _raise(event.error)
        else:
            _raise(event.error)
            self._end = event.status

    def _write_log(self) -> None:
        items = self._pump.take()
        if items:
            self._progress.pause()
            self._writer.write(items)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)  # the second time asks for nothing but to be gone
        self._events.put(_Signal(number))

    def _interrupted(self, number: int) -> None:
        self._progress.pause()
        self._writer.finish()
        wish = "detach" if number == signal.SIGTERM else self._on_interrupt
        choice = _ask(self._ref) if wish == "ask" else wish
        if choice == "stay":
            self._signals = 0
            return
        if choice == "detach":
            output.note(f"left {self._ref} running; follow it with: gpujobs logs -f {self._ref}")
            raise Detached(number)
        output.note(f"cancelling {self._ref}; press Ctrl-C again to leave at once.")
        threading.Thread(target=self._cancel, daemon=True).start()  # the main thread stays open to a second Ctrl-C

    def _cancel(self) -> None:
        try:
            self._client.cancel(self._ref)
        except BaseException as e:  # noqa: BLE001  # handed over and raised in the main thread
            self._events.put(_Ended(None, e))


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def _ask(ref: Ref) -> Literal["detach", "cancel", "stay"]:
    """What the person at the terminal wants; an end of input means to leave."""
    sys.stderr.write(f"\ngpujobs: {ref} is still there. [d]etach, [c]ancel it, or [Enter] to go on following? ")
    sys.stderr.flush()
    while not select.select([sys.stdin], [], [], SLICE_S)[0]:
        pass
    answer = sys.stdin.readline()
    if not answer:
        return "detach"
    first = answer.strip()[:1].lower()
    return "cancel" if first == "c" else "detach" if first in {"d", "q"} else "stay"


def interrupt_choice(asked: OnInterrupt | None) -> OnInterrupt:
    """``ask`` only where there is somebody to answer; without a wish, ask them."""
    person = sys.stdin is not None and sys.stdin.isatty() and output.is_terminal(sys.stderr)
    if asked is None or asked == "ask":
        return "ask" if person else "detach"
    return asked
