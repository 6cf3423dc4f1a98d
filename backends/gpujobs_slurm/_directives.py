"""The ``#SBATCH`` lines of a script, read as sbatch reads them."""

from __future__ import annotations

import re

from gpujobs.errors import SpecError

_SHORT = {
    "J": "job-name",
    "o": "output",
    "e": "error",
    "n": "ntasks",
    "N": "nodes",
    "c": "cpus-per-task",
    "t": "time",
    "p": "partition",
    "A": "account",
    "q": "qos",
    "C": "constraint",
    "x": "exclude",
    "a": "array",
    "D": "chdir",
    "d": "dependency",
    "G": "gpus",
    "w": "nodelist",
    "L": "licenses",
    "b": "begin",
    "m": "distribution",
    "s": "oversubscribe",
    "H": "hold",
    "Q": "quiet",
    "W": "wait",
    "v": "verbose",
    "O": "overcommit",
    "k": "no-kill",
}
_FLAGS = frozenset(
    {
        "hold",
        "quiet",
        "wait",
        "verbose",
        "overcommit",
        "no-kill",
        "oversubscribe",
        "requeue",
        "no-requeue",
        "parsable",
        "exclusive",
        "contiguous",
        "spread-job",
        "use-min-nodes",
        "test-only",
        "ignore-pbs",
    }
)
_KNOWN = (
    "account",
    "array",
    "begin",
    "chdir",
    "comment",
    "constraint",
    "cpus-per-gpu",
    "cpus-per-task",
    "deadline",
    "dependency",
    "distribution",
    "error",
    "exclude",
    "exclusive",
    "export",
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gres",
    "hint",
    "hold",
    "job-name",
    "licenses",
    "mail-type",
    "mail-user",
    "mem",
    "mem-per-cpu",
    "mem-per-gpu",
    "nice",
    "no-requeue",
    "nodelist",
    "nodes",
    "ntasks",
    "ntasks-per-node",
    "open-mode",
    "output",
    "oversubscribe",
    "parsable",
    "partition",
    "qos",
    "requeue",
    "reservation",
    "signal",
    "time",
    "wait",
)
_DIRECTIVE = "#SBATCH"


def read_directives(text: str, path: str) -> list[tuple[str, str]]:
    """``(long name, value)`` in order; those after the first command are ignored, as sbatch does.

    Raises:
        SpecError: A line cannot be read.
    """
    found: list[tuple[str, str]] = []
    # A backslash at the end of a line continues it, comments and directives included.
    for number, line in enumerate(text.replace("\\\n", " ").splitlines()[1:], 2):
        if line.startswith(_DIRECTIVE) and (len(line) == len(_DIRECTIVE) or line[len(_DIRECTIVE)].isspace()):
            found += _options(_words(line[len(_DIRECTIVE) :]), f"{path}, line {number}")
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return found


_WORD = re.compile(r"""\s*((?:\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s"'\\])+)""")
_PIECE = re.compile(r"""\\(.)|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([^"'\\]+)""")


def _words(text: str) -> list[str]:
    """Words with quotes and backslashes taken away; ``#`` at the start of a word begins a comment."""
    words: list[str] = []
    for match in _WORD.finditer(text):
        if match[1].startswith("#"):
            break
        words.append(
            "".join(re.sub(r"\\(.)", r"\1", "".join(g or "" for g in p.groups())) for p in _PIECE.finditer(match[1]))
        )
    return words


def _options(words: list[str], where: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = _full(name)
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = _SHORT.get(word[1], word[1]), word[2:3], word[2:].removeprefix("=")
        else:
            raise SpecError(f"{where}: {word!r} is no option of sbatch.", next_step="Mend that line.")
        if not equals and name not in _FLAGS:
            if not rest:
                raise SpecError(f"{where}: --{name} needs a value.", next_step="Mend that line.")
            value = rest.pop(0)
        found.append((name, value))
    return found


def _full(name: str) -> str:
    """Sbatch takes any beginning of a name that only one has."""
    if name in _KNOWN or name in _FLAGS:
        return name
    matches = [k for k in _KNOWN if k.startswith(name)]
    return matches[0] if len(matches) == 1 else name
