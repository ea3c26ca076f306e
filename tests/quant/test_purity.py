"""What the maths may not do, read from its source."""

import ast
from pathlib import Path

import pytest

import tailstream.quant

SOURCES = sorted(Path(tailstream.quant.__file__).parent.rglob("*.py"))
ALLOWED = {
    "numpy",
    "scipy",
    "tailstream",
    "collections",
    "dataclasses",
    "enum",
    "fractions",
    "functools",
    "itertools",
    "math",
    "numbers",
    "operator",
    "types",
    "typing",
}
MARKET_WIDE = {"covariance.py", "monte_carlo.py", "copula.py"}
"""Made once for all books, in a shape that the log alone decides: there a product gives the same bits everywhere."""
BLAS = {"dot", "vdot", "inner", "tensordot", "matmul", "einsum", "cov", "corrcoef", "linalg", "vecdot"}


def imports(tree: ast.Module) -> set[str]:
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return modules | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def products(tree: ast.AST) -> list[int]:
    """Lines of matrix products, but for those in functions that say they are live."""
    found: list[int] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_live"):
            continue
        product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
        if product or (isinstance(node, ast.Attribute) and node.attr in BLAS):
            found.append(node.lineno)
        found += products(node)
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_maths_imports_nothing_but_arrays_and_itself(source: Path) -> None:
    modules = imports(ast.parse(source.read_text()))
    assert {module.split(".")[0] for module in modules} <= ALLOWED
    assert all(module.startswith("tailstream.quant") for module in modules if module.startswith("tailstream"))


@pytest.mark.parametrize("source", [s for s in SOURCES if s.name not in MARKET_WIDE], ids=lambda path: path.name)
def test_no_close_of_a_book_rests_on_a_matrix_product(source: Path) -> None:
    assert products(ast.parse(source.read_text())) == []


def test_the_search_for_matrix_products_finds_them() -> None:
    code = "def close(a, b):\n    return a @ b\ndef book_live(a, b):\n    return np.matmul(a, b)\nx = np.cov(a)\n"
    assert products(ast.parse(code)) == [2, 5]
