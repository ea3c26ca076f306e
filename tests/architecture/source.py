"""The source code as data: its modules, their imports and their functions."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "services", "tailstream")
SERVICES = ("analytics", "gateway", "limits", "recorder", "risk")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*under: str) -> list[Path]:
    """Every module of ours below the folders ``under``, relative to the repository."""
    found = (path for folder in under or PACKAGES for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def tree(module: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse((ROOT / module).read_text(), filename=str(module))


def functions(module: Path) -> Iterator[Function]:
    """Every function and method of a module."""
    return (node for node in ast.walk(tree(module)) if isinstance(node, Function))


def lines(function: Function) -> int:
    """Lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def names_used(module: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name that a module uses, ``datetime.now`` for instance, with its line."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute | ast.Name):
            yield node.lineno, _dotted(node)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
