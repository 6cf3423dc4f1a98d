"""Submitting, looking and cancelling against stand-ins for Slurm's commands: faults that the real ones seldom show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    Client,
    Config,
    ConfigError,
    ConflictError,
    GpuJob,
    GpuService,
    PreflightError,
    RejectedError,
    State,
    UnavailableError,
    UnsupportedError,
)

SBATCH = """#!/bin/sh
at=$(dirname "$0")/..
n=$(( $(cat "$at/n" 2>/dev/null || echo 0) + 1 )); echo $n > "$at/n"
cat > "$at/script.$n"; echo "$@" > "$at/argv.$n"
echo $n
"""

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    StandIns = Callable[[str, str], None]

NOTHING = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def sent(tmp_path: Path) -> Callable[[], int]:
    """How often sbatch was run."""
    return lambda: len(list(tmp_path.glob("argv.*")))


def test_one_key_is_sent_once(client: Client, stand_ins: StandIns, sent: Callable[[], int]) -> None:
    """Again and again the same ref; another workload is a conflict that names it."""
    stand_ins("sbatch", SBATCH)
    refs = {client.submit(["true"], idempotency_key="k").ref for _ in range(3)}

    assert {r.id for r in refs} == {"1"}
    assert sent() == 1
    with pytest.raises(ConflictError, match="slurm://lab/1"):
        client.submit(["false"], idempotency_key="k")


def test_what_is_rendered_is_what_is_sent(client: Client, stand_ins: StandIns, tmp_path: Path) -> None:
    """Byte for byte, secrets aside."""
    stand_ins("sbatch", SBATCH)
    spec = GpuJob(command=["echo", "it's"], name="é", gpus="h100:2", env={"A": "$(x)"})
    client.submit(spec, idempotency_key="k")

    assert (tmp_path / "script.1").read_text() == client.render(spec, idempotency_key="k")


def test_a_banner_of_a_wrapper_is_passed_over(client: Client, stand_ins: StandIns) -> None:
    """Lines before the id, and a cluster's name behind it."""
    stand_ins("sbatch", "#!/bin/sh\ncat >/dev/null\necho 'Welcome, 42 users'\necho '17;c1'\n")
    assert client.submit(["true"]).ref.id == "17"


def test_an_answer_without_an_id_is_not_known(client: Client, stand_ins: StandIns, sent: Callable[[], int]) -> None:
    """The key is named; nothing is sent anew while the job may be in the queue."""
    stand_ins("sbatch", "#!/bin/sh\ncat >/dev/null\necho thanks\n")
    stand_ins(
        "squeue", "#!/bin/sh\necho 'squeue: error: Unable to contact slurm controller (connect failure)' >&2; exit 1\n"
    )
    with pytest.raises(UnavailableError, match="controller") as caught:
        client.submit(["true"], idempotency_key="k")

    assert caught.value.key == "k"
    stand_ins("sbatch", SBATCH)
    stand_ins("squeue", "#!/bin/sh\necho '55|PENDING|None||0|1|N/A|N/A|0|x||'\n")
    assert client.submit(["true"], idempotency_key="k").ref.id == "55"
    assert sent() == 0


def test_a_job_that_is_not_in_the_queue_is_sent_again(client: Client, stand_ins: StandIns, tmp_path: Path) -> None:
    """Both ids answer for the one that runs."""
    stand_ins(
        "sbatch",
        "#!/bin/sh\ncat >/dev/null\necho 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1\n",
    )
    stand_ins("squeue", "#!/bin/sh\nexit 1\n")
    with pytest.raises((UnavailableError, RejectedError)):
        client.submit(["true"], idempotency_key="k")
    stand_ins("sbatch", SBATCH)
    stand_ins("squeue", NOTHING)

    assert client.submit(["true"], idempotency_key="k").ref.id == "1"
    assert (tmp_path / "argv.1").read_text().strip() == "--parsable"


@pytest.mark.parametrize(
    ("complaint", "field"),
    [
        ("Batch job submission failed: Invalid feature specification", "constraint"),
        ("Batch job submission failed: Invalid account or account/partition combination specified", "account"),
        ("Batch job submission failed: Pathname of a file, directory or other parameter too long", "script"),
    ],
)
def test_a_refusal_names_the_field_and_frees_the_key(
    client: Client, stand_ins: StandIns, complaint: str, field: str
) -> None:
    """It can be mended and sent again."""
    stand_ins("sbatch", f"#!/bin/sh\ncat >/dev/null\necho 'sbatch: error: {complaint}' >&2; exit 1\n")
    with pytest.raises(RejectedError, match=field):
        client.submit(["true"], idempotency_key="k")
    stand_ins("sbatch", SBATCH)
    assert client.submit(["false"], idempotency_key="k").ref.id == "1"


def test_services_and_unknown_transports_are_refused(client: Client, stand_ins: StandIns) -> None:
    """By name."""
    stand_ins("sbatch", SBATCH)
    with pytest.raises(UnsupportedError, match="GpuService"):
        client.submit(GpuService(command=["true"], name="s"))
    for transport in ("rest", "pyslurm", "carrier-pigeon"):
        config = Config.parse(f'default="x"\n[targets.x]\nbackend="slurm"\ntransport="{transport}"\n')
        with pytest.raises(ConfigError, match=re.escape(transport)):
            Client(config).submit(["true"])


@pytest.mark.parametrize(
    ("fields", "part", "possible"),
    [
        ({"gpus": 8}, "gpus: 8 per node are asked for; no node has more than 4", "nodes=2 with 4 each"),
        ({"gpus": "a100:1"}, "gpus: no node has gpu:a100:1", "4 h100 on n1"),
        ({"queue": "nope"}, "queue: there is no partition 'nope'", "gpu"),
        ({"time_limit": "2h"}, "time_limit: 120 minutes", "less time"),
        ({"cpus": 17}, "cpus: 17 per node", "at most 16"),
        ({"memory": "17000MiB"}, "memory: 17000MiB per node", "at most 16000MiB"),
        ({"nodes": 2}, "nodes: 2 are asked for", "fewer"),
        ({"array": 2000}, "array: 2000 elements", "Split"),
    ],
)
def test_what_could_never_run_is_refused_with_what_could(
    client: Client, fields: dict[str, object], part: str, possible: str
) -> None:
    """Before anything is sent."""
    with pytest.raises(PreflightError) as caught:
        client.submit(GpuJob(command=["true"]).replace(**fields))
    assert part in caught.value.message
    assert possible in caught.value.next_step


def test_a_scheduler_that_is_down_makes_no_end(client: Client, stand_ins: StandIns) -> None:
    """UNKNOWN, and the reason."""
    stand_ins("sbatch", SBATCH)
    job = client.submit(["true"])
    stand_ins("squeue", "#!/bin/sh\necho 'squeue: error: Unable to contact slurm controller' >&2; exit 1\n")

    status = job.status()
    assert status.state is State.UNKNOWN
    assert status.reason is not None
    assert "controller" in status.reason.message


def test_an_end_is_known_even_when_the_scheduler_is_down(client: Client, stand_ins: StandIns) -> None:
    """Whoever saw it first wrote it down; nobody is asked again."""
    stand_ins("sbatch", SBATCH)
    job = client.submit(["true"])
    stand_ins("squeue", "#!/bin/sh\necho '1|COMPLETED|None|n1|0|1|2|3|0:0|x||'\n")
    assert job.status().succeeded
    stand_ins("squeue", "#!/bin/sh\nexit 1\n")

    assert job.status().succeeded


def test_a_foreign_job_answers_too(client: Client, stand_ins: StandIns) -> None:
    """Jobs that were sent by hand have a status, as Slurm tells it; one of ours without a record was deleted."""
    stand_ins(
        "squeue",
        "#!/bin/sh\necho '9|RUNNING|None|n1|0|1|2|N/A|0:0|by-hand||'\n"
        "echo '8|COMPLETED|None|n1|0|1|2|3|0:0|x.0123456789ab||'\n",
    )
    foreign, deleted = client.status(["slurm://lab/9", "slurm://lab/8"])

    assert (foreign.state, foreign.name) == (State.RUNNING, "by-hand")
    assert deleted.state is State.LOST
    assert deleted.reason is not None
    assert deleted.reason.code.value == "deleted"


def test_elements_that_squeue_leaves_out_are_asked_for_one_by_one(client: Client, stand_ins: StandIns) -> None:
    """A site's own squeue may keep our wish for full lists from the real one: what was cut off is not lost."""
    row = "PENDING|Resources||0|1|N/A|N/A|0|x||"
    each, together = f"echo '9_0|{row}'; echo '9_17|{row}'", f"echo '9_[0,1|{row}'"
    stand_ins("squeue", f'#!/bin/sh\ncase " $* " in *" -r "*) {each} ;; *) {together} ;; esac\n')

    assert [s.state for s in client.status(["slurm://lab/9_0", "slurm://lab/9_17"])] == [State.PENDING] * 2


def record_of(tmp_path: Path, job_id: str) -> Path:
    """The job directory of a job."""
    return (tmp_path / "jobs/c1/ids" / job_id).resolve()


def test_a_job_that_stood_down_answers_for_the_one_that_runs(
    client: Client, stand_ins: StandIns, tmp_path: Path
) -> None:
    """Also where nobody ever learned the other's id: a send that was not answered, and showed up first."""
    stand_ins("sbatch", SBATCH)
    job = client.submit(["true"])
    (record_of(tmp_path, "1") / "owner").symlink_to("55")
    (record_of(tmp_path, "1") / "started.0").write_text('{"node": "n1"}')
    stand_ins(
        "squeue",
        "#!/bin/sh\necho '1|FAILED|NonZeroExitCode|n1|0|1|2|3|75:0|x||'\necho '55|RUNNING|None|n1|0|1|2|N/A|0:0|x||'\n",
    )

    assert (job.status().state, job.status().ref) == (State.RUNNING, job.ref)
    stand_ins("squeue", "#!/bin/sh\necho '55|COMPLETED|None|n1|0|1|2|3|0:0|x||'\n")
    assert job.status().succeeded


def test_after_waits_for_the_one_that_runs(client: Client, stand_ins: StandIns, tmp_path: Path) -> None:
    """Not for the one of two that stands down; what ended well is waited for no more, what failed never comes."""
    stand_ins("sbatch", SBATCH)
    first = client.submit(["true"])
    (record_of(tmp_path, "1") / "owner").symlink_to("55")
    stand_ins("squeue", "#!/bin/sh\necho '55|RUNNING|None|n1|0|1|2|N/A|0:0|x||'\n")
    client.submit(GpuJob(command=["true"], after=[first.ref]))
    assert "#SBATCH --dependency=afterok:55\n" in (tmp_path / "script.2").read_text()

    stand_ins("squeue", "#!/bin/sh\necho '55|FAILED|N|n1|0|1|2|3|9:0|x||'\n")
    never = client.submit(GpuJob(command=["false"], after=[first.ref])).status()
    client.submit(GpuJob(command=["true", "2"], after=[f"any:{first.ref}"]))
    assert "#SBATCH --hold\n" in (tmp_path / "script.3").read_text()
    assert (never.state, never.reason and never.reason.code.value) == (State.CANCELLED, "dependency")
    assert "--dependency" not in (tmp_path / "script.4").read_text()


def test_every_element_answers_for_whatever_runs_it(client: Client, stand_ins: StandIns, tmp_path: Path) -> None:
    """Of two arrays that were sent for one key, each may run some elements."""
    stand_ins("sbatch", SBATCH)
    job = client.submit(GpuJob(command=["true"], array=2))
    (record_of(tmp_path, "1") / "owner.0").symlink_to("55_0")
    (record_of(tmp_path, "1") / "owner.1").symlink_to("1_1")
    rows = [
        "1_0|FAILED|N|n1|0|1|2|3|75:0|x||",
        "1_1|COMPLETED|N|n1|0|1|2|3|0:0|x||",
        "55_0|COMPLETED|N|n1|0|1|2|3|0:0|x||",
    ]
    stand_ins("squeue", "#!/bin/sh\n" + "".join(f"echo '{row}'\n" for row in [*rows, rows[0].replace("1_0", "55_1")]))

    assert job.status().succeeded
    assert [r.state for r in job.replicas()] == [State.SUCCEEDED] * 2


def test_the_environment_of_the_caller_stays_out(
    client: Client, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Inside an allocation too: no SLURM_, SBATCH_ or shell variable reaches sbatch, but for where Slurm is."""
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SBATCH_PARTITION", "wrong")
    monkeypatch.setenv("MY_SHELL", "x")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    stand_ins("sbatch", "#!/bin/sh\ncat >/dev/null\n/usr/bin/env > /" + str(tmp_path).strip("/") + "/env; echo 1\n")
    client.submit(["true"])

    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "SLURM_CONF" in names
    assert not names & {"SLURM_JOB_ID", "SBATCH_PARTITION", "MY_SHELL"}
