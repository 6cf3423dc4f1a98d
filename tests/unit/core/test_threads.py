"""One client, many threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import gpujobs
from gpujobs import Client, Config, GpuJob
from gpujobs.testing import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from .conftest import Counting, Install

JOB = GpuJob(command=["train"])


def together(count: int, act: Callable[[int], None]) -> None:
    """Run it in so many threads that all start at the same moment."""
    gate = threading.Barrier(count)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        gate.wait()
        try:
            act(number)
        except BaseException as e:  # noqa: BLE001  # shown below, whatever it is
            failures.append(e)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_one_key_from_sixteen_threads_is_one_job(quick_client: Client) -> None:
    """Every thread gets its ref, and nothing is left open."""
    refs: list[str] = []
    together(16, lambda _: refs.append(str(quick_client.submit(JOB, idempotency_key="k").ref)))
    assert len(refs) == 16
    assert len(set(refs)) == 1
    assert len(quick_client.list_jobs(finished=True)) == 1
    assert quick_client.open_submissions() == []


def test_made_keys_never_meet(quick_client: Client) -> None:
    """Sixteen threads of ten submissions are 160 jobs."""

    def ten(_: int) -> None:
        for _ in range(10):
            quick_client.submit(JOB)

    together(16, ten)
    assert len({s.ref for s in quick_client.list_jobs(finished=True)}) == 160


PLUGIN = """
import time
from gpujobs.testing import MemoryBackend

class Backend(MemoryBackend):
    name = "slowstart"
    made = []

    def __init__(self, target, runtime):
        time.sleep(0.05)
        super().__init__(target, runtime)
        Backend.made.append(self)
"""


def test_a_target_is_opened_once(install: Install, tmp_path: Path) -> None:
    """However many threads use it first at the same time."""
    install("slowstart", PLUGIN)
    client = Client(Config.parse("[targets.t]\nbackend = 'slowstart'"), state_dir=tmp_path)
    together(8, lambda _: client.list_jobs(target="t").clear())
    assert len(vars(type(client._session.backend("t")))["made"]) == 1


def test_the_default_client_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The functions of the module share it between threads."""
    from gpujobs import api  # noqa: PLC0415

    monkeypatch.setenv("GPUJOBS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(api, "_default", type(api._default)())
    clients: list[Client] = []
    together(8, lambda _: clients.append(api.default_client()))
    assert len({id(c) for c in clients}) == 1
    assert gpujobs.attach("local://local/1").ref.id == "1"


def test_many_threads_wait_log_and_cancel_at_once(quick_client: Client, counting: Counting) -> None:
    """Each sees its own job and the truth about it."""
    # The clock moves on while threads wait, so those that are to be cancelled run for ever.
    counting.outcome = lambda item: Outcome(output=b"hello\n", seconds=50 if int(item.spec.name or 0) % 3 else 1e9)
    jobs = [quick_client.submit(JOB.replace(name=str(n))) for n in range(12)]
    seen: dict[int, str] = {}

    def act(number: int) -> None:
        if number % 3 == 0:
            jobs[number].cancel()
        elif number % 3 == 1:
            assert [line.text for line in jobs[number].logs(follow=True)] == ["hello"]
        status = jobs[number].wait()
        seen[number] = f"{status.name}:{status.state}"

    together(12, act)
    ends = ["CANCELLED" if n % 3 == 0 else "SUCCEEDED" for n in range(12)]
    assert seen == {n: f"{n}:{end}" for n, end in enumerate(ends)}
    assert counting.submissions == 12
