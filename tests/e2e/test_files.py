"""Numbers from files as a risk analyst asks for them: answers, pictures, exit codes, and errors that say what to do."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from PIL import Image

from tailstream.cli import main

TAILSTREAM = Path(sys.executable).with_name("tailstream")
DATA = Path(__file__).parents[2] / "data"
INDEX, STOCKS = str(DATA / "sp500_index.csv.gz"), str(DATA / "sp500_stocks.csv.gz")
CLOSED_FORM = ("--method", "historical", "--method", "age_weighted", "--method", "normal")


class Answer(NamedTuple):
    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


Run = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``tailstream`` in this process, ``stdin`` being what is piped into it."""

    def answered(*arguments: str, stdin: bytes = b"") -> Answer:
        monkeypatch.setattr(sys, "argv", ["tailstream", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        return Answer(int(ended.value.code or 0), *capsys.readouterr())

    return answered


def csv(path: Path, columns: Sequence[str], *rows: Sequence[object]) -> str:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def returns(tmp_path: Path) -> str:
    """1,000 returns of A, of which B lacks the first 600."""
    values = 0.01 * np.random.default_rng(1).standard_t(4, (1000, 2))
    days = np.datetime64("2019-01-01") + np.arange(1000)
    rows = ((day, a, b if at >= 600 else "") for at, (day, (a, b)) in enumerate(zip(days, values, strict=True)))
    return csv(tmp_path / "returns.csv", ("Date", "A", "B"), *rows)


@pytest.fixture
def positions(tmp_path: Path) -> str:
    return csv(tmp_path / "positions.csv", ("instrument", "quantity"), ("AAPL", 100), ("XOM", -20), ("JPM", 30))


def test_var_answers_with_the_promised_document(run: Run) -> None:
    told = run("var", INDEX, "--last", "1000", "--level", "0.95", "--level", "0.99", "--json").document
    assert (told["as_of"], told["kind"], told["series"]["SP500"]["n_obs"]) == ("2022-12-28", "prices", 1000)
    methods = told["series"]["SP500"]["methods"]
    assert list(methods)[:2] == ["historical", "age_weighted"]
    assert list(methods)[-1] == "average"
    for estimate in methods.values():
        assert estimate.keys() == {"status", "reason", "parameters", "levels"}
        assert estimate["status"] == "ok"
        assert list(estimate["levels"]) == ["0.95", "0.99"]
        assert 0.0 < estimate["levels"]["0.95"]["var"] < estimate["levels"]["0.99"]["var"] < 0.1
    assert methods["normal"]["parameters"].keys() == {"mean", "sigma"}


def test_var_of_the_index_by_hand(run: Run) -> None:
    told = run("var", INDEX, "--last", "1000", "--method", "historical", "--level", "0.99", "--json").document
    prices = np.loadtxt(INDEX, delimiter=",", skiprows=1, usecols=1)
    losses = -np.sort((prices[1:] / prices[:-1] - 1.0)[-1000:])
    assert told["series"]["SP500"]["methods"]["historical"]["levels"] == {
        "0.99": {"var": pytest.approx(losses[10]), "es": pytest.approx(losses[:10].mean())}
    }


def test_each_series_has_an_answer_of_its_own(run: Run, returns: str) -> None:
    told = run("var", returns, *CLOSED_FORM, "--json").document["series"]
    assert (told["A"]["n_obs"], told["B"]["n_obs"]) == (1000, 400)
    short = run("var", returns, *CLOSED_FORM, "--last", "300", "--json").document["series"]
    assert (short["A"]["n_obs"], short["B"]["n_obs"]) == (300, 300)


def test_too_few_observations_are_an_answer_and_no_error(run: Run, returns: str) -> None:
    answer = run("var", returns, *CLOSED_FORM, "--last", "100", "--json")
    historical = answer.document["series"]["A"]["methods"]["historical"]
    assert answer.code == 0
    assert (historical["status"], historical["reason"]) == ("insufficient", "needs 250 observations, has 100")
    assert historical["levels"]["0.99"] == {"var": None, "es": None}


def test_several_files_are_told_apart_by_their_names(run: Run, returns: str, tmp_path: Path) -> None:
    other = csv(
        tmp_path / "other.csv", ("Date", "A"), *((f"200{year}-01-01", 0.01 * (-1) ** year) for year in range(9))
    )
    told = run("var", returns, other, *CLOSED_FORM, "--json").document
    assert list(told["series"]) == [f"{returns}:A", f"{returns}:B", f"{other}:A"]
    assert told["as_of"] == "2021-09-26"
    assert run("var", returns, INDEX, *CLOSED_FORM).code == 2


def test_a_portfolio_is_one_answer_in_fractions_and_money(run: Run, positions: str) -> None:
    told = run("var", STOCKS, "--positions", positions, "--last", "1000", "--contributions", "--json").document
    (portfolio,) = told["series"].values()
    historical = portfolio["methods"]["historical"]["levels"]["0.99"]
    assert historical["var_money"] == pytest.approx(historical["var"] * portfolio["value"])
    parts = portfolio["contributions"]["levels"]["0.99"]
    assert list(parts) == ["AAPL", "JPM", "XOM"]
    assert sum(part["component_es"] for part in parts.values()) == pytest.approx(historical["es_money"])
    assert parts["XOM"]["exposure"] < 0.0


def test_a_horizon_is_overlapping_scenarios_unless_the_square_root_is_asked_for(run: Run) -> None:
    one, ten, root = (
        run("var", INDEX, "--last", "1000", *CLOSED_FORM, "--level", "0.99", "--json", *more).document
        for more in ((), ("--horizon", "10"), ("--horizon", "10", "--sqrt-time"))
    )
    assert "horizon" not in one
    assert (ten["horizon"], ten["scaling"], ten["series"]["SP500"]["n_obs"]) == (10, "overlapping", 991)
    assert (root["horizon"], root["scaling"], root["series"]["SP500"]["n_obs"]) == (10, "square_root_of_time", 1000)
    figures = [told["series"]["SP500"]["methods"]["average"]["levels"]["0.99"]["var"] for told in (one, ten, root)]
    assert figures[2] == pytest.approx(figures[0] * 10**0.5)
    assert figures[1] != pytest.approx(figures[2], rel=1e-3)


@pytest.mark.parametrize("command", ["var", "metrics"])
def test_a_dash_reads_standard_input(run: Run, returns: str, command: str) -> None:
    piped = run(command, "-", "--json", stdin=Path(returns).read_bytes()).document
    assert piped == run(command, returns, "--json").document


def test_people_get_a_table_with_its_reasons(run: Run, returns: str) -> None:
    told = run("var", returns, *CLOSED_FORM, "--last", "100")
    assert "A, as of 2021-09-26: 100 scenarios; losses in %" in told.stdout
    assert "insufficient: needs 250 observations, has 100" in told.stdout
    assert "gain" not in told.stdout


def test_a_negative_var_is_labelled_as_a_gain(run: Run, returns: str) -> None:
    told = run("var", returns, *CLOSED_FORM, "--level", "0.2")
    assert "\nA loss below 0 is a gain.\n" in told.stdout


def test_a_method_named_beside_all_is_added_and_an_unknown_one_is_refused(run: Run, returns: str) -> None:
    arguments = ("var", returns, "--last", "100", "--method", "all", "--json", "--method")
    assert "monte_carlo_t" in run(*arguments, "monte_carlo_t").document["series"]["A"]["methods"]
    assert run(*arguments, "crystal_ball").code == 2


@pytest.fixture
def shorts(tmp_path: Path) -> str:
    return csv(tmp_path / "shorts.csv", ("instrument", "quantity"), ("AAPL", 100), ("XOM", -500))


def test_holdings_worth_less_than_nothing_have_figures_in_money_and_no_returns(run: Run, shorts: str) -> None:
    held = (STOCKS, "--positions", shorts, "--last", "600")
    told = run("var", *held, *CLOSED_FORM)
    assert told.stdout.startswith("portfolio worth -")
    assert ": 600 scenarios; losses in money" in told.stdout
    assert "losses in %" not in told.stdout
    assert ": 100 periods, P&L in money" in run("backtest", *held, "--jobs", "1", *CLOSED_FORM).stdout
    refused = run("metrics", *held)
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"error: {shorts}: expected holdings worth more than 0")


def test_a_table_that_is_too_wide_goes_on_below_and_loses_no_figure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("metrics", STOCKS, "--last", "300").stdout
    monkeypatch.setattr("tailstream.cli.series.PIPED_COLUMNS", 80)
    folded = run("metrics", STOCKS, "--last", "300").stdout
    assert max(map(len, folded.splitlines())) <= 80
    for name in ("metric", "sharpe", "worst"):
        in_one = next(line for line in whole.splitlines() if line.startswith(f"{name} "))
        in_some = [line for line in folded.splitlines() if line.startswith(f"{name} ")]
        assert len(in_some) > 1
        assert " ".join(line.removeprefix(name) for line in in_some).split() == in_one.removeprefix(name).split()


def test_a_backtest_table_is_no_wider_than_a_terminal_of_80_columns(run: Run, returns: str) -> None:
    told = run("backtest", returns, *CLOSED_FORM, "--jobs", "1").stdout
    assert max(map(len, told.split("\n\np: ")[0].splitlines())) <= 80
    assert "A: 500 periods" in told
    assert "A: 0 periods" not in told


def test_a_backtest_answers_with_the_promised_document(run: Run) -> None:
    arguments = ("--method", "historical", "--level", "0.99", "--window", "500", "--last", "1500", "--jobs", "1")
    told = run("backtest", INDEX, *arguments, "--json")
    verdict = told.document["series"]["SP500"]["methods"]["historical"]["0.99"]
    assert list(verdict) == [
        "observations", "exceptions", "expected", "kupiec", "independence", "conditional_coverage", "traffic_light",
        "multiplier", "z2", "tick_loss", "fz0_loss",
    ]  # fmt: skip
    assert (verdict["observations"], verdict["exceptions"], verdict["expected"]) == (1000, 18, 10.0)
    assert verdict["kupiec"].keys() == {"statistic", "p_value"}
    assert (verdict["traffic_light"], verdict["multiplier"]) == ("amber", 1.83)


def test_a_backtest_is_the_same_for_any_number_of_jobs(run: Run, returns: str) -> None:
    answers = [run("backtest", returns, "--refit-every", "100", "--jobs", jobs, "--json").document for jobs in "12"]
    assert answers[0] == answers[1]
    assert list(answers[0]["series"]["A"]["methods"])[-1] == "average"


def test_given_hits_are_tested_instead_of_a_model(run: Run, tmp_path: Path) -> None:
    hits = np.zeros(1000, dtype=int)
    hits[np.linspace(0, 900, 14).astype(int)] = 1
    days = np.datetime64("2019-01-01") + np.arange(1000)
    file = csv(tmp_path / "hits.csv", ("Date", "desk"), *zip(days, hits, strict=True))
    told = run("backtest", "--hits", file, "--level", "0.99", "--json").document
    verdict = told["series"]["desk"]["methods"]["hits"]["0.99"]
    assert (verdict["observations"], verdict["exceptions"], verdict["expected"]) == (1000, 14, 10.0)
    assert verdict["kupiec"]["p_value"] == pytest.approx(0.2305, abs=1e-4)
    assert verdict["fz0_loss"] is None
    assert run("backtest", "--hits", file).code == 2


def test_metrics_answer_with_the_promised_document(run: Run) -> None:
    told = run("metrics", INDEX, "--last", "1000", "--json").document["series"]["SP500"]
    assert told["n_obs"] == 1000
    assert told["metrics"]["volatility"] == {"value": pytest.approx(0.2287, abs=1e-4), "status": "ok"}
    deepest = max(told["drawdowns"], key=lambda drawdown: drawdown["depth"])
    assert deepest == {
        "peak": "2020-02-19",
        "valley": "2020-03-23",
        "recovery": "2020-08-18",
        "depth": pytest.approx(0.3392, abs=1e-4),
        "length": 126,
    }
    assert "beta" not in told["metrics"]


def test_metrics_against_a_benchmark_leave_the_benchmark_itself_alone(run: Run) -> None:
    told = run("metrics", STOCKS, "--benchmark", "KO", "--risk-free", "0.02", "--last", "500", "--json").document
    assert told["series"]["PEP"]["metrics"]["beta"]["status"] == "ok"
    assert "beta" not in told["series"]["KO"]["metrics"]
    wrong = run("metrics", STOCKS, "--benchmark", "DAX")
    assert (wrong.code, wrong.stdout) == (2, "")
    assert "--benchmark" in wrong.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("var", INDEX, "--last", "600", *CLOSED_FORM),
        ("backtest", INDEX, "--last", "600", "--jobs", "1", *CLOSED_FORM),
        ("metrics", INDEX, "--last", "600"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_picture_is_a_png_with_something_on_it(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    picture = tmp_path / "picture.png"
    assert run(*arguments, "--plot", str(picture)).code == 0
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert image.width >= 1000
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24)) > 10


def test_a_picture_of_what_cannot_be_measured_is_drawn_all_the_same(run: Run, tmp_path: Path) -> None:
    file = csv(tmp_path / "ruined.csv", ("Date", "A"), ("2020-01-01", 0.01), ("2020-01-02", -1.5))
    for command in ("var", "metrics"):
        picture = tmp_path / f"{command}.png"
        assert run(command, file, "--kind", "returns", "--plot", str(picture)).code == 0
        assert picture.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("var", INDEX, "--method", "crystal_ball"), "--method"),
        (("var", INDEX, "--level", "99"), "--level"),
        (("var", INDEX, "--level", "0"), "--level"),
        (("var", INDEX, "--last", "0"), "--last"),
        (("var", INDEX, "--horizon", "0"), "--horizon"),
        (("var", INDEX, "--kind", "yields"), "--kind"),
        (("var", INDEX, "--contributions"), "--contributions"),
        (("var", INDEX, "--plot", "picture.pdf"), "--plot"),
        (("var", INDEX, "--plot", "nowhere/picture.png"), "--plot"),
        (("var", INDEX, INDEX), "FILE"),
        (("var", INDEX, "--kind", "returns", "--positions", INDEX), "FILE"),
        (("var", INDEX, "--kind", "returns", "--positions", STOCKS), "--kind"),
        (("backtest", INDEX, "--window", "249"), "--window"),
        (("backtest", INDEX, "--window", "8312"), "--window"),
        (("backtest", INDEX, "--refit-every", "0"), "--refit-every"),
        (("backtest", INDEX, "--hits", "--level", "0.95", "--level", "0.99"), "--level"),
        (("backtest", INDEX, "--hits", "--level", "0.99", "--method", "normal"), "--method"),
        (("backtest", INDEX, "--hits", "--level", "0.99", "--plot", "picture.png"), "--plot"),
        (("var", INDEX, "--level", "nan"), "--level"),
        (("metrics", INDEX, "--risk-free", "nan"), "--risk-free"),
        (("metrics", INDEX, "--periods-per-year", "nan"), "--periods-per-year"),
        (("metrics", INDEX, "--risk-free", "2"), "--risk-free"),
        (("metrics", INDEX, "--mar", "-1"), "--mar"),
        (("metrics", INDEX, "--periods-per-year", "0"), "--periods-per-year"),
    ],
    ids=lambda value: " ".join(map(str, value[:1] + value[2:])) if isinstance(value, tuple) else value,
)
def test_a_wrong_option_is_named_and_exits_with_2(run: Run, arguments: tuple[str, ...], option: str) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.stdout) == (2, "")
    assert option in answer.stderr


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_measured(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    answer = run("backtest", INDEX, "--plot", str(tmp_path / "folder.png"))
    assert (answer.code, answer.stdout) == (2, "")
    assert "--plot" in answer.stderr


@pytest.mark.parametrize("command", ["var", "backtest", "metrics"])
def test_a_picture_of_more_series_than_can_be_looked_at_is_refused(run: Run, tmp_path: Path, command: str) -> None:
    names = [f"S{at}" for at in range(21)]
    file = csv(tmp_path / "many.csv", ("Date", *names), ("2020-01-01", *[0.01] * 21), ("2020-01-02", *[-0.01] * 21))
    answer = run(command, file, "--plot", str(tmp_path / "many.png"))
    assert (answer.code, answer.stdout) == (2, "")
    assert "at most 20 series" in " ".join(answer.stderr.split())


def test_what_is_not_clear_is_asked_for_and_not_guessed(run: Run, tmp_path: Path) -> None:
    file = csv(tmp_path / "either.csv", ("Date", "A"), ("2020-01-01", 1.2), ("2020-01-02", -0.8))
    answer = run("var", file)
    assert (answer.code, answer.stdout) == (2, "")
    assert "--kind" in answer.stderr
    assert run("var", file, "--kind", "returns", "--json").document["kind"] == "returns"


@pytest.mark.parametrize("command", ["var", "backtest", "metrics"])
def test_a_wrong_file_is_one_line_that_names_the_place_and_exits_with_1(run: Run, tmp_path: Path, command: str) -> None:
    file = csv(tmp_path / "wrong.csv", ("Date", "A"), ("2020-01-01", 100), ("2020-01-02", "n/a"))
    answer = run(command, file, "--json")
    assert (answer.code, answer.stdout) == (1, "")
    said = f"error: {file}: row 3, column 'A': expected a finite number or an empty cell, was 'n/a'\n"
    assert answer.stderr == said


def test_a_terminal_without_colour_gets_none_and_a_pipe_gets_a_clean_document() -> None:
    arguments = (TAILSTREAM, "backtest", INDEX, "--last", "900", "--jobs", "2", *CLOSED_FORM, "--json")
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": ""}
    answer = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(answer.stdout)["series"]["SP500"]["methods"].keys() >= {"historical", "average"}
    assert answer.stderr == ""


def forecasting(jobs: int) -> subprocess.Popen[str]:
    """A backtest of minutes in a group of its own, just started; its output ends when the last of its processes has."""
    arguments = (TAILSTREAM, "backtest", INDEX, "--jobs", str(jobs))
    pipe = subprocess.PIPE
    started = subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    deadline = time.monotonic() + 60.0
    while sum("spawn_main" in " ".join(child.cmdline()) for child in psutil.Process(started.pid).children()) < jobs:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started


def test_an_interrupted_backtest_says_nothing_and_leaves_no_process() -> None:
    started = forecasting(jobs=2)
    os.killpg(started.pid, signal.SIGINT)
    assert started.communicate(timeout=60) == ("", "")
    assert started.returncode == 130


def test_processes_of_a_backtest_that_was_killed_leave_too() -> None:
    started = forecasting(jobs=2)
    started.kill()
    assert started.communicate(timeout=60)[0] == ""
