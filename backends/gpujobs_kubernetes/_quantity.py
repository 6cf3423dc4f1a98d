"""Quantities as Kubernetes writes them: ``500m``, ``16Gi``, ``1e3``."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

_SUFFIXES: dict[str, Fraction] = {
    **{s: Fraction(2) ** (10 * i) for i, s in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{s: Fraction(10) ** (3 * i) for i, s in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    "m": Fraction(1, 10**3),
    "u": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
}
_FORM = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]?))", re.ASCII)


def parse(text: str) -> Fraction:
    """The number that a quantity means.

    Raises:
        ValueError: It is no quantity.
    """
    match = _FORM.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity such as 2, 500m or 16Gi")
    number, exponent, suffix = match.groups()
    return Fraction(Decimal(number + (exponent or ""))) * _SUFFIXES[suffix or ""]


def whole(text: str, *, milli: bool = False) -> int:
    """A quantity as a whole number (of thousandths), rounded up as the scheduler does; 0 where it is none."""
    try:
        return math.ceil(parse(text) * (1000 if milli else 1))
    except ValueError:
        return 0


def cpu_text(cpus: float) -> str:
    """CPUs as a quantity; thousandths are the finest unit and are rounded up."""
    milli = math.ceil(round(cpus * 1000, 6))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def bytes_text(amount: int) -> str:
    """Bytes as the shortest exact quantity."""
    for i, suffix in enumerate(("Ti", "Gi", "Mi", "Ki")):
        unit = 2 ** (10 * (4 - i))
        if amount % unit == 0:
            return f"{amount // unit}{suffix}"
    return str(amount)
