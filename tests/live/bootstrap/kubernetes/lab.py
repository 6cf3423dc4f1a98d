"""The cluster of these tests, and how a user reaches it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gpujobs.bootstrap import LocalShell
from gpujobs.bootstrap.gpu_operator import GpuOperator
from gpujobs.bootstrap.kubernetes.access import Which

if TYPE_CHECKING:
    from collections.abc import Callable

CHART = Path(__file__).parent / "gpu-operator"
IMAGE = "gpujobs-testbed/busybox:1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gpujobs-testbed"
KLAB = CACHE / "bootstrap-kubernetes"


@dataclass(frozen=True)
class Lab:
    """The cluster, and how a user reaches it.

    Attributes:
        pid: The process that holds the network.
        home: Where the bed keeps everything: ``run/node1/gpus`` are the GPUs of node1.
        chart: The chart that stands in for NVIDIA's.
        image: One with a shell, for pods.
        extra: More variables for every command.
        first: Directories before all others on the PATH.
    """

    pid: int
    home: Path = KLAB
    chart: str = str(CHART)
    image: str = IMAGE
    extra: dict[str, str] = field(default_factory=dict[str, str])
    first: tuple[str, ...] = ()

    def beside(self, first: Path, **extra: str) -> Lab:
        """The same cluster, with a directory before all others on the PATH, and more variables."""
        return replace(self, extra=extra, first=(str(first),))

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words that lead into the network."""
        path = ":".join((*self.first, f"{KLAB}/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
        variables = {"KLAB": str(KLAB), "KUBECONFIG": f"{KLAB}/admin.conf", "PATH": path, **self.extra}
        words = [f"{name}={value}" for name, value in variables.items()]
        return ("nsenter", "-t", str(self.pid), "-n", "-m", "--wd=/", "--", "env", *words)

    @property
    def shell(self) -> LocalShell:
        """The machine whose kubectl and helm are used."""
        return LocalShell("bed", prefix=self.prefix)

    def run(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the network."""
        return subprocess.run((*self.prefix, *words), input=stdin, capture_output=True, text=True, check=check)

    def all_at_once(self, *commands: tuple[str, ...]) -> None:
        """Run commands beside each other to their ends; what they say, and whether they succeed, does not matter."""
        quiet = subprocess.DEVNULL
        started = [
            subprocess.Popen((*self.prefix, *words), stdin=quiet, stdout=quiet, stderr=quiet) for words in commands
        ]
        for process in started:
            process.wait()

    def gpujobs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``gpujobs bootstrap WORDS``."""
        return self.run(sys.executable, "-m", "gpujobs.bootstrap", *words, check=False)

    def doctor(self, *words: str) -> dict[str, Any]:
        """The findings of ``gpujobs doctor`` about the cluster, as JSON."""
        ran = self.run(sys.executable, "-m", "gpujobs.cli", "doctor", "--json", *words, check=False)
        assert ran.returncode in {0, 1}, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def numbers(self) -> dict[str, int]:
        """How many ``nvidia.com/gpu`` each node hands out."""
        nodes = json.loads(self.run("kubectl", "get", "nodes", "-o", "json").stdout)["items"]
        return {n["metadata"]["name"]: int(n["status"]["allocatable"].get("nvidia.com/gpu", 0)) for n in nodes}

    def objects(self) -> set[str]:
        """Everything that an operator may leave behind, by kind and name."""
        listed = self.run("kubectl", "get", "ns,crd,clusterrole,clusterrolebinding,runtimeclass,cm", "-A", "-o", "name")
        labels = self.run("kubectl", "get", "nodes", "-o", "jsonpath={.items[*].metadata.labels}").stdout
        return {*listed.stdout.split(), *(["a node label"] if "device-plugin.config" in labels else [])}

    def settings(self) -> tuple[str, ...]:
        """The helm values that the bed needs, as ``--set`` words."""
        values = {"testbed.run": f"{KLAB}/run", "testbed.yaml": yaml.__path__[0]}
        return tuple(word for name, value in values.items() for word in ("--set", f"{name}={value}"))

    @staticmethod
    def eventually(true: Callable[[], bool], *, timeout_s: float = 60) -> None:
        """Wait until something becomes true."""
        end = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < end, "it did not become true"
            time.sleep(0.3)

    def operator(self) -> GpuOperator:
        """The operator of this cluster."""
        return GpuOperator("bed", self.shell, Which(distribution="kubernetes"))
