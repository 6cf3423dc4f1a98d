"""The files of ``remote/`` as one program for a login node: annotations stripped, for Pythons from 3.6 on."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

_PACKAGE = "gpujobs_slurm.remote"
_MODULES = ("logs", "processes", "records", "bulks", "operations", "agent")
"""In the order of their imports."""

LOADER = "import sys;n=int(sys.stdin.buffer.readline());exec(compile(sys.stdin.buffer.read(n),'gpujobs','exec'))"
"""What stands on the command line: it reads the program itself from stdin."""


@cache
def sources() -> dict[str, str]:
    """The modules by name, as they are sent."""
    directory = Path(__file__).with_name("remote")
    return {name: strip((directory / f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES}


def program(nonce: str) -> bytes:
    """The whole program; it greets with the nonce."""
    lines = [
        "import sys, types",
        "def load(name, text):",
        "    module = sys.modules[name] = types.ModuleType(name)",
        "    parent, _, last = name.rpartition('.')",
        "    if parent: setattr(sys.modules[parent], last, module)",
        "    exec(compile(text, name, 'exec'), module.__dict__)",
        f"load({_PACKAGE.partition('.')[0]!r}, '')",
        f"load({_PACKAGE!r}, '')",
        *(f"load({f'{_PACKAGE}.{name}'!r}, {text!r})" for name, text in sources().items()),
        f"sys.modules[{f'{_PACKAGE}.agent'!r}].serve({nonce!r})",
    ]
    return "\n".join(lines).encode()


class _Stripper(ast.NodeTransformer):
    """Takes away what only type checkers read, and what old Pythons cannot."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node


def strip(source: str) -> str:
    """A module without annotations."""
    return ast.unparse(ast.fix_missing_locations(_Stripper().visit(ast.parse(source))))
