"""``targets``: what is configured, and whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli._completion import complete_targets
from gpujobs.cli._context import App
from gpujobs.cli._text import one_line
from gpujobs.cli._verb import SETTINGS, debug_option, example, pass_app, verb

if TYPE_CHECKING:
    from gpujobs.config import Config

_HIDDEN = ("token", "password", "secret", "jwt")
_name = click.argument("name", required=False, shell_complete=complete_targets)


@click.group(
    name="targets",
    invoke_without_command=True,
    context_settings=SETTINGS,
    epilog=example("gpujobs targets", "gpujobs targets check lab"),
)
@debug_option
@options.json_output
@click.pass_context
def targets(ctx: click.Context, *, json_: bool) -> None:
    """List, show, check and log in to targets; print their rights.

    Without a word: list.
    """
    if ctx.invoked_subcommand is None:
        _list(ctx.ensure_object(App).client.config, json_=json_)


@verb("gpujobs targets list --json", name="list")
@options.json_output
@pass_app
def list_(app: App, *, json_: bool) -> None:
    """List the targets there are."""
    _list(app.client.config, json_=json_)


@verb("gpujobs targets show lab")
@_name
@options.json_output
@pass_app
def show(app: App, *, name: str | None, json_: bool) -> None:
    """Show how a target is configured, and what else it takes."""
    config = app.client.config
    chosen, table = config.target(name)
    taken = _options_of(table.backend)
    set_here = {k: _masked(k, v) for k, v in table.options.items()}
    if json_:
        output.as_json(
            {**_as_dict(config, chosen), "options": set_here, "defaults": table.defaults, "gpu_types": table.gpu_types}
            | {"takes": taken}
        )
        return
    from gpujobs.cli import _table  # noqa: PLC0415  # --json needs no table

    rows = [["backend", table.backend, "set"], *([k, str(v), "set"] for k, v in set_here.items())]
    rows += [[f"defaults.{k}", str(v), "set"] for k, v in table.defaults.items()]
    rows += [[f"gpu_types.{k}", v, "set"] for k, v in table.gpu_types.items()]
    rows += [[k, "" if v is None else str(v), "default"] for k, v in taken.items() if k not in set_here]
    _table.show(("KEY", "VALUE", "FROM"), rows)


@verb("gpujobs targets check lab")
@_name
@options.json_output
@pass_app
def check(app: App, *, name: str | None, json_: bool) -> int:
    """Prove that a target works; exits 1 if something does not."""
    found = app.client.check(name)
    if json_:
        output.as_json([{"title": c.title, "ok": c.ok, "message": c.message, "next": c.next} for c in found])
    else:
        from gpujobs.cli import _table  # noqa: PLC0415  # --json needs no table

        _table.show(
            ("CHECK", "RESULT", "MESSAGE", "NEXT"),
            [[c.title, "ok" if c.ok else "failed", one_line(c.message), one_line(c.next)] for c in found],
        )
    return 0 if all(c.ok for c in found) else 1


@verb("gpujobs targets login lab")
@_name
@pass_app
def login(app: App, *, name: str | None) -> None:
    """Open the connection of a target on this terminal."""
    app.client.login(name)


@verb("gpujobs targets rbac prod | kubectl apply -f -", "gpujobs targets rbac prod --cluster")
@_name
@click.option("--account", default="gpujobs", metavar="NAME", help="The ServiceAccount to make (gpujobs).")
@click.option("--cluster", is_flag=True, help="Also the optional rights that need the whole cluster.")
@options.json_output
@pass_app
def rbac(app: App, *, name: str | None, account: str, cluster: bool, json_: bool) -> None:
    """Print the least rights that a target needs, to be applied by an administrator."""
    text = app.client.rbac(name, account=account, cluster=cluster)
    if not json_:
        output.write(text.encode())
        return
    import yaml  # noqa: PLC0415  # only to turn it into JSON

    output.as_json(list(yaml.safe_load_all(text)))


for _command in (list_, show, check, login, rbac):
    targets.add_command(_command)


def _list(config: Config, *, json_: bool) -> None:
    found = [_as_dict(config, name) for name in sorted(config.all_targets)]
    if json_:
        output.as_json(found)
        return
    from gpujobs.cli import _table  # noqa: PLC0415  # --json needs no table

    _table.show(
        ("NAME", "BACKEND", "DEFAULT", "FROM"),
        [[t["name"], t["backend"], "yes" if t["default"] else "", t["source"] or "built in"] for t in found],
    )


def _as_dict(config: Config, name: str) -> dict[str, Any]:
    """One target in its public JSON form; ``source`` is null for the built-in ones."""
    written = name in config.targets
    return {
        "name": name,
        "backend": config.all_targets[name].backend,
        "default": name == config.target()[0],
        "source": str(config.source) if written and config.source else None,
    }


def _options_of(backend: str) -> dict[str, Any]:
    """The keys that a target of this backend takes, with their defaults; null where there is none."""
    from pydantic_core import to_jsonable_python  # noqa: PLC0415  # loads pydantic

    from gpujobs._plugins import backend_class  # noqa: PLC0415

    fields = backend_class(backend).options.model_fields
    return {
        name: None
        if field.is_required()
        else to_jsonable_python(field.get_default(call_default_factory=True), fallback=str)
        for name, field in fields.items()
    }


def _masked(key: str, value: Any) -> Any:
    """A key that holds a credential is not repeated."""
    return "<hidden>" if any(word in key.lower() for word in _HIDDEN) and isinstance(value, str) else value
