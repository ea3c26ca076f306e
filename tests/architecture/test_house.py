"""What stands around the code: the Makefile, the locks and the settings' example."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from services.recorder.settings import RecorderSettings
from tests.architecture.source import ROOT, SERVICES, modules

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.MULTILINE)
READ_BY_STACK_AND_COMMAND_LINE = {"redis", "partitions", "url", "token"}
EXCEPTIONS = {(RecorderSettings, "batch_records_max")}
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def test_make_help_has_a_line_for_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([a-z-]+) +\S", told, flags=re.MULTILINE) == TARGETS


def test_the_promised_targets_are_there() -> None:
    assert {"help", "demo", "test", "check", "generate", "lock", "bench"} <= set(TARGETS)


def test_ci_runs_the_command_of_the_readme() -> None:
    ci = (ROOT / ".ci/run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()
    assert re.search(r"^exec make .*\btest\b", ci, flags=re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_pins_every_package_by_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    pinned = re.split(r"\n(?=[a-z0-9])", text[text.index("\n", text.index("make lock")) :].strip())
    assert pinned
    assert [entry for entry in pinned if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert re.findall(r"://|file:|--index|--find-links|--trusted", text) == []


def test_a_service_is_locked_to_what_is_tested() -> None:
    tested = set(re.findall(r"^\S+==\S+", (ROOT / "requirements/dev.txt").read_text(), flags=re.MULTILINE))
    for lock in LOCKS:
        assert set(re.findall(r"^\S+==\S+", lock.read_text(), flags=re.MULTILINE)) <= tested, lock.name


def test_every_dependency_is_in_its_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name in (*SERVICES, "migrate", "dev"):
        wanted = project["dependencies"] + extras[name]
        names = {re.split(r"[\[<>=;~! ]", requirement)[0].lower() for requirement in wanted} - {"tailstream"}
        locked = set(re.findall(r"^(\S+)==", (ROOT / f"requirements/{name}.txt").read_text(), flags=re.MULTILINE))
        assert names <= locked, f"{name}: run `make lock`"


def settings_classes() -> set[type[BaseSettings]]:
    """Every settings class of ours."""
    sources = [module for module in modules("services", "tailstream") if "Settings(" in (ROOT / module).read_text()]
    found = [vars(importlib.import_module(".".join(path.with_suffix("").parts))).values() for path in sources]
    ours = (thing for things in found for thing in things if isinstance(thing, type) and thing is not BaseSettings)
    return {thing for thing in ours if issubclass(thing, BaseSettings)}


def shown_settings() -> dict[str, str]:
    """What ``.env.example`` shows, by name in lower case; an empty value is left out."""
    lines = re.findall(r"^(?:# )?TAILSTREAM_(\w+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert len(lines) == len(dict(lines)), "a setting is shown twice"
    return {name.lower(): value for name, value in lines}


def test_the_example_of_the_settings_names_every_setting_and_no_other() -> None:
    wanted = {name for settings in settings_classes() for name in settings.model_fields}
    assert shown_settings().keys() == wanted | READ_BY_STACK_AND_COMMAND_LINE


@pytest.mark.parametrize("settings", sorted(settings_classes(), key=str), ids=lambda settings: settings.__name__)
def test_the_example_of_the_settings_shows_their_defaults(
    settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in settings.model_fields:
        monkeypatch.delenv(f"TAILSTREAM_{name.upper()}", raising=False)
        if shown_settings()[name]:
            monkeypatch.setenv(f"TAILSTREAM_{name.upper()}", shown_settings()[name])
    made = settings()
    for name, field in settings.model_fields.items():
        if not field.is_required() and field.default_factory is None and (settings, name) not in EXCEPTIONS:
            assert getattr(made, name) == field.default, name
