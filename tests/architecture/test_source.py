"""How the code is built: what a reader may rely on without reading it."""

import ast
import re
import statistics
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SERVICES, Function, functions, lines, modules, names_used, tree

OUTLINE = {"__main__", "app", "settings", "decode", "engine", "encode"}
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base", "lib", "tools"}
FUNCTION_LINES_MAX = 40
CLOCK_AND_CHANCE = (
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic",
    "time.perf_counter", "time.sleep", "uuid1", "uuid4", "random", "np.random", "numpy.random", "secrets", "os.urandom",
)  # fmt: skip
SEEDED = ("numpy.random.Generator", "numpy.random.PCG64DXSM")
"""What draws lots the same way from the same seed; `test_whatever_is_drawn_is_drawn_from_a_seed` sees to the seed."""
OUTSIDE_WORLD = ("logging", "structlog", "print", "open", "os.environ", "asyncio", "socket", "subprocess")
PURE = [*modules("tailstream/quant"), *modules("tailstream/fold"), *modules("services/analytics/analyzers")]

every_module = pytest.mark.parametrize("module", modules(), ids=str)


def engines() -> list[Path]:
    return [module for module in modules("services") if module.name == "engine.py"]


def uses(module: Path, forbidden: tuple[str, ...], *, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{module}:{line}: {name}"
        for line, name in names_used(module)
        if any(name == word or name.startswith(f"{word}.") or name.endswith(f".{word}") for word in forbidden)
        and name not in but
    ]


def unseeded(module: Path) -> list[str]:
    """Sources of lots that are made without a seed."""
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call) and not node.args]
    names = {name.rpartition(".")[2] for name in SEEDED}
    return [f"{module}:{call.lineno}" for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_six_modules(service: str) -> None:
    found = {path.stem for path in (ROOT / "services" / service).glob("*.py")}
    assert found >= OUTLINE


def test_there_are_five_services() -> None:
    assert {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")} == set(SERVICES)


@pytest.mark.parametrize("module", [*engines(), *PURE], ids=str)
def test_what_is_pure_reads_no_clock_and_draws_no_lots(module: Path) -> None:
    assert uses(module, CLOCK_AND_CHANCE, but=SEEDED) == []


@every_module
def test_whatever_is_drawn_is_drawn_from_a_seed(module: Path) -> None:
    assert unseeded(module) == []


@pytest.mark.parametrize("module", [*engines(), *PURE], ids=str)
def test_what_is_pure_does_not_touch_the_outside_world(module: Path) -> None:
    assert uses(module, OUTSIDE_WORLD) == []
    assert [function.name for function in functions(module) if isinstance(function, ast.AsyncFunctionDef)] == []


@every_module
def test_a_module_is_named_after_what_it_holds(module: Path) -> None:
    assert not NAMES_OF_NOTHING & set(module.with_suffix("").parts)


@every_module
def test_a_function_can_be_read_at_a_glance(module: Path) -> None:
    long = [f"{module}:{f.lineno}: {f.name} has {lines(f)} lines" for f in functions(module)]
    assert [line for line, f in zip(long, functions(module), strict=True) if lines(f) > FUNCTION_LINES_MAX] == []


def test_half_of_all_functions_are_under_ten_lines() -> None:
    assert statistics.median(lines(function) for module in modules() for function in functions(module)) < 10


@every_module
def test_a_module_and_what_it_offers_say_what_they_are_for(module: Path) -> None:
    if module.name != "__init__.py":
        assert ast.get_docstring(tree(module)), f"{module}: expected a docstring"
    public = [node for node in tree(module).body if isinstance(node, ast.ClassDef | Function)]
    silent = [node.name for node in public if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert silent == []


@every_module
def test_no_module_holds_a_stub_or_a_note_to_its_author(module: Path) -> None:
    assert uses(module, ("NotImplementedError", "breakpoint", "pdb")) == []
    text = (ROOT / module).read_text().replace('"XXX"', "")  # ISO 4217: no currency
    assert re.findall(r"\b(TODO|FIXME|XXX|HACK)\b", text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import random", "from uuid import uuid4", "x = datetime.now()", "x = dt.datetime.now(UTC)",
        "np.random.normal()", "from numpy.random import default_rng",
    ],
)  # fmt: skip
def test_the_look_for_clocks_and_chance_finds_them(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.architecture.source.tree", lambda _: ast.parse(text))
    assert uses(Path("made_up.py"), CLOCK_AND_CHANCE, but=SEEDED)


def test_the_look_for_seeds_finds_what_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from numpy.random import PCG64DXSM, Generator\na = Generator(PCG64DXSM())\nb = Generator(PCG64DXSM(seed))"
    monkeypatch.setattr("tests.architecture.test_source.tree", lambda _: ast.parse(text))
    assert unseeded(Path("made_up.py")) == ["made_up.py:2"]
