#!/usr/bin/env -S python3 -E -S
# Runs where nothing but python3 is: a program of the bed, not of gpujobs.
# It is started thousands of times, so it imports little: json and pathlib alone take longer than all that it does.
# ruff: noqa: ANN001, ANN002, ANN003, ANN201, D103, PLC0415, PTH102, PTH119, PTH123, S307, S606, T201
# mypy: ignore-errors
# pyright: basic
"""snap, microk8s and the user commands of a machine that has none of them: linked under each of their names.

What changes anything is written to ``$STAND_IN/log``, and what is so to ``$STAND_IN/state.json``. With
``$STAND_IN/kill`` holding ``before N`` or ``after N``, the Nth change kills whoever asked for it.
"""

import os
import sys

HERE = os.environ["STAND_IN"]
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "microk8s-cluster", "cluster": {"server": "https://10.0.0.4:16443"}}],
    "users": [{"name": "admin", "user": {"token": "hush-hush"}}],
    "contexts": [{"name": "microk8s", "context": {"cluster": "microk8s-cluster", "user": "admin"}}],
    "current-context": "microk8s",
}
NEW = {"installed": False, "channel": "", "held": False, "addons": [], "groups": ["alice"], "alias": False, "nodes": []}
NEW |= {"group": False}


def read(name):
    """What a file of the bed holds; nothing where it is not there."""
    try:
        with open(f"{HERE}/{name}") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def load():
    text = read("state.json")
    # The test's own JSON, of texts, lists and truth values.
    return eval(text, {"true": True, "false": False}) if text else dict(NEW)


def as_json(value):
    import json

    return json.dumps(value)


def change(state, **new):
    """Log the command, and make it so; a kill comes before or after that."""
    with open(f"{HERE}/log", "a") as file:
        file.write(" ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\n")
    number = len(read("log").splitlines())
    order = read("kill").strip()
    if order == f"before {number}":
        os.kill(os.getppid(), 9)
        sys.exit(1)
    with open(f"{HERE}/state.json", "w") as file:
        file.write(as_json({**state, **new}))
    if order == f"after {number}":
        os.kill(os.getppid(), 9)


def snap(state, verb, *words):
    if verb == "version":
        print("snap 2.70")
    elif verb == "list":
        if not state["installed"]:
            sys.exit("error: no matching snaps installed")
        notes = "classic,held" if state["held"] else "classic"
        print(f"Name Version Rev Tracking Publisher Notes\nmicrok8s v1.35.0 8511 {state['channel']} canonical✓ {notes}")
    elif verb == "install":
        channel = next((w.partition("=")[2] for w in words if w.startswith("--channel=")), "local")
        change(state, installed=True, channel=channel, group=True)
    elif not state["installed"]:
        sys.exit("error: snap microk8s is not installed")
    elif verb == "refresh":
        change(state, held="--hold" in words)
    elif verb == "remove":
        change(state, installed=False, channel="", held=False, addons=[], nodes=[])
    else:
        change(state, alias=verb == "alias")


def microk8s(state, verb, *words):
    if not state["installed"]:
        sys.exit("microk8s: command not found")
    if verb in {"kubectl", "helm3", "helm"} and "KUBECTL" in os.environ:
        program = os.environ["KUBECTL" if verb == "kubectl" else "HELM"]
        os.execv(program, [program, *words])
    elif verb == "kubectl":
        if words[:2] == ("get", "node") and words[2] not in state["nodes"]:
            sys.exit(f'Error from server (NotFound): nodes "{words[2]}" not found')
        print(f"{words[2]} Ready <none> 1m v1.35.0" if words[:2] == ("get", "node") else "Server Version: v1.35.0")
    elif verb == "status":
        enabled = words[0] == "--addon" and words[1] in state["addons"] if words else False
        print(("enabled" if enabled else "disabled") if words[:1] == ("--addon",) else "microk8s is running")
    elif verb == "config":
        print(as_json(KUBECONFIG))
    elif verb in {"enable", "disable"}:
        others = [name for name in state["addons"] if name != words[0]]
        change(state, addons=others + ([words[0]] if verb == "enable" else []))
    elif verb == "add-node":
        print(as_json({"token": "t0k3n", "urls": ["10.0.0.4:25000/t0k3n/c4eck"]}))
    elif verb == "remove-node":
        change(state, nodes=[name for name in state["nodes"] if name != words[0]])
    else:
        change(state)


def main():
    name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    state = load()
    if name in {"snap", "microk8s"}:
        globals()[name](state, *words)
    elif name == "usermod":
        change(state, groups=["alice", "microk8s"])
    elif name == "gpasswd":
        change(state, groups=["alice"])
    elif name == "groupdel":
        change(state, group=False)
    elif name == "getent":
        if not state.get("group"):
            sys.exit(2)
        print("microk8s:x:1001:" + ("alice" if "microk8s" in state["groups"] else ""))
    elif name == "id":
        print(" ".join(state["groups"]))
    elif name == "install":
        os.mkdir(words[-1], 0o700)


main()
