"""The values of options: from the word on the command line to what the models take."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gpujobs.cli._errors import Misuse
from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.parts import Secret

    _ParamType = click.ParamType[Any]
else:  # only newer clicks can be subscripted
    _ParamType = click.ParamType

_SMALLEST_BARE_MEMORY = 2**20


class Value(_ParamType):
    """An option's value, read by a function that raises ValueError for what it cannot read."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value of the word.

        Raises:
            Misuse: It has none.
        """
        del ctx
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except Misuse as e:
            raise Misuse(f"{_option(param)}: {e.message}", e.next_step) from e
        except GpuJobsError as e:
            raise Misuse(f"{_option(param)}: {e.message}", e.next_step) from e
        except ValueError as e:
            raise Misuse(f"{_option(param)}: {_first(e)}.") from e


def _option(param: click.Parameter | None) -> str:
    """``--time`` for an option, ``REF`` for an argument."""
    if param is None:
        return "value"
    return param.opts[0] if param.param_type_name == "option" else (param.metavar or str(param.name)).strip("[].")


def _first(error: ValueError) -> str:
    """What pydantic, or a parser of ours, found wrong."""
    from pydantic import ValidationError  # noqa: PLC0415  # only on the way to an error

    text = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return text.removeprefix("Value error, ").rstrip(".")


def _bare(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _duration(text: str) -> timedelta:
    from gpujobs.units import parse_duration  # noqa: PLC0415  # loads pydantic

    if _bare(text):
        n = text.strip()
        raise Misuse(f"{n} is ambiguous: write {n}s.", f"Write {n}s, {n}m or {n}h for seconds, minutes or hours.")
    return parse_duration(text)


def _memory(text: str) -> int:
    from gpujobs.units import parse_memory  # noqa: PLC0415  # loads pydantic

    if _bare(text) and float(text) < _SMALLEST_BARE_MEMORY:
        n = text.strip()
        raise Misuse(f"{n} would be {n} bytes: write {n}GiB.", "Write a unit: 16GiB (powers of 1024), 500MB (of 1000).")
    return parse_memory(text)


def _gpus(text: str) -> Any:
    from gpujobs.gpu import Gpu  # noqa: PLC0415  # loads pydantic

    if text.strip() == "0":
        return 0
    return Gpu.model_validate(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Misuse(f"{text!r} is not NAME=VALUE.", "Write it as one word: NAME=VALUE.")
    return name, value


def _env(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if equals:
        return name, value
    if name not in os.environ:
        raise Misuse(f"{name!r} is not set here, so it cannot be passed on.", f"Write {name}=VALUE, or set it first.")
    return name, os.environ[name]


def _file(text: str) -> tuple[str, bytes]:
    """``DEST=SRC``; ``SRC`` alone goes by its own name."""
    dest, equals, source = text.partition("=")
    path = Path(source if equals else text).expanduser()
    try:
        return (dest if equals else path.name), path.read_bytes()
    except OSError as e:
        raise Misuse(f"{str(path)!r} cannot be read: {e.strerror}.", "Give DEST=SRC, SRC being a file here.") from e


def _secret(text: str) -> Secret:
    from gpujobs.parts import Secret  # noqa: PLC0415  # loads pydantic

    name, equals, source = text.partition("=")
    kind, colon, where = source.partition(":")
    if not equals:
        return Secret(name)
    if colon and where and kind == "env":
        return Secret(name, env=where)
    if colon and where and kind == "file":
        return Secret(name, file=where)
    # The value itself is not repeated: this line may end in a log.
    raise Misuse(
        f"{name}=... gives the value of a secret on the command line, where every user of this machine can read it.",
        f"Write {name} (from your environment), {name}=env:VARIABLE or {name}=file:PATH.",
    )


def _array(text: str) -> int:
    if not text.strip().isdigit():
        raise Misuse(
            f"{text!r} is not a number of elements.", "Write --array 4 for indices 0 to 3; add --parallelism 2."
        )
    return int(text)


def _ref(text: str) -> Any:
    from gpujobs.refs import Ref  # noqa: PLC0415  # `--help` needs none

    return Ref.parse(text)


def _age(text: str) -> timedelta:
    """A time that may be none at all: everything is older than that."""
    return timedelta(0) if re.fullmatch(r"0[smhd]", text.strip()) else _duration(text)


def _since(text: str) -> datetime:
    """A time, or how long ago it was."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.now(timezone.utc) - _duration(text)
    return when if when.tzinfo else when.astimezone()


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            _refuse(text, least)
        if number < least:
            _refuse(text, least)
        return number

    return read


def _refuse(text: str, least: int) -> NoReturn:
    raise Misuse(f"{text!r} is not a whole number from {least} on.", f"Give {least} or more.")


AGE = Value("TIME", _age)
ARRAY = Value("N", _array)
COUNT = Value("N", _whole(1))
DURATION = Value("TIME", _duration)
ENV = Value("K[=V]", _env)
FILE = Value("DEST=SRC", _file)
GPUS = Value("GPUS", _gpus)
MEMORY = Value("SIZE", _memory)
NATURAL = Value("N", _whole(0))
PAIR = Value("K=V", _pair)
REF = Value("REF", _ref)
SECRET = Value("SECRET", _secret)
PRIORITY = Value("N|NAME", lambda text: int(text) if text.lstrip("-").isdigit() else text)
SINCE = Value("TIME", _since)
