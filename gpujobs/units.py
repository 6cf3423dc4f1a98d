"""Quantities as people write them: memory in bytes, times as timedelta. Ambiguous spellings are refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

__all__ = ["Duration", "Memory", "format_duration", "format_memory", "parse_duration", "parse_memory", "parse_wait"]

_BINARY: dict[str, int] = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DECIMAL: dict[str, int] = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS: dict[str, int] = {**_DECIMAL, **_BINARY}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)
_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):([0-5]?\d):([0-5]?\d)", re.ASCII)
_MAX_BYTES = 2**63 - 1
_MAX_SECONDS = 10 * 365 * 86400
_MEMORY_FORMS = "bytes as a number, or a text such as '16GiB' or '500MB'"
_TIME_FORMS = "a timedelta, seconds as a number, or a text such as '90s', '2h30m', 'HH:MM:SS' or 'D-HH:MM:SS'"


def parse_memory(value: object) -> int:
    """Bytes from a number of bytes or a text with an unambiguous unit.

    ``G`` alone is 10^9 to some tools and 2^30 to others (Slurm), so it is refused.

    Raises:
        ValueError: The value is no amount of memory; the message says what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not an amount of memory: give {_MEMORY_FORMS}")  # noqa: TRY004  # pydantic wants ValueError
    amount = _bytes(value)
    if not 0 < amount <= _MAX_BYTES or amount != int(amount):
        raise ValueError(f"{value!r} is not a whole, positive number of bytes: give {_MEMORY_FORMS}")
    return int(amount)


def _bytes(value: float | str) -> float:
    if not isinstance(value, str):
        return value
    match = _MEMORY.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not an amount of memory: give {_MEMORY_FORMS}")
    number, unit = match.groups()
    if not unit:
        return int(number) if number.isdigit() else float(number)
    if unit not in _UNITS:
        letter = unit[0].upper()
        hint = f"{number}{letter}iB ({letter}iB = powers of 1024) or {number}{letter}B (powers of 1000)"
        known = letter in "KMGT" and unit.upper() in {letter, f"{letter}I", f"{letter}IB", f"{letter}B"}
        raise ValueError(
            f"{value!r} is ambiguous: write {hint}" if known else f"{value!r} has no known unit: give {_MEMORY_FORMS}"
        )
    # Integers stay exact; only a fraction goes through a float.
    return int(number) * _UNITS[unit] if number.isdigit() else float(number) * _UNITS[unit]


def parse_duration(value: object) -> timedelta:
    """A timedelta from a timedelta, seconds as a number, or a text with units.

    Raises:
        ValueError: The value is no duration; the message says what is allowed.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        duration = _seconds(value)
    elif isinstance(value, str):
        duration = _text_duration(value.strip())
    else:
        raise ValueError(f"{value!r} is not a time: give {_TIME_FORMS}")  # noqa: TRY004  # pydantic wants ValueError
    if not timedelta(0) < duration <= timedelta(seconds=_MAX_SECONDS):
        raise ValueError(f"{value!r} is not a time above zero and below ten years: give {_TIME_FORMS}")
    return duration


def parse_wait(value: object) -> float:
    """Seconds to wait, from what ``parse_duration`` takes; zero or less means not to wait, infinity means for ever.

    Raises:
        ValueError: The value is no time.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:  # noqa: PLR0124  # not nan
        return float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return parse_duration(value).total_seconds()


def _seconds(value: float) -> timedelta:
    if not -_MAX_SECONDS <= value <= 2 * _MAX_SECONDS:  # also refuses nan and inf
        raise ValueError(f"{value!r} is not a time above zero and below ten years: give {_TIME_FORMS}")
    return timedelta(seconds=value)


def _text_duration(text: str) -> timedelta:
    clock = _CLOCK.fullmatch(text)
    if clock:
        return _sum(clock.groups())
    parts = _PARTS.fullmatch(text)
    if not parts or not text:
        bare = f": {text}s or {text}m?" if text.isdigit() else ""
        raise ValueError(
            f"{text!r} is not a time{bare} Give {_TIME_FORMS}"
            if bare
            else f"{text!r} is not a time: give {_TIME_FORMS}"
        )
    return _sum(parts.groups())


def _sum(groups: tuple[str | None, ...]) -> timedelta:
    days, hours, minutes, seconds = (float(g or 0) for g in groups)
    return _seconds(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def format_memory(amount: int) -> str:
    """The shortest exact spelling: ``16GiB``, ``500MB``, else bytes."""
    for units in (_BINARY, _DECIMAL):
        for unit in reversed(units):
            if unit not in {"B", "kB"} and amount % units[unit] == 0:
                return f"{amount // units[unit]}{unit}"
    return f"{amount}B"


def format_duration(duration: timedelta) -> str:
    """The shortest exact spelling that ``parse_duration`` reads back: ``2h30m``, ``90s`` reads ``1m30s``."""
    micros = duration // timedelta(microseconds=1)
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    seconds = f"{rest / 1e6:.6f}".rstrip("0").rstrip(".")
    parts = [f"{n}{u}" for n, u in ((days, "d"), (hours, "h"), (minutes, "m")) if n]
    return "".join(parts + ([f"{seconds}s"] if rest or not parts else []))


Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    PlainSerializer(format_memory, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0, "maximum": _MAX_BYTES},
                {"type": "string", "pattern": rf"^\s*\d+(\.\d+)?\s*({'|'.join(_UNITS)})?\s*$"},
            ],
            "description": _MEMORY_FORMS,
        }
    ),
]
"""Bytes."""

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": _MAX_SECONDS},
                {"type": "string", "pattern": rf"^\s*({_CLOCK.pattern}|(?=\d){_PARTS.pattern})\s*$"},
            ],
            "description": _TIME_FORMS,
        }
    ),
]
"""A time span."""
