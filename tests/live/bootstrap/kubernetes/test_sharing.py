"""GPUs of a real cluster are shared: numbers multiply, pods share one GPU, an undo restores the former number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    import subprocess

    from tests.live.bootstrap.kubernetes.lab import Lab

WHOLE = {"node1": 2, "node2": 1}
# The lesson's file, with its extra key that the device plugin does not know.
LESSON = """
apiVersion: v1
kind: ConfigMap
metadata: {name: time-slicing-config, namespace: gpu-operator}
data:
  any: |-
    version: v1
    sharing:
      timeSlicing:
        replicas: 4
        resources:
          - name: nvidia.com/gpu
            replicas: 3
"""


def sharing(lab: Lab, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    """``gpu-sharing VERB``."""
    return lab.gpujobs("gpu-sharing", verb, *words)


def test_four_pods_share_one_gpu_and_then_one(installed: Lab) -> None:
    """Allocatable becomes four times the GPUs, four pods run at once on one UUID, and the undo gives one again."""
    before = installed.objects()

    first = sharing(installed, "apply", "--time-slice", "4", "--yes")
    second = sharing(installed, "apply", "--time-slice", "4", "--yes")
    shared = installed.numbers()
    proved = sharing(installed, "verify", "--image", installed.image, "--json")
    undone = sharing(installed, "undo", "--yes")

    assert first.returncode == 0, first.stderr
    assert second.stdout == "Nothing was to be done.\n"
    assert shared == {"node1": 8, "node2": 4}
    checks = json.loads(proved.stdout)["checks"]
    assert [check["ok"] for check in checks] == [True] * 4, checks
    assert checks[3]["title"] == "4 pods run at once on the 1 GPUs of node2"
    assert checks[3]["detail"].startswith("4 pods on GPU-")
    assert undone.returncode == 0, undone.stderr
    assert installed.numbers() == WHOLE
    assert installed.objects() == before


def test_an_upgrade_of_the_operator_keeps_it(installed: Lab) -> None:
    """It stands in the helm values, so an upgrade by hand, and one by gpujobs, leave the number as it is."""
    sharing(installed, "apply", "--time-slice", "4", "--yes")

    installed.run("helm", "upgrade", "gpu-operator", installed.chart, "-n", "gpu-operator", "--reuse-values")
    ran = installed.gpujobs("gpu-operator", "apply", "--yes", "--set", "mig.strategy=none")
    values = json.loads(
        installed.run("helm", "get", "values", "gpu-operator", "-n", "gpu-operator", "-o", "json").stdout
    )

    assert ran.returncode == 0, ran.stderr
    assert values["devicePlugin"] == {"config": {"name": "time-slicing-config", "default": "any"}}
    assert installed.numbers() == {"node1": 8, "node2": 4}


def test_a_changed_number_is_read(installed: Lab) -> None:
    """From four to two, and one node to eight: the plugins are restarted, and the label of a node comes and goes."""
    sharing(installed, "apply", "--time-slice", "4", "--yes")
    for words, expected in (
        (("--time-slice", "2"), {"node1": 4, "node2": 2}),
        (("--time-slice", "2", "--node", "node2=time-slice:8"), {"node1": 4, "node2": 8}),
        (("--time-slice", "2", "--node", "node2=none"), {"node1": 4, "node2": 1}),
        (("--time-slice", "3"), {"node1": 6, "node2": 3}),
    ):
        ran = sharing(installed, "apply", "--yes", *words)

        assert ran.returncode == 0, ran.stderr
        assert installed.numbers() == expected
    sharing(installed, "undo", "--yes")

    assert installed.numbers() == WHOLE


def test_the_former_number_may_be_another_than_one(installed: Lab) -> None:
    """What was set up by the lesson's own commands is what an undo goes back to."""
    installed.run("kubectl", "apply", "-f", "-", stdin=LESSON)
    told = {"devicePlugin": {"config": {"name": "time-slicing-config", "default": "any"}}}
    patch = ("patch", "clusterpolicies.nvidia.com", "cluster-policy", "--type=merge", "-p", json.dumps({"spec": told}))
    installed.run("kubectl", *patch)
    installed.eventually(lambda: installed.numbers() == {"node1": 6, "node2": 3})

    sharing(installed, "apply", "--time-slice", "4", "--yes")
    shared = installed.numbers()
    undone = sharing(installed, "undo", "--yes")

    assert shared == {"node1": 8, "node2": 4}
    assert undone.returncode == 0, undone.stderr
    assert installed.numbers() == {"node1": 6, "node2": 3}


def test_shares_may_have_a_name_of_their_own(installed: Lab) -> None:
    """Renamed shares are asked for by another name, and the proof does so."""
    ran = sharing(installed, "apply", "--time-slice", "2", "--rename", "--yes")
    proved = sharing(installed, "verify", "--image", installed.image)

    assert ran.returncode == 0, ran.stderr
    assert installed.numbers() == {"node1": 0, "node2": 0}
    assert "ok    node1 hands out 4 nvidia.com/gpu.shared" in proved.stdout
    assert proved.returncode == 0, proved.stdout


def test_mig_slices_are_cut_and_mended(installed: Lab) -> None:
    """The strategy is told to the operator and the node is labelled; an undo takes both back."""
    ran = sharing(installed, "apply", "--mig-strategy", "mixed", "--mig", "node1=all-1g.10gb", "--yes")

    def slices() -> int:
        node = yaml.safe_load(installed.run("kubectl", "get", "node", "node1", "-o", "yaml").stdout)
        return int(node["status"]["allocatable"].get("nvidia.com/mig-1g.10gb", 0))

    assert ran.returncode == 0, ran.stderr
    installed.eventually(lambda: slices() == 7)
    sharing(installed, "undo", "--yes")
    installed.eventually(lambda: slices() == 0)
    policy = installed.run("kubectl", "get", "clusterpolicies.nvidia.com", "-o", "jsonpath={..mig.strategy}").stdout
    assert policy == "single"


def test_an_operator_that_is_needed_is_not_taken_away(installed: Lab) -> None:
    """The undo of the operator says what has to be undone first."""
    sharing(installed, "apply", "--time-slice", "2", "--yes")

    refused = installed.gpujobs("gpu-operator", "undo", "--yes")

    assert refused.returncode == 1
    assert "gpu-sharing undo" in refused.stderr


def test_a_node_that_is_not_there_is_refused(installed: Lab) -> None:
    """Before anything is changed, with the nodes that there are."""
    refused = sharing(installed, "apply", "--node", "node7=time-slice:2", "--yes")

    assert refused.returncode == 1
    assert "node7 is no node of this cluster" in refused.stderr
    assert "node1, node2" in refused.stderr
