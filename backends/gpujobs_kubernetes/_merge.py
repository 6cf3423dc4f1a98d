"""Strategic merge: how ``extra`` changes a manifest, as ``kubectl patch`` would."""

from __future__ import annotations

from typing import Any, cast

from gpujobs_kubernetes._tables import inside

# The lists that are merged by a key of their elements; all others are replaced. From the API's own patchMergeKey tags.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "ownerReferences": "uid",
}
_DIRECTIVE = "$patch"
Table = dict[str, Any]


def strategic_merge(original: Table, patch: Table) -> Table:
    """A new table: ``null`` removes a key, tables merge, lists with a merge key merge by it, other lists replace."""
    if patch.get(_DIRECTIVE) == "replace":
        return {k: v for k, v in patch.items() if k != _DIRECTIVE}
    merged = dict(original)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif value.__class__ is dict:
            merged[key] = strategic_merge(inside(merged, key), value)
        elif value.__class__ is list and key in _KEYS:
            merged[key] = _merge_list(merged.get(key) or [], value, _KEYS[key])
        else:
            merged[key] = value
    return merged


def _merge_list(original: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(_DIRECTIVE in entry and entry[_DIRECTIVE] == "replace" for entry in patch if entry.__class__ is dict):
        return [e for e in patch if not (e.__class__ is dict and _DIRECTIVE in e)]
    merged = list(original)
    for entry in patch:
        if entry.__class__ is not dict or key not in entry:
            merged.append(entry)
            continue
        table = cast("Table", entry)
        at = next((i for i, e in enumerate(merged) if e.__class__ is dict and e.get(key) == table[key]), None)
        if table.get(_DIRECTIVE) == "delete":
            merged = merged if at is None else merged[:at] + merged[at + 1 :]
        elif at is None:
            merged.append(strategic_merge({}, table))
        else:
            merged[at] = strategic_merge(merged[at], table)
    return merged
