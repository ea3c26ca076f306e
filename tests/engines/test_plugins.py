"""Methods of VaR found by entry points: in order, each once, and a plug-in that does not work is named."""

import sys
from pathlib import Path

import pytest

from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.plugins import OWN, VARIANTS, fault_of, methods

MINE = """
from tailstream.quant.var import Historical

class Mine(Historical):
    id = "mine"

class Nameless(Historical):
    id = None

class Halfway(Mine):
    def fit(self, pnl, start=None): ...

class Older:
    id, version, minimum_observations = "older", "1", 250
    def __init__(self, minimum_observations): ...
    def estimate(self, pnl, levels): ...

def broken(minimum_observations):
    raise RuntimeError("no licence")
"""


class Installed:
    """Distributions in a folder of the test's own."""

    def __init__(self, site: Path) -> None:
        self._site = site
        (site / "my_methods.py").write_text(MINE)

    def add(self, distribution: str, **entry_points: str) -> None:
        """Install a distribution that offers methods."""
        info = self._site / f"{distribution}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[tailstream.var_methods]", *lines]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_methods", raising=False)
    return Installed(tmp_path)


def refusal(**wanted: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        methods(250, **wanted)  # type: ignore[arg-type]
    return str(refused.value)


def test_ours_come_in_publishing_order_and_the_variants_only_when_asked_for() -> None:
    assert tuple(methods(250)) == tuple(name for name in OWN if name not in VARIANTS)
    assert tuple(methods(250, only=OWN[::-1])) == OWN


def test_every_method_is_made_with_the_minimum_and_has_its_own_id() -> None:
    made = methods(300)
    assert {method.minimum_observations for method in made.values()} == {300}
    assert [method.id for method in made.values()] == list(made)


def test_a_third_partys_method_comes_after_ours_sorted_by_id(installed: Installed) -> None:
    installed.add("zebra", mine="my_methods:Mine")
    assert tuple(methods(250)) == (*methods(250, only=set(OWN) - VARIANTS), "mine")
    assert tuple(methods(250, only=["mine", "historical"])) == ("historical", "mine")


def test_an_id_that_is_not_there_is_answered_with_those_that_are() -> None:
    told = refusal(only=["historical", "histrical", "mine"])
    assert told == f"VaR method: expected any of {', '.join(OWN)}, was histrical, mine"


@pytest.mark.parametrize("name", ["mine", "historical"])
def test_two_plug_ins_with_one_id_are_both_named(installed: Installed, name: str) -> None:
    installed.add("first", **{name: "my_methods:Mine"})
    installed.add("second", **{name: "my_methods:Mine"})
    assert refusal().startswith(f"VaR method {name}: expected one plug-in with this id, was in ")
    assert "first 1.5" in refusal()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no_such_module:Mine", "expected a method from no_such_module:Mine(250), was ModuleNotFoundError: No module"),
        ("my_methods:Theirs", "expected a method from my_methods:Theirs(250), was AttributeError: "),
        ("my_methods:broken", "expected a method from my_methods:broken(250), was RuntimeError: no licence"),
        ("my_methods:Nameless", "id: expected an attribute that is a str, was None"),
        ("my_methods:Older", "window: expected an attribute that is a Window, was missing"),
        ("my_methods:Halfway", "estimate_with: expected all or none of fit, estimate_with, was missing"),
        ("my_methods:Mine", "id: expected the name of its entry point, was 'mine'"),
    ],
)
def test_a_plug_in_that_does_not_work_is_named_with_what_was_expected(
    installed: Installed, value: str, told: str
) -> None:
    installed.add("thirdparty", other=value)
    assert refusal().startswith(f"VaR method other of thirdparty 1.5: {told}")


def test_a_broken_plug_in_costs_nothing_to_whom_does_not_want_it(installed: Installed) -> None:
    installed.add("thirdparty", other="no_such_module:Mine")
    assert tuple(methods(250, only=["historical"])) == ("historical",)


def test_code_that_is_newer_than_its_installation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailstream.runtime.plugins.OWN", (*OWN, "newest"))
    assert refusal(only=["normal"]) == "VaR methods: expected newest in tailstream, which has to be installed"


def test_a_minimum_that_a_method_cannot_bear_is_told_with_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"VaR method normal of tailstream .*expected at least 2, was 1"):
        methods(1, only=["normal"])


def test_a_method_of_ours_has_no_fault() -> None:
    assert {name: fault_of(method) for name, method in methods(250, only=OWN).items()} == dict.fromkeys(OWN)
