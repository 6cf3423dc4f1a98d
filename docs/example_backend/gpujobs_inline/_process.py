"""The edge: one child process, its log file, and the thread that waits for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpujobs.backend import Clock


class Process:
    """Starts a command in a process group of its own, and ends all of it."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        clock: Clock,
        limit: float | None,
        grace: float,
    ) -> None:
        self.ended: float | None = None
        self.code: int | None = None
        self.ended_by: Literal["itself", "cancel", "time limit"] = "itself"
        self._grace, self._clock = grace, clock
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                argv,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watcher = threading.Thread(target=self._watch, args=(limit,), daemon=True)
        self._watcher.start()

    def end(self, by: Literal["cancel", "time limit"]) -> None:
        """Ask its group to end, and make it end once the grace is over. One that has ended stays as it is."""
        if self.code is not None:
            return
        self.ended_by = by
        self._signal(signal.SIGTERM)
        killer = threading.Timer(self._grace, self._signal, (signal.SIGKILL,))
        killer.daemon = True
        killer.start()

    def _watch(self, limit: float | None) -> None:
        try:
            code = self._popen.wait(limit)
        except subprocess.TimeoutExpired:
            self.end("time limit")
            code = self._popen.wait()
        self.ended = self._clock.time()
        self.code = code  # last: whoever sees a code sees a whole end

    def _signal(self, number: signal.Signals) -> None:
        if self.code is None:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)
