"""What each field becomes."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Gpu, GpuService, Port, Probe, Secret, Volume
from gpujobs.errors import SpecError
from gpujobs.parts import After, Rollout, Toleration
from gpujobs_kubernetes._facts import Facts, NodeFacts, Site
from gpujobs_kubernetes._manifests import Objects, objects
from gpujobs_kubernetes._yaml import dump_all

if TYPE_CHECKING:
    from tests.unit.kubernetes.conftest import Submit

NODES = (
    NodeFacts("a", {"nvidia.com/gpu": 4}, {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}),
    NodeFacts("b", {"nvidia.com/gpu": 4}, {"nvidia.com/gpu.product": "Tesla-T4-SHARED"}),
)
SITE = Site("prod", "ml", Facts(nodes=NODES, runtime_class="nvidia"))


def made(item: Any, site: Site = SITE) -> Objects:
    """The objects of a submission."""
    return objects(item, site, inherited={}, secrets={s.name: "hidden" for s in item.spec.secrets})


def pod(item: Any, site: Site = SITE) -> dict[str, Any]:
    """The spec of its pods."""
    found: dict[str, Any] = made(item, site).main["spec"]["template"]["spec"]
    return found


def env(item: Any, site: Site = SITE) -> dict[str, Any]:
    """The variables of its container."""
    entries = pod(item, site)["containers"][0]["env"]
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in entries}


def test_a_plain_job_is_one_object_that_runs_at_once(submit: Submit) -> None:
    """Nothing to wait for: not suspended, no children; indexed, so that attempts are counted."""
    found = made(submit())

    assert found.children == ()
    assert "suspend" not in found.main["spec"]
    assert found.main["spec"]["completionMode"] == "Indexed"
    assert found.main["spec"]["backoffLimitPerIndex"] == 0


def test_the_same_submission_gives_the_same_bytes(submit: Submit) -> None:
    """Whatever the order of the tables it was written with."""
    one = submit(env={"A": "1", "B": "2"}, files={"x": "1", "y": "2"}, secrets=[Secret("S"), Secret("R")])
    other = submit(secrets=[Secret("R"), Secret("S")], files={"y": "2", "x": "1"}, env={"A": "1", "B": "2"})

    texts = [dump_all([made(i).main, *made(i).children]) for i in (one, other)]
    assert texts[0] == texts[1]


def test_a_dollar_means_nothing(submit: Submit) -> None:
    """Kubernetes expands $(X) in command, args and env; here it is text."""
    item = submit(command=["echo", "$(HOME) $$ $x"], args=["$"], env={"E": "$(E)"})
    container = pod(item)["containers"][0]

    assert container["command"] == ["echo", "$$(HOME) $$$$ $$x"]
    assert container["args"] == ["$$"]
    assert env(item)["E"] == "$$(E)"


def test_children_are_made_before_the_job_wakes(submit: Submit) -> None:
    """Files and secrets: suspended until they are there; a secret's value is in the Secret alone."""
    found = made(submit(files={"a b": "x", "/etc/c": b"\xff"}, secrets=[Secret("T")]))

    assert found.main["spec"]["suspend"] is True
    assert found.main["metadata"]["annotations"]["gpujobs/hold"] == "children"
    assert [c["kind"] for c in found.children] == ["ConfigMap", "Secret"]
    assert found.children[0]["data"] == {"f1": "x"}
    assert found.children[0]["binaryData"] == {"f0": "/w=="}
    assert found.children[1]["stringData"] == {"T": "hidden"}
    assert "hidden" not in dump_all([found.main, found.children[0]])


def test_more_files_than_a_config_map_holds_name_the_way_out(submit: Submit) -> None:
    """900 KiB in all."""
    with pytest.raises(SpecError) as caught:
        made(submit(files={"a": b"x" * (900 * 1024 + 1)}))

    assert "volumes" in caught.value.next_step


def test_several_nodes_meet_at_a_headless_service(submit: Submit) -> None:
    """Rank 0 has a name; one node that fails for good ends the others."""
    item = submit(nodes=3, tasks_per_node=2, retries=1)
    found = made(item)
    name = found.main["metadata"]["name"]
    known = env(item)

    assert [c["kind"] for c in found.children] == ["Service"]
    assert found.children[0]["spec"]["clusterIP"] == "None"
    assert found.children[0]["spec"]["publishNotReadyAddresses"] is True
    assert pod(item)["subdomain"] == name
    assert known["MASTER_ADDR"] == f"{name}-0.{name}"
    assert (known["GPUJOBS_NODES"], known["GPUJOBS_WORLD_SIZE"], known["GPUJOBS_TASKS"]) == ("3", "6", "2")
    assert found.main["spec"]["maxFailedIndexes"] == 0
    assert (found.main["spec"]["completions"], found.main["spec"]["backoffLimitPerIndex"]) == (3, 1)


def test_an_array_is_an_indexed_job(submit: Submit) -> None:
    """So many at once; every element knows its own ref."""
    item = submit(array=8, parallelism=2, retries=3)
    spec = made(item).main["spec"]

    assert (spec["completions"], spec["parallelism"], spec["backoffLimitPerIndex"]) == (8, 2, 3)
    assert env(item)["GPUJOBS_REF"].endswith("/$(GPUJOBS_ARRAY_INDEX)")
    assert env(item)["GPUJOBS_ARRAY_SIZE"] == "8"


def test_limits_of_time(submit: Submit) -> None:
    """The attempt's is the pod's own, which keeps pod and log; the whole life is the Job's. Rounded up."""
    item = submit(
        time_limit=timedelta(seconds=90.5),
        deadline=3600,
        grace=5,
        start_timeout=60,
        after=[After("kubernetes://prod/ml/job/x")],
    )
    main = made(item).main

    assert pod(item)["activeDeadlineSeconds"] == 91
    assert pod(item)["terminationGracePeriodSeconds"] == 5
    assert main["spec"]["activeDeadlineSeconds"] == 3600
    assert main["spec"]["suspend"] is True
    assert main["metadata"]["annotations"]["gpujobs/hold"] == "after"
    assert main["metadata"]["annotations"]["gpujobs/start-timeout"] == "60"


@pytest.mark.parametrize(
    ("requeue", "version", "action"),
    [(None, (1, 36), "Ignore"), (True, (1, 36), "Ignore"), (False, (1, 36), "FailIndex"), (False, (1, 28), "FailJob")],
)
def test_disruptions_do_not_use_up_retries(
    submit: Submit,
    requeue: bool | None,  # noqa: FBT001  # the field's values
    version: tuple[int, int],
    action: str,
) -> None:
    """Unless requeue=False says that they are the end."""
    site = Site("prod", "ml", Facts(version=version))

    assert made(submit(requeue=requeue), site).main["spec"]["podFailurePolicy"]["rules"][0]["action"] == action


@pytest.mark.parametrize(("version", "counted"), [((1, 36), True), ((1, 24), False)])
def test_replacements_are_counted_apart_from_retries(
    submit: Submit,
    version: tuple[int, int],
    counted: bool,  # noqa: FBT001  # whether the server can
) -> None:
    """A variable cannot hold their sum; the shell of ``setup`` makes it, from a count that may be empty."""
    site = Site("prod", "ml", Facts(version=version))
    item = submit(setup=["true"], command=["echo"])
    assert ("GPUJOBS_DISRUPTIONS" in env(item, site)) is counted

    script = pod(item, site)["containers"][0]["command"][2].replace("$$", "$") + 'echo "$GPUJOBS_ATTEMPT"'
    said = [
        subprocess.run(
            ["sh", "-c", script.replace('exec "$@"', ""), "sh"],
            env={"GPUJOBS_ATTEMPT": "2", "GPUJOBS_DISRUPTIONS": disruptions},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for disruptions in ("", "3")
    ]
    assert said == ["2\n", "5\n"]


def test_older_servers_are_asked_only_what_they_know(submit: Submit) -> None:
    """Before 1.29 there are no retries by index, before 1.26 no failure policy."""
    older = made(submit(array=2, retries=3), Site("p", "n", Facts(version=(1, 28)))).main["spec"]
    oldest = made(submit(retries=3), Site("p", "n", Facts(version=(1, 25)))).main["spec"]

    assert "backoffLimitPerIndex" not in older
    assert older["backoffLimit"] == 6
    assert "podFailurePolicy" in older
    assert "podFailurePolicy" not in oldest


@pytest.mark.parametrize(
    ("gpus", "limits", "terms"),
    [
        (Gpu(2), {"nvidia.com/gpu": "2"}, []),
        (
            Gpu(type="h100"),
            {"nvidia.com/gpu": "1"},
            [("In", ["NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-80GB-HBM3-SHARED"])],
        ),
        (Gpu(type="t4"), {"nvidia.com/gpu": "1"}, [("In", ["Tesla-T4-SHARED"])]),
        (Gpu(type="h10"), {"nvidia.com/gpu": "1"}, [("In", ["h10", "h10-SHARED"])]),
        (Gpu(memory="16GiB"), {"nvidia.com/gpu": "1"}, [("Gt", ["16383"])]),
        (Gpu(sharing="exclusive"), {"nvidia.com/gpu": "1"}, [("NotIn", ["mps", "time-slicing"])]),
        (Gpu(sharing="time-slice"), {"nvidia.com/gpu": "1"}, [("In", ["time-slicing"])]),
        (Gpu(2, profile="1g.10gb+me"), {"nvidia.com/mig-1g.10gb.me": "2"}, []),
    ],
)
def test_gpus(submit: Submit, gpus: Gpu, limits: dict[str, str], terms: list[tuple[str, list[str]]]) -> None:
    """Resource and node affinity of each way of asking; the taint is tolerated, NVIDIA_VISIBLE_DEVICES never set."""
    item = submit(gpus=gpus)
    spec = pod(item)

    assert spec["containers"][0]["resources"]["limits"] == limits
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    found: list[dict[str, Any]] = affinity["nodeSelectorTerms"][0]["matchExpressions"] if affinity else []
    assert [(t["operator"], t["values"]) for t in found] == terms
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in spec["tolerations"]
    assert spec["runtimeClassName"] == "nvidia"
    assert "NVIDIA_VISIBLE_DEVICES" not in env(item)


def test_renamed_shares_and_mapped_types(submit: Submit) -> None:
    """``gpu.shared`` where nodes offer it; ``gpu_types`` before the labels; no RuntimeClass where there is none."""
    shared = Facts(nodes=(NodeFacts("a", {"nvidia.com/gpu.shared": 4}, {}),), gpu_types={"H100": "Mine"})
    site = Site("p", "n", shared)

    assert pod(submit(gpus=1), site)["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu.shared": "1"}
    spec = pod(submit(gpus="h100:1"), site)
    assert "Mine-SHARED" in str(spec["affinity"])
    assert "runtimeClassName" not in spec


def test_a_workload_without_gpus_sees_none(submit: Submit) -> None:
    """Also where the image asks for all and the node's default runtime is NVIDIA's."""
    assert env(submit())["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "tolerations" not in pod(submit())


def test_the_rest_of_a_pod(submit: Submit) -> None:
    """Resources, volumes, placement, identity."""
    item = submit(
        cpus=1.5,
        memory="1GiB",
        disk="2GiB",
        shm="64MiB",
        volumes=["/data:/d:ro", "pvc=c:/c", "nfs=h:/x:/n", Volume("/e", empty=True)],
        node_selector={"zone": "a"},
        exclude=["bad"],
        tolerations=[Toleration(key="k", seconds=5)],
        service_account="sa",
        image_pull_secrets=["reg"],
        priority="high",
        security_context={"runAsUser": 1, "privileged": True},
        queue="q",
        workdir="/w",
    )
    spec = pod(item)
    container = spec["containers"][0]

    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "1Gi", "ephemeral-storage": "2Gi"}
    assert spec["volumes"][0] == {"name": "gpujobs-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}
    assert [next(iter(set(v) - {"name"})) for v in spec["volumes"][1:]] == [
        "hostPath",
        "persistentVolumeClaim",
        "nfs",
        "emptyDir",
    ]
    assert container["volumeMounts"][1] == {"name": "volume-0", "mountPath": "/d", "readOnly": True}
    assert spec["nodeSelector"] == {"zone": "a"}
    assert "bad" in str(spec["affinity"])
    assert spec["tolerations"] == [{"key": "k", "operator": "Exists", "tolerationSeconds": 5}]
    assert (spec["serviceAccountName"], spec["priorityClassName"]) == ("sa", "high")
    assert spec["securityContext"] == {"runAsUser": 1}
    assert container["securityContext"] == {"privileged": True}
    assert made(item).main["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert container["workingDir"] == "/w"


def test_a_service_is_a_deployment_that_never_hangs_for_a_gpu(submit: Submit) -> None:
    """Copies that hold GPUs are replaced in place, unless a rollout says otherwise; others in Kubernetes' own way."""
    service = GpuService(name="s", image="i", command=["x"], gpus=1, replicas=2)
    main = made(submit(service, key="s")).main

    assert (main["kind"], main["spec"]["replicas"]) == ("Deployment", 2)
    assert main["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert "strategy" not in made(submit(service.replace(gpus=None), key="s")).main["spec"]
    given = service.replace(rollout=Rollout(max_surge=1, max_unavailable=0))
    assert made(submit(given, key="s")).main["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 1


def test_ports_and_probes(submit: Submit) -> None:
    """The Service leads to the ports that the process listens on; probes ask those."""
    service = GpuService(
        name="s",
        image="i",
        command=["x"],
        ports=[Port(80, target_port=8080, node_port=30080), Port(9, protocol="UDP")],
        readiness=Probe("/health", delay=45, period=0.5),
        liveness=Probe(tcp=True, port=9),
        startup=Probe(exec=["a", "$(b)"], failures=3),
    )
    found = made(submit(service, key="s"))
    container = found.main["spec"]["template"]["spec"]["containers"][0]

    assert found.main["spec"]["replicas"] == 0
    assert found.main["metadata"]["annotations"]["gpujobs/replicas"] == "1"
    assert found.children[0]["spec"]["type"] == "NodePort"
    assert found.children[0]["spec"]["ports"][0] == {
        "name": "port-80",
        "port": 80,
        "targetPort": 8080,
        "protocol": "TCP",
        "nodePort": 30080,
    }
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/health", "port": 8080},
        "initialDelaySeconds": 45,
        "periodSeconds": 1,
    }
    assert container["livenessProbe"] == {"tcpSocket": {"port": 9}}
    assert container["startupProbe"] == {"exec": {"command": ["a", "$$(b)"]}, "failureThreshold": 3}
