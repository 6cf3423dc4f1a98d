"""`gpujobs bootstrap microk8s`, with a recording snap and a microk8s whose kubectl acts on the real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.bootstrap.kubernetes.lab import Lab

STAND_IN = Path(__file__).parents[3] / "bootstrap/stand_ins/stand_in.py"
GETENT = """#!/bin/sh
[ "$1" != passwd ] || { echo "root:x:0:0:root:HOME:/bin/sh"; exit; }
exec /usr/bin/getent "$@"
"""


@pytest.fixture
def micro(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """The cluster as a machine with snap sees it; systemd is said to be there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    for name in ("snap", "microk8s", "install"):
        (tmp_path / "bin" / name).symlink_to(STAND_IN)
    (tmp_path / "bin/getent").write_text(GETENT.replace("HOME", str(tmp_path / "home")))
    (tmp_path / "bin/ps").write_text("#!/bin/sh\necho systemd\n")  # the bed's own kubelets are not to be seen
    for name in ("getent", "ps"):
        (tmp_path / "bin" / name).chmod(0o755)
    lab.run("sh", "-ec", "mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd; mkdir /run/systemd/system")
    programs = {"KUBECTL": f"{lab.home}/bin/kubectl", "HELM": f"{lab.home}/bin/helm"}
    yield lab.beside(tmp_path / "bin", STAND_IN=str(tmp_path), **programs)
    lab.run("umount", "/run/systemd")


def test_from_nothing_to_proved_and_back(micro: Lab, tmp_path: Path) -> None:
    """Planned, applied, nothing to do the second time, an addon less, asked as its user, taken back without a trace."""
    planned = micro.gpujobs("microk8s", "plan")
    first = micro.gpujobs("microk8s", "apply", "--yes", "--addon", "dns", "--addon", "storage")
    second = micro.gpujobs("microk8s", "apply", "--yes")
    fewer = micro.gpujobs("microk8s", "apply", "--yes", "--addon", "dns", "--json")
    addons = json.loads((tmp_path / "state.json").read_text())["addons"]
    proved = json.loads(micro.gpujobs("microk8s", "verify", "--json").stdout)
    config = (tmp_path / "home/.kube/config").read_text()
    undone = micro.gpujobs("microk8s", "undo", "--yes")

    assert "snap install microk8s --classic --channel=1.35/stable" in planned.stdout
    assert first.returncode == 0, first.stderr
    assert second.stdout == "Nothing was to be done.\n"
    assert [title.partition(": ")[2] for title in json.loads(fewer.stdout)["changed"]] == [
        "Take back, since it is no longer wished: Enable hostpath-storage"
    ]
    assert addons == ["dns"]
    assert [check["ok"] for check in proved["checks"][:2]] == [True, True]
    assert proved["checks"][1]["detail"] == "node1 v1.36.3, node2 v1.36.3"
    assert "https://10.0.0.4:16443" in config
    assert undone.returncode == 0, undone.stderr
    assert json.loads((tmp_path / "state.json").read_text())["installed"] is False
    assert list((tmp_path / "home").iterdir()) == []


def test_beside_another_kubernetes_it_is_refused(micro: Lab, tmp_path: Path) -> None:
    """The bed's kubelets run here: two Kubernetes on one machine do not work."""
    (tmp_path / "bin/ps").unlink()

    refused = micro.gpujobs("microk8s", "apply", "--yes")

    assert refused.returncode == 1
    assert "Another Kubernetes runs on localhost: kubelet" in refused.stderr


def test_without_systemd_it_is_refused(micro: Lab) -> None:
    """As on a container: before anything is changed, with the reason."""
    micro.run("rmdir", "/run/systemd/system")

    refused = micro.gpujobs("microk8s", "apply", "--yes")

    assert refused.returncode == 1
    assert "no systemd" in refused.stderr
