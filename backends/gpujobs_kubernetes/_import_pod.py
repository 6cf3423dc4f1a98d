"""The fields of a workload from the spec of a pod."""

from __future__ import annotations

import base64
import re
from typing import Any

from gpujobs.errors import SpecError
from gpujobs_kubernetes._facts import GPU, MIG, SHARED
from gpujobs_kubernetes._gpus import TOLERATION
from gpujobs_kubernetes._pod import CONTAINER
from gpujobs_kubernetes._quantity import parse, whole
from gpujobs_kubernetes._tables import inside

Table = dict[str, Any]
_POD_FIELDS = frozenset(
    {"containers", "volumes", "restartPolicy", "nodeSelector", "tolerations", "serviceAccountName", "imagePullSecrets"}
    | {"priorityClassName", "terminationGracePeriodSeconds", "securityContext", "runtimeClassName", "serviceAccount"}
    | {"activeDeadlineSeconds", "initContainers", "enableServiceLinks"}
)
_CONTAINER_FIELDS = frozenset(
    {"name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "resources", "volumeMounts", "ports"}
    | {"securityContext", "readinessProbe", "livenessProbe", "startupProbe"}
)
_VARIABLE = re.compile(r"\$(?:\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")


class Reader:
    """Reads one pod spec; ``lost`` collects what has no field, ``rest`` what can go on as a patch."""

    def __init__(self, config_maps: dict[str, Table]) -> None:
        self._maps = config_maps
        self.lost: list[str] = []
        self.rest: Table = {}
        self.ports: list[Table] = []
        self._container: Table = {}

    def pod(self, spec: Table) -> Table:
        """The fields that jobs and services share."""
        containers: list[Table] = spec.get("containers") or []
        if not containers:
            raise SpecError("The manifest has no container.", next_step="Add spec.containers.")
        self.lost += [f"container {c.get('name')}: only the first is run" for c in containers[1:]]
        self.lost += [f"init container {c.get('name')}: use setup" for c in spec.get("initContainers") or ()]
        main = self._container = containers[0]
        self.ports = main.get("ports") or []
        env = self._env(main)
        fields: Table = {"image": main.get("image"), **self._command(main, env), **_resources(main, self.lost)}
        if fields.get("gpus") and env.pop("NVIDIA_VISIBLE_DEVICES", None) is not None:
            self.lost.append("env NVIDIA_VISIBLE_DEVICES: the cluster sets it for the GPUs it hands out")
        if env:
            fields["env"] = env
        if main.get("imagePullPolicy"):
            fields["image_pull_policy"] = main["imagePullPolicy"]
        fields.update(self._mounts(main, spec))
        fields.update(self._placement(spec, gpus=bool(fields.get("gpus"))))
        security = {**inside(spec, "securityContext"), **inside(main, "securityContext")}
        if security:
            fields["security_context"] = security
        self.rest.update({k: v for k, v in spec.items() if k not in _POD_FIELDS})
        unknown = {k: v for k, v in main.items() if k not in _CONTAINER_FIELDS}
        self._patch_container(unknown)
        return fields

    def probes(self) -> Table:
        """The probes of the container."""
        found: Table = {}
        for field in ("readiness", "liveness", "startup"):
            probe = self._container.get(f"{field}Probe")
            if probe:
                found[field] = self._probe(field, probe)
        return found

    def port_number(self, port: int | str) -> int:
        """The number of a port that may be given by name."""
        if port.__class__ is int:
            return int(port)
        named = next((p["containerPort"] for p in self.ports if p.get("name") == port), None)
        if named is None:
            raise SpecError(f"The port {port!r} is named nowhere in the container.", next_step="Give its number.")
        return int(named)

    def _patch_container(self, patch: Table) -> None:
        if patch:
            mine: list[Table] = self.rest.setdefault("containers", [{"name": CONTAINER}])
            mine[0].update(patch)

    def _env(self, main: Table) -> dict[str, str]:
        plain: dict[str, str] = {}
        for entry in main.get("env") or ():
            if "valueFrom" in entry:
                self._patch_container({"env": [*self._patched_env(), entry]})
            else:
                plain[entry["name"]] = expand(str(entry.get("value") or ""), plain)
        return plain

    def _patched_env(self) -> list[Table]:
        patched: list[Table] = self.rest.get("containers", [{}])[0].get("env", [])
        return patched

    def _command(self, main: Table, env: dict[str, str]) -> Table:
        command = [expand(str(word), env) for word in main.get("command") or ()]
        args = [expand(str(word), env) for word in main.get("args") or ()]
        found: Table = {"command": command} if command else {}
        if args and command:
            found["args"] = args
        elif args:
            self._patch_container({"args": main["args"]})  # of the image's own command
        if main.get("workingDir"):
            found["workdir"] = main["workingDir"]
        return found

    def _mounts(self, main: Table, spec: Table) -> Table:
        volumes = {v["name"]: v for v in spec.get("volumes") or ()}
        found: Table = {}
        for mount in main.get("volumeMounts") or ():
            self._mount(found, mount, volumes.get(mount["name"]) or {})
        return found

    def _mount(self, found: Table, mount: Table, volume: Table) -> None:
        empty = volume.get("emptyDir")
        path = mount["mountPath"]
        if empty is not None and path == "/dev/shm" and empty.get("medium") == "Memory" and "sizeLimit" in empty:  # noqa: S108  # where programs look for it
            found["shm"] = whole(empty["sizeLimit"])
            return
        if "configMap" in volume:
            self._files(found, mount, volume["configMap"])
            return
        source = _source(volume)
        if source is None:
            self.lost.append(f"volume {mount['name']} at {path}: of a kind that has no field")
            return
        entry: Table = {"path": path, **source}
        if mount.get("subPath"):
            entry["sub_path"] = mount["subPath"]
        if mount.get("readOnly"):
            entry["read_only"] = True
        found.setdefault("volumes", []).append(entry)

    def _files(self, found: Table, mount: Table, source: Table) -> None:
        config = self._maps.get(source.get("name", ""))
        if config is None or "subPath" in mount:
            self.lost.append(f"ConfigMap {source.get('name')} at {mount['mountPath']}: give its files with files=...")
            return
        paths = {i["key"]: i["path"] for i in source.get("items") or ()}
        binary = {k: base64.b64decode(v) for k, v in inside(config, "binaryData").items()}
        for key, content in {**inside(config, "data"), **binary}.items():
            if not paths or key in paths:
                found.setdefault("files", {})[f"{mount['mountPath'].rstrip('/')}/{paths.get(key, key)}"] = content

    def _placement(self, spec: Table, *, gpus: bool) -> Table:
        found: Table = {}
        if spec.get("nodeSelector"):
            found["node_selector"] = spec["nodeSelector"]
        tolerations = [_toleration(t) for t in spec.get("tolerations") or () if not (gpus and _is_ours(t))]
        if tolerations:
            found["tolerations"] = tolerations
        account = spec.get("serviceAccountName") or spec.get("serviceAccount")
        if account:
            found["service_account"] = account
        if spec.get("imagePullSecrets"):
            found["image_pull_secrets"] = [s["name"] for s in spec["imagePullSecrets"]]
        if spec.get("priorityClassName"):
            found["priority"] = spec["priorityClassName"]
        if spec.get("terminationGracePeriodSeconds"):
            found["grace"] = spec["terminationGracePeriodSeconds"]
        runtime = spec.get("runtimeClassName")
        if runtime and not (gpus and runtime == "nvidia"):
            found["runtime_class"] = runtime
        elif runtime:
            self.lost.append("runtimeClassName nvidia: it is set where the cluster has it")
        return found

    def _probe(self, field: str, probe: Table) -> Table:
        found: Table = {}
        if "httpGet" in probe:
            get: Table = probe["httpGet"]
            found = {"path": get.get("path", "/"), "port": self.port_number(get["port"])}
            self.lost += [
                f"{field}Probe.httpGet.{k}" for k in sorted(get) if k not in {"path", "port"} and get[k] != "HTTP"
            ]
        elif "tcpSocket" in probe:
            found = {"tcp": True, "port": self.port_number(probe["tcpSocket"]["port"])}
        elif "exec" in probe:
            found = {"exec": probe["exec"]["command"]}
        names = {"initialDelaySeconds": "delay", "periodSeconds": "period", "timeoutSeconds": "timeout"}
        found.update({ours: probe[theirs] for theirs, ours in names.items() if probe.get(theirs)})
        if probe.get("failureThreshold"):
            found["failures"] = probe["failureThreshold"]
        return found


def expand(text: str, env: dict[str, str]) -> str:
    """What Kubernetes makes of ``$$`` and ``$(NAME)``; a name that is not known stays as it is."""
    return _VARIABLE.sub(lambda m: "$" if m[0] == "$$" else env.get(m[1], m[0]), text)


def _resources(main: Table, lost: list[str]) -> Table:
    resources: Table = main.get("resources") or {}
    limits: Table = resources.get("limits") or {}
    requests: Table = resources.get("requests") or {}
    found: Table = {}
    for key in dict.fromkeys([*limits, *requests]):
        value = str(limits.get(key, requests.get(key)))
        if key in limits and key in requests and parse(str(requests[key])) != parse(value):
            lost.append(f"request {key} {requests[key]}: the limit {value} is used for both")
        if key in {GPU, SHARED} or key.startswith(MIG):
            found["gpus"] = _gpu(key, whole(value))
        elif key == "cpu":
            found["cpus"] = float(parse(value))
        elif key in {"memory", "ephemeral-storage"}:
            found["memory" if key == "memory" else "disk"] = whole(value)
        else:
            lost.append(f"resource {key} {value}")
    return found


def _gpu(resource: str, count: int) -> Table:
    if resource == SHARED:
        return {"count": count, "sharing": "time-slice"}
    if resource.startswith(MIG):
        profile = resource.removeprefix(MIG)
        return {"count": count, "profile": profile.replace(".me", "+me")}
    return {"count": count}


def _source(volume: Table) -> Table | None:
    if "hostPath" in volume:
        return {"host": volume["hostPath"]["path"]}
    if "persistentVolumeClaim" in volume:
        return {"claim": volume["persistentVolumeClaim"]["claimName"]}
    if "nfs" in volume:
        return {"nfs": f"{volume['nfs']['server']}:{volume['nfs']['path']}"}
    if "emptyDir" in volume:
        empty: Table = volume["emptyDir"] or {}
        found: Table = {"empty": True}
        if empty.get("medium") == "Memory":
            found["medium"] = "memory"
        if empty.get("sizeLimit"):
            found["size"] = whole(empty["sizeLimit"])
        return found
    return None


def _is_ours(toleration: Table) -> bool:
    return toleration.get("key") == TOLERATION["key"] and toleration.get("operator") == TOLERATION["operator"]


def _toleration(toleration: Table) -> Table:
    found = dict(toleration)
    if "tolerationSeconds" in found:
        found["seconds"] = found.pop("tolerationSeconds")
    return found
