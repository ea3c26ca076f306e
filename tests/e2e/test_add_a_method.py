"""docs/how-to/add-a-var-method.md, followed to the letter in a folder of the test's own; nothing else is changed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tailstream.runtime.plugins import methods
from tailstream.testing.windows import noise

PAGE = (Path(__file__).parents[2] / "docs/how-to/add-a-var-method.md").read_text()
FILES = re.findall(r'^```\w+ title="(\S+)"\n(.*?)^```$', PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)).splitlines()
DEADLINE_SECONDS = 120.0


class Folder:
    """The reader's folder, in an environment in which ``pip install`` goes into a folder beside it."""

    def __init__(self, path: Path) -> None:
        self.path, site = path / "laplace", path / "site"
        self.path.mkdir()
        self._environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(site),
            "PIP_TARGET": str(site),
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it the other way round: there is no isolation
            "COLUMNS": "160",
        }

    def run(self, command: str) -> str:
        """What a command prints that has to succeed."""
        ran = subprocess.run(
            ["sh", "-ec", command],
            cwd=self.path, env=self._environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    for name, text in FILES:
        (made.path / name).write_text(text)
    days = np.datetime_as_string(np.datetime64("2020-01-01") + np.arange(300))
    rows = [f"{day},{value!r}" for day, value in zip(days, noise(300).tolist(), strict=True)]
    (made.path / "returns.csv").write_text("\n".join(["date,desk", *rows]) + "\n")
    return made


def test_a_method_in_one_file_passes_its_kit_and_answers_on_the_command_line(folder: Folder) -> None:
    installing, testing, asking = COMMANDS
    folder.run(installing)
    assert re.search(r"\b[5-9]\d passed", folder.run(testing))
    answer = folder.run(asking)
    assert re.search(r"laplace\b.*\bok\b", answer)
    assert re.search(r"normal\b.*\bok\b", answer)


def test_its_figures_are_those_of_its_formula(folder: Folder) -> None:
    folder.run(COMMANDS[0])
    asked = f"{COMMANDS[2]} --level 0.3 --level 0.99 --json"
    found = json.loads(folder.run(asked))["series"]["desk"]["methods"]["laplace"]
    pnl = noise(300)
    scale = float(np.abs(pnl - np.median(pnl)).mean())
    var = scale * float(np.log(50.0)) - float(np.median(pnl))
    assert found["levels"]["0.99"] == pytest.approx({"var": var, "es": var + scale})
    assert found["levels"]["0.3"] == {"var": None, "es": None}
    assert found["reason"] == "a level below 0.5 is not in the tail"


def test_the_environment_of_the_tests_does_not_have_it() -> None:
    assert "laplace" not in methods(250)
