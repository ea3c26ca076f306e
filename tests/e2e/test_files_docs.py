"""The commands of docs/files.md, as a risk analyst would type them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/files.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
SHOWN = re.findall(r"^```sh\n([^`]*)```\n```json\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
SECONDS_MAX = 120


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the shipped data and a column of hits."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    days = np.datetime64("2020-01-01") + np.arange(500)
    rows = (f"{day},{int(at % 90 == 0)}" for at, day in enumerate(days))
    (tmp_path / "hits.csv").write_text("\n".join(["Date,desk", *rows]) + "\n")
    return tmp_path


def typed(commands: str, desk: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        ["sh", "-eu", "-c", commands],
        cwd=desk, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("commands", COMMANDS, ids=lambda commands: commands.strip().splitlines()[-1][11:60])
def test_every_command_of_the_page_works(commands: str, desk: Path) -> None:
    assert typed(commands, desk)
    assert {path.name for path in desk.glob("*.png")} == set(re.findall(r"--plot (\S+)", commands))


@pytest.mark.parametrize(("commands", "document"), SHOWN)
def test_a_document_of_the_page_is_what_is_printed(commands: str, document: str, desk: Path) -> None:
    assert json.loads(typed(commands, desk)) == json.loads(document)


def test_the_page_shows_a_document_and_every_command() -> None:
    assert len(SHOWN) == 1
    assert {
        command for command in ("var", "backtest", "metrics") if f"tailstream {command} " not in "".join(COMMANDS)
    } == set()
