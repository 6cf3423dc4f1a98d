"""Watching instead of asking: one watch per namespace and kind, however many jobs are waited for.

The watches keep the views of what somebody waits for current, so that a round of waiting asks the API server nothing.
A watch that is broken, late or expired makes what it kept unknown, and whoever needs that asks directly.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from gpujobs.errors import AuthError, GpuJobsError
from gpujobs_kubernetes._api import PODS, hang_up, path
from gpujobs_kubernetes._errors import ExpiredError
from gpujobs_kubernetes._kept import Kept
from gpujobs_kubernetes._lookup import COLLECTIONS, Found
from gpujobs_kubernetes._names import ID, JOB_NAME, MANAGED, Place
from gpujobs_kubernetes._tables import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpujobs.backend import Clock
    from gpujobs_kubernetes._api import Api, Table

_ROUND_S = 280
"""Seconds after which the server ends a watch by itself; it is opened again where it stopped."""
_SILENCE_S = 80.0
"""A healthy watch shows a bookmark every minute; more silence than this is a dead link."""
_IDLE_S = 120.0
"""A watch that nobody has waited on for so long ends."""
_PAUSE_S = 1.0
_BURST_S = 20e-6
"""News of many workloads come in bursts, and a round looks at all of them: so long per workload more is waited for."""
_LONGEST_BURST_S = 0.1
_SPARE = 1000
_MANAGED = ",".join(f"{k}={v}" for k, v in MANAGED.items())
Key = tuple[str, str]
"""(namespace, collection)"""


class _Stream:
    """One watch, read by one thread."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.live = False
        self.forbidden = False
        self.stop = False
        self.version = ""
        self.response: Any = None


class Watcher:
    """The watches of one backend and what they know. Thread-safe; a fork starts with none."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._news = threading.Condition()
        self._streams: dict[Key, _Stream] = {}
        self._kept = Kept()
        self._changed: set[Place] = set()

    def wait(self, places: Iterable[Place], timeout: float) -> bool:
        """Block until one of them may have changed (True), or the time is up (False)."""
        if self._pid != os.getpid():
            self._reset()
        asked = set(places)
        with self._news:
            now = self._clock.monotonic()
            self._kept.wanted.update(dict.fromkeys(asked, now))
            if len(self._kept.wanted) > 2 * len(asked) + _SPARE:
                self._kept.tidy(now - _IDLE_S)
            for one in {(p.namespace, p.kind): p for p in asked}.values():
                for key in _keys(one):
                    self._begin(key)
            if not self._news.wait_for(lambda: not self._changed.isdisjoint(asked), timeout):
                return False
        if timeout > 0:
            self._clock.sleep(min(len(asked) * _BURST_S, _LONGEST_BURST_S))
        with self._news:
            self._changed -= asked
        return True

    def close(self) -> None:
        """End all watches."""
        with self._news:
            for stream in self._streams.values():
                stream.stop = True
                if stream.response is not None:
                    hang_up(stream.response)
            self._streams.clear()

    def known(self, places: Iterable[Place]) -> Found:
        """What is known, and current, of these places; the others have to be asked for."""
        if self._pid != os.getpid():
            return Found()
        with self._news:
            return self._kept.found(p for p in places if self._live(p))

    def serial(self, place: Place) -> int:
        """A number that grows with every change of a place."""
        return self._kept.serial(place) if self._pid == os.getpid() else 0

    def began(self) -> dict[Place, int]:
        """Take this before asking directly, and give it to ``learn`` with the answer."""
        with self._news:
            return self._kept.began(self._live)

    def learn(self, found: Found, before: dict[Place, int]) -> None:
        """Keep what was asked for directly, where a watch has been running since before the question."""
        with self._news:
            self._kept.learn(found, before, self._live)

    def forget(self, place: Place) -> None:
        """Something was just done to it: ask directly next time."""
        with self._news:
            self._kept.drop(place)

    def _live(self, place: Place) -> bool:
        return all((stream := self._streams.get(key)) is not None and stream.live for key in _keys(place))

    def _begin(self, key: Key) -> None:
        if key in self._streams:
            return
        stream = self._streams[key] = _Stream(key)
        threading.Thread(target=self._run, args=(stream,), name=f"gpujobs-watch-{key[1]}", daemon=True).start()

    def _newest(self, stream: _Stream) -> str:
        """The version to watch from."""
        namespace, collection = stream.key
        page = self._api.get(path(collection, namespace), {"limit": "1"}, patient=False)
        return str(page["metadata"]["resourceVersion"])

    def _run(self, stream: _Stream) -> None:
        while not stream.stop and not self._idle(stream):
            try:
                if not stream.version:
                    stream.version = self._newest(stream)
                self._read(stream)
            except ExpiredError:
                self._lose(stream)
                stream.version = ""
                continue
            except AuthError:
                stream.forbidden = True  # polling goes on without it
                break
            except GpuJobsError:
                self._lose(stream)
            except (AttributeError, ValueError):
                # What http.client raises when its socket is closed under it, by close().
                if not stream.stop:
                    raise
            if not stream.live:
                self._clock.sleep(_PAUSE_S)
        self._lose(stream)
        with self._news:
            if self._streams.get(stream.key) is stream and not stream.forbidden:
                del self._streams[stream.key]

    def _idle(self, stream: _Stream) -> bool:
        with self._news:
            newest = max((t for p, t in self._kept.wanted.items() if stream.key in _keys(p)), default=0.0)
        return self._clock.monotonic() - newest > _IDLE_S

    def _lose(self, stream: _Stream) -> None:
        """Nothing that this watch kept can be trusted any more."""
        with self._news:
            stream.live = False
            lost = [p for p in self._kept.wanted if stream.key in _keys(p)]
            for place in lost:
                self._kept.drop(place)
            self._changed.update(lost)
            self._news.notify_all()

    def _read(self, stream: _Stream) -> None:
        """One watch until it ends; the server ends each without an error, a restart of it too."""
        namespace, collection = stream.key
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": stream.version,
            "timeoutSeconds": str(_ROUND_S),
            "labelSelector": _MANAGED,
        }
        with self._api.stream(path(collection, namespace), query, read_timeout=_SILENCE_S) as response:
            stream.response = response
            with self._news:
                if not stream.live:
                    stream.live = True
                    # Waiters ask once more: what is read from now on can be kept.
                    self._changed.update(p for p in self._kept.wanted if stream.key in _keys(p))
                    self._news.notify_all()
            for event in events(self._api.pieces(response)):
                if stream.stop:
                    return
                self._take(stream, event)

    def _take(self, stream: _Stream, event: Table) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise ExpiredError(str(item.get("message")))
        stream.version = item["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return
        place = _place(stream.key, item)
        with self._news:
            if place is None or place not in self._kept.wanted:
                return
            if stream.key[1] == PODS:
                self._kept.take_pod(place, item, gone=kind == "DELETED")
            elif kind == "DELETED":
                self._kept.drop(place)
            else:
                self._kept.take_object(place, item)
            self._changed.add(place)
            self._news.notify_all()


def _keys(place: Place) -> tuple[Key, Key]:
    return (place.namespace, COLLECTIONS[place.kind]), (place.namespace, PODS)


def _place(key: Key, item: Table) -> Place | None:
    meta = item["metadata"]
    namespace, collection = key
    if collection != PODS:
        return Place(namespace, "job" if collection == COLLECTIONS["job"] else "service", meta["name"])
    labels = labels_of(item)
    owner = labels.get(ID)
    return Place(namespace, "job" if JOB_NAME in labels else "service", owner) if owner else None


def events(pieces: Iterable[bytes]) -> Iterator[Table]:
    """The JSON objects of a watch, one a line."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line)
