# Runs where nothing but python3 is: a program of the bed, not of gpujobs.
# ruff: noqa: ANN001, ANN201, D103, T201
# mypy: ignore-errors
# pyright: basic, reportAttributeAccessIssue=false, reportOptionalSubscript=false
"""What the GPU Operator does with a ClusterPolicy, as far as gpujobs can tell."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, "/stand-in")
from api import apply, call

NAMESPACE = os.environ["NAMESPACE"]
TESTBED = json.loads(os.environ["TESTBED"])
POLICIES = "/apis/nvidia.com/v1/clusterpolicies"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def owner(policy):
    meta = policy["metadata"]
    return [{"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "name": meta["name"], "uid": meta["uid"]}]


def daemonset(name, policy, container, volumes):
    labels = {"app": name}
    common = {"image": TESTBED["image"], "imagePullPolicy": "IfNotPresent"}
    spec = {
        "serviceAccountName": "gpu-operator",
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [{**common, **container}],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels, "ownerReferences": owner(policy)},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def device_plugin(policy):
    config = policy["spec"]["devicePlugin"].get("config") or {}
    volumes = [
        {"name": "stand-in", "configMap": {"name": "stand-in"}},
        {"name": "lab", "hostPath": {"path": TESTBED["run"]}},
        {"name": "yaml", "hostPath": {"path": TESTBED["yaml"]}},
    ]
    mounts = [
        {"name": "stand-in", "mountPath": "/stand-in"},
        {"name": "lab", "mountPath": "/lab"},
        {"name": "yaml", "mountPath": "/python/yaml"},
    ]
    if config.get("name"):
        volumes.append({"name": "configs", "configMap": {"name": config["name"]}})
        mounts.append({"name": "configs", "mountPath": "/available-configs"})
    env = [
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "DEFAULT_CONFIG", "value": config.get("default", "")},
        {"name": "CONFIG_NAME", "value": config.get("name", "")},
        {"name": "MIG_STRATEGY", "value": policy["spec"]["mig"].get("strategy", "")},
        {"name": "PYTHONPATH", "value": "/python"},
    ]
    container = {
        "name": "nvidia-device-plugin",
        "command": ["python3", "-u", "/stand-in/plugin.py"],
        "env": env,
        "volumeMounts": mounts,
    }
    return daemonset("nvidia-device-plugin-daemonset", policy, container, volumes)


IDLE = "import signal as s; s.pthread_sigmask(s.SIG_BLOCK, [s.SIGTERM]); s.sigwait([s.SIGTERM])"


def exporter(policy):
    root = policy["spec"]["hostPaths"].get("kubeletRootDir") or "/var/lib/kubelet"
    container = {"name": "nvidia-dcgm-exporter", "command": ["python3", "-c", IDLE]}
    container["volumeMounts"] = [{"name": "pod-gpu-resources", "mountPath": "/var/lib/kubelet/pod-resources"}]
    volumes = [{"name": "pod-gpu-resources", "hostPath": {"path": f"{root}/pod-resources"}}]
    return daemonset("nvidia-dcgm-exporter", policy, container, volumes)


def roles():
    labels = {"app.kubernetes.io/managed-by": "gpu-operator"}
    version = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    name = "nvidia-device-plugin"
    role = {**version, "kind": "ClusterRole", "metadata": {"name": name, "labels": labels}, "rules": []}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = {
        **version,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": labels},
        "roleRef": reference,
    }
    apply(f"{RBAC}/clusterroles/{name}", role)
    apply(f"{RBAC}/clusterrolebindings/{name}", binding)


seen = {}


def reconcile(policy):
    """As the real one: a DaemonSet is written only when what is wanted changes, so a patch by hand survives."""
    wanted = [device_plugin(policy), exporter(policy)]
    ready = True
    for body in wanted:
        name = body["metadata"]["name"]
        found = call("GET", f"{SETS}/{name}")
        if found is None or seen.get(name) != json.dumps(body):
            found = apply(f"{SETS}/{name}", body)
            seen[name] = json.dumps(body)
        status = found["status"]
        number = status.get("desiredNumberScheduled", 0)
        updated = status.get("observedGeneration") == found["metadata"]["generation"]
        ready &= updated and number > 0 and status.get("numberReady") == number == status.get("updatedNumberScheduled")
    state = "ready" if ready else "notReady"
    if policy.get("status", {}).get("state") != state:
        path = f"{POLICIES}/{policy['metadata']['name']}/status"
        call("PATCH", path, {"status": {"state": state, "namespace": NAMESPACE}}, "application/merge-patch+json")
        print("ClusterPolicy is", state)


# The first process of a container gets no signal that it has not asked for.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
while True:
    try:
        for found in (call("GET", POLICIES) or {"items": []})["items"]:
            roles()
            reconcile(found)
    except (RuntimeError, OSError) as e:
        print(e)
    time.sleep(0.5)
