"""Slurm's words -> ours, and reading what its commands print. The enums themselves are checked on the live beds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs import Gpu, Reason, State
from gpujobs_slurm._ends import Traces, end_by_slurm, end_by_traces
from gpujobs_slurm._errors import command_error, refusal
from gpujobs_slurm._facts import parse_duration, parse_fields, parse_nodes, parse_partitions, parse_settings
from gpujobs_slurm._gres import Gres, gres_option, parse_gres
from gpujobs_slurm._queue import Queue
from gpujobs_slurm._reasons import WAITING, waiting
from gpujobs_slurm._rows import Row, expand, parse_exit, parse_sacct, squeue
from gpujobs_slurm._states import BASE, FLAGS, meaning


def test_an_unknown_state_is_never_an_end() -> None:
    """What is new to us is UNKNOWN."""
    assert meaning("BRAND_NEW").state is State.UNKNOWN
    assert meaning("").state is State.UNKNOWN


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CANCELLED by 6001", State.CANCELLED),
        ("RUNNING,COMPLETING", State.RUNNING),
        ("FAILED+LAUNCH_FAILED", State.FAILED),
        ("PENDING,REQUEUE_HOLD", State.PENDING),
        ("SUSPENDED", State.SUSPENDED),
    ],
)
def test_a_state_with_more_words_is_read(word: str, state: State) -> None:
    """Sacct's `by UID`, and lists of flags."""
    assert meaning(word).state is state


def test_only_base_states_are_ends_but_for_a_revoked_job() -> None:
    """A flag says that something is still going on."""
    ends = {word for word, means in FLAGS.items() if means.state.final}
    assert ends == {"REVOKED"}
    assert sum(not m.state.final for m in BASE.values()) == 3


def test_every_reason_has_a_sentence() -> None:
    """Code, sentence, and where something can be done, a next step."""
    for text, (code, message, _) in WAITING.items():
        assert isinstance(code, Reason), text
        assert message.endswith("."), text


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("QOSMaxGRESPerUser", Reason.QUOTA, "QOSMaxGRESPerUser"),
        ("AssocGrpGRES", Reason.QUOTA, "AssocGrpGRES"),
        ("MaxGRESRunMinsPerUser", Reason.QUOTA, ""),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", Reason.NODE_UNAVAILABLE, "n[1-2]"),
        ("(Resources)", Reason.INSUFFICIENT_RESOURCES, ""),
        ("Never Heard Of", Reason.UNKNOWN, "Never Heard Of"),
    ],
)
def test_a_reason_is_told(text: str, code: Reason, part: str) -> None:
    """Limits by their family, details kept, the unknown passed on."""
    cause = waiting(text)
    assert cause.code is code
    assert part in cause.message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu:h100:4(S:0-1),shard:a100:8(S:0)", [Gres("gpu", "h100", 4), Gres("shard", "a100", 8)]),
        ("gpu:h100:2(IDX:0,2),shard:0", [Gres("gpu", "h100", 2), Gres("shard", "", 0)]),
        ("gres:gpu:h100:1", [Gres("gpu", "h100", 1)]),
        ("gres/gpu:h100=3", [Gres("gpu", "h100", 3)]),
        ("gres/gpu:1", [Gres("gpu", "", 1)]),
        ("gpu:a100_3g.20gb:2", [Gres("gpu", "a100_3g.20gb", 2)]),
        ("gpu:1g.10gb:2", [Gres("gpu", "1g.10gb", 2)]),
        ("gpu", [Gres("gpu", "", 1)]),
        ("(null)", []),
        ("", []),
    ],
)
def test_gres_is_read_as_all_versions_print_it(text: str, found: list[Gres]) -> None:
    """22.05, 24.11 and 26.05 spell it differently."""
    assert parse_gres(text) == found


def test_a_mig_profile_is_found_among_the_cluster_s_types() -> None:
    """With the model in front where the cluster has it so; a name of the target wins."""
    assert gres_option(Gpu.model_validate("3g.20gb"), {}, ["h100", "a100_3g.20gb"]) == "gpu:a100_3g.20gb:1"
    assert gres_option(Gpu.model_validate("3g.20gb"), {"3g.20gb": "mig-big"}, []) == "gpu:mig-big:1"
    assert gres_option(Gpu(2, type="h100"), {"h100": "nvidia_h100"}, []) == "gpu:nvidia_h100:2"


def test_sacct_counts_restarts_and_the_last_line_wins() -> None:
    """-D prints a line for every attempt."""
    line = "7\x1f{}\x1f5:0\x1fn1\x1f1700000000\x1f1700000001\x1f1700000002\x1fx"
    rows = parse_sacct(f"{line.format('NODE_FAIL')}\n{line.format('CANCELLED by 0')}\nnoise\n")

    assert [(r.state, r.restarts, r.exit_code) for r in rows] == [("CANCELLED by 0", 1, 5)]


def test_exit_codes_are_read_in_both_spellings() -> None:
    """22.05 prints the raw wait status."""
    assert [parse_exit(t) for t in ("42:0", "0:9", "10752", "9", "", "N/A")] == [
        (42, 0), (0, 9), (42, 0), (0, 9), (0, 0), (0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ("n1",)),
        ("n[1-3]", ("n1", "n2", "n3")),
        ("n[08-10],gpu5,r[1,3]x", ("n08", "n09", "n10", "gpu5", "r1x", "r3x")),
        ("", ()),
        ("(null)", ()),
    ],
)
def test_node_lists_are_expanded(text: str, names: tuple[str, ...]) -> None:
    """Ranges, lists and leading zeros."""
    assert expand(text) == names


def test_many_ids_are_asked_for_as_all_of_ours() -> None:
    """A long list of ids is the dearest question."""
    assert squeue(["1", "2"])[-2:] == ["-j", "1,2"]
    assert squeue([str(i) for i in range(101)])[-1] == "--me"


def test_scontrol_s_lines_are_read() -> None:
    """Values with blanks, and what a node has and uses."""
    node = parse_nodes(
        "NodeName=n3 CPUAlloc=4 CPUEfctv=15 CPUTot=16 ActiveFeatures=a,b Gres=gpu:a100:2,shard:8 GresDrain=N/A "
        "GresUsed=gpu:a100:1(IDX:0),shard:0 OS=Linux 6.1 #1 SMP RealMemory=16000 AllocMem=100 State=IDLE+DRAIN "
        "Partitions=gpu,short CfgTRES=cpu=16,mem=16000M Reason=bad disk [root@2026-01-01T00:00:00]\n"
    )[0]

    assert (node.name, node.cpus, node.cpus_used, node.features) == ("n3", 15, 4, ("a", "b"))
    assert (node.total("gpu"), node.free("gpu"), node.free("shard"), node.available) == (2, 1, 8, False)
    assert node.reason.startswith("bad disk")
    assert parse_fields("A=1 B=x y C=")["B"] == "x y"


@pytest.mark.parametrize(
    ("state", "available"),
    [
        ("IDLE", True),
        ("MIXED+PLANNED", True),
        ("ALLOCATED", True),
        ("DOWN*", False),
        ("IDLE*", False),
        ("MIXED+DRAIN", False),
    ],
)
def test_a_node_takes_work_or_not(state: str, available: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Down, drained and silent nodes do not."""
    assert parse_nodes(f"NodeName=n1 State={state}")[0].available is available


def test_partitions_and_settings_are_read() -> None:
    """Limits in seconds, None for none; numbers with units."""
    queues = parse_partitions(
        "PartitionName=gpu Default=YES MaxNodes=UNLIMITED MaxTime=7-00:00:00 State=UP\n"
        "PartitionName=shut MaxNodes=2 MaxTime=UNLIMITED State=DOWN\n"
    )
    assert [(q.name, q.default, q.up, q.max_time, q.max_nodes) for q in queues] == [
        ("gpu", True, True, 604800, None),
        ("shut", False, False, None, 2),
    ]
    assert parse_settings("MinJobAge               = 300 sec\n").number("MinJobAge", 1) == 300
    assert [parse_duration(t) for t in ("01:00:00", "30:00", "1-00:00:01", "UNLIMITED")] == [3600, 1800, 86401, None]


STARTED = {0: {"node": "n1"}}


@pytest.mark.parametrize(
    ("row", "traces", "state", "reason", "exit_code", "signal"),
    [
        (Row("1", "COMPLETED"), Traces(), State.SUCCEEDED, None, 0, None),
        (Row("1", "FAILED", exit_code=42), Traces(), State.FAILED, Reason.EXIT_CODE, 42, None),
        (Row("1", "FAILED", exit_code=138), Traces(), State.FAILED, Reason.SIGNAL, None, 10),
        (Row("1", "FAILED", signal=9), Traces(started=STARTED), State.FAILED, Reason.SIGNAL, None, 9),
        (Row("1", "FAILED", signal=9), Traces(), State.FAILED, Reason.LAUNCH_FAILED, None, None),
        (Row("1", "FAILED", signal=53), Traces(started=STARTED), State.FAILED, Reason.LAUNCH_FAILED, None, None),
        (Row("1", "FAILED", exit_code=75), Traces(), State.FAILED, Reason.DUPLICATE, None, None),
        (Row("1", "FAILED", exit_code=75), Traces(cancelled=True), State.CANCELLED, Reason.CANCELLED, None, None),
        (Row("1", "FAILED", exit_code=75), Traces({0: {"exit": 75}}, STARTED), State.FAILED, Reason.EXIT_CODE, 75, None),  # noqa: E501  # one case a line
        (Row("1", "FAILED", exit_code=74), Traces(), State.FAILED, Reason.LAUNCH_FAILED, None, None),
        (Row("1", "OUT_OF_MEMORY", signal=125), Traces({0: {"exit": 0, "oom": 1}}), State.FAILED, Reason.OOM, None, 9),
        (Row("1", "FAILED", exit_code=1), Traces({0: {"exit": 1, "oom": 2}}), State.FAILED, Reason.OOM, 1, None),
        (Row("1", "TIMEOUT"), Traces(), State.FAILED, Reason.TIMEOUT, None, None),
        (Row("1", "NODE_FAIL"), Traces(), State.FAILED, Reason.NODE_FAIL, None, None),
        (Row("1", "PREEMPTED"), Traces(), State.FAILED, Reason.PREEMPTED, None, None),
        (Row("1", "CANCELLED by 0"), Traces(), State.CANCELLED, Reason.CANCELLED, None, None),
        (Row("1", "CANCELLED", "DependencyNeverSatisfied"), Traces(), State.CANCELLED, Reason.DEPENDENCY, None, None),
    ],
)  # fmt: skip
def test_an_end_by_slurm(  # noqa: PLR0917  # one parameter for each thing that differs
    row: Row, traces: Traces, state: State, reason: Reason | None, exit_code: int | None, signal: int | None
) -> None:
    """Slurm's state, with the record for what Slurm does not tell."""
    end = end_by_slurm(row, traces)
    assert (end.state, end.cause.code if end.cause else None) == (state, reason)
    assert (end.exit_code, end.signal) == (exit_code, signal)


@pytest.mark.parametrize(
    ("traces", "state", "reason"),
    [
        (Traces(), State.LOST, Reason.LOST),
        (Traces(cancelled=True), State.CANCELLED, Reason.CANCELLED),
        (Traces(started=STARTED), State.LOST, Reason.LOST),
        (Traces({0: {"exit": 0}}, STARTED), State.SUCCEEDED, None),
        (Traces({0: {"exit": 3}}, STARTED), State.FAILED, Reason.EXIT_CODE),
        (Traces({0: {"exit": 3}}, {0: {}, 1: {}}), State.LOST, Reason.LOST),
        (Traces({0: {"exit": 0, "oom": 1}}, STARTED), State.FAILED, Reason.OOM),
        (Traces({0: {"exit": 143, "received": "TERM", "note": "x DUE TO TIME LIMIT"}}), State.FAILED, Reason.TIMEOUT),
        (Traces({0: {"exit": 143, "received": "TERM", "note": "*** CANCELLED AT"}}), State.CANCELLED, Reason.CANCELLED),
        (Traces({0: {"exit": 143, "received": "TERM"}}), State.FAILED, Reason.SIGNAL),
    ],
)
def test_an_end_by_what_the_job_left(traces: Traces, state: State, reason: Reason | None) -> None:
    """When Slurm knows it no more; started without an outcome is lost, never well."""
    end = end_by_traces(traces)
    assert (end.state, end.cause.code if end.cause else None) == (state, reason)


@pytest.mark.parametrize(
    ("text", "error", "part"),
    [
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", "RejectedError", "queue"),
        ("sbatch: error: Invalid generic resource (gres) specification", "RejectedError", "gpus"),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", "RejectedError", "gpus"),  # noqa: E501  # one case a line
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", "UnavailableError", "asked"),  # noqa: E501  # one case a line
        ("sbatch: error: Unable to contact slurm controller (connect failure)", "UnavailableError", "asked"),
        ("sbatch: error: Batch job submission failed: Access/permission denied", "AuthError", "refuses"),
        ("sbatch: unrecognized option '--frob'", "RejectedError", "extra"),
        ("something else entirely", "RejectedError", "refuses it"),
    ],
)  # fmt: skip
def test_a_complaint_of_sbatch_names_the_field(text: str, error: str, part: str) -> None:
    """What is down is told from what was refused."""
    found = refusal(1, text.encode())
    assert type(found).__name__ == error
    assert part in found.message


def test_a_missing_program_and_a_killed_one_are_told_apart() -> None:
    """Not installed is no reason to try again; killed is."""
    assert "not installed" in command_error("sbatch", 127, b"sbatch: No such file").message
    assert type(command_error("sbatch", -9, b"")).__name__ == "UnavailableError"


@given(st.binary(max_size=300))
def test_parsers_bear_whatever_is_printed(noise: bytes) -> None:
    """Garbage gives no rows and no exception."""
    text = noise.decode(errors="replace")
    Queue().add(text)
    parse_sacct(text)
    parse_nodes(text)
    parse_partitions(text)
    parse_gres(text)
    expand(text.replace("[", ""))
