"""What a client holds per target: the backend and its one poller; and the journal they share."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gpujobs._journal import Journal
from gpujobs._plugins import open_target
from gpujobs._poll import Poller
from gpujobs.backend import Runtime, SystemClock
from gpujobs.config import Config, state_dir
from gpujobs.errors import ConfigError, UnsupportedError
from gpujobs.refs import Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gpujobs.backend import Backend, Clock

P = TypeVar("P")


class Session:
    """Backends by target, opened on first use. Thread-safe."""

    def __init__(
        self,
        config: Config | None,
        *,
        clock: Clock | None,
        directory: str | Path | None,
        backends: Mapping[str, Backend] | None,
    ) -> None:
        self.config = config if config is not None else Config.load()
        self.clock: Clock = clock or SystemClock()
        self.runtime = Runtime(state_dir=Path(directory) if directory else state_dir(), clock=self.clock)
        self.journal = Journal(self.runtime.state_dir)
        self._lock = threading.Lock()
        self._backends: dict[str, Backend] = dict(backends or {})
        self._pollers: dict[str, Poller] = {}
        os.register_at_fork(after_in_child=_unlocker(weakref.ref(self)))

    def unlock(self) -> None:
        """In a forked child: no thread that could hold the lock is there any more."""
        self._lock = threading.Lock()

    def name(self, target: str | None) -> str:
        """The target that is meant.

        Raises:
            ConfigError: There is no such target.
        """
        if target is not None and target in self._backends:
            return target
        if target is None and self.config.default is None and len(self._backends) == 1:
            return next(iter(self._backends))
        return self.config.target(target)[0]

    def backend(self, target: str) -> Backend:
        """The backend of a target.

        Raises:
            ConfigError: There is no such target, or it is configured wrongly.
        """
        with self._lock:
            if target not in self._backends:
                name, table = self.config.target(target)
                self._backends[name] = open_target(name, table, self.runtime)
            return self._backends[target]

    def defaults(self, target: str) -> dict[str, Any]:
        """``[targets.NAME.defaults]``; none for a target that is not configured but was given ready-made."""
        table = self.config.all_targets.get(target)
        return dict(table.defaults) if table else {}

    def poller(self, target: str) -> Poller:
        """The one poller of a target."""
        backend = self.backend(target)
        with self._lock:
            return self._pollers.setdefault(target, Poller(backend, self.clock))

    def of(self, ref: Ref) -> Backend:
        """The backend that a ref belongs to.

        Raises:
            ConfigError: Its target is not configured here, or is of another backend.
        """
        backend = self.backend(ref.target)
        if backend.name != ref.backend:
            raise ConfigError(
                f"{ref} is a {ref.backend} ref, but target {ref.target!r} here is a {backend.name} target.",
                next_step=f"Configure a {ref.backend} target of that name, as on the machine that submitted it.",
            )
        return backend

    def able(self, ref: Ref, power: type[P], what: str) -> P:
        """The backend of a ref as something that can do more.

        Raises:
            UnsupportedError: It cannot.
        """
        backend = self.of(ref)
        if not isinstance(backend, power):
            raise UnsupportedError(f"The {backend.name} backend cannot {what} ({ref}).")
        return backend

    def by_target(self, refs: Iterable[Ref]) -> dict[str, list[Ref]]:
        """Refs grouped by target, each once, in order; every target checked."""
        unique = list(dict.fromkeys(refs))
        targets = {(ref.backend, ref.target): ref for ref in unique}
        for ref in targets.values():
            self.of(ref)
        if len(targets) == 1:
            return {unique[0].target: unique}
        groups: dict[str, list[Ref]] = {}
        for ref in unique:
            groups.setdefault(ref.target, []).append(ref)
        return groups

    def close(self) -> None:
        """Close every backend that was opened."""
        with self._lock:
            for backend in self._backends.values():
                backend.close()


def _unlocker(session: weakref.ref[Session]) -> Callable[[], None]:
    """A call for every later fork that does not keep the session alive."""

    def unlock() -> None:
        if (alive := session()) is not None:
            alive.unlock()

    return unlock


def to_ref(value: object) -> Ref:
    """A Ref from a Ref, its text, or anything with a ``ref``.

    Raises:
        SpecError: The text is no ref.
    """
    if isinstance(value, Ref):
        return value
    ref = getattr(value, "ref", None)
    return ref if isinstance(ref, Ref) else Ref.parse(str(value))
