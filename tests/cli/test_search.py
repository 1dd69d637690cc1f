import io
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.cli.live_display import View
from tauopt.cli.search import next_steps
from tauopt.cli.status import status_lines
from tauopt.config.settings.experiment import Confirm
from tauopt.config.settings.objective import Goal
from tauopt.errors import UsageError
from tauopt.study.search_events import SearchEvent, describe
from tauopt.workflows.search import SearchResult
from tauopt.workflows.status import RunningTrial, SearchStatus
from tests.cli.test_leaderboard_table import row


def drawn(table, width=160):
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


def run(*words):
    return CliRunner().invoke(build_app(), words)


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    monkeypatch.delenv("TAUOPT_STORAGE", raising=False)


@pytest.mark.parametrize("verb", ["leaderboard", "status", "report"])
def test_a_folder_without_searches_is_an_error_and_is_not_made(tmp_path, verb):
    result = run(verb, "-o", str(tmp_path / "none"))
    assert isinstance(result.exception, UsageError)
    assert "no searches yet" in str(result.exception)
    assert not (tmp_path / "none").exists()


def test_the_live_table_shows_running_trials_and_the_best():
    view = View(4)
    for event in (
        SearchEvent("started", 0, {"model.units": 8}),
        SearchEvent("report", 0, value=0.5, report=1),
        SearchEvent("started", 1, {"model.units": 9}),
        SearchEvent("complete", 0, value=0.625, report=2),
        SearchEvent("failed", 1, message="the loss is not finite"),
        SearchEvent("note", message="the end is near"),
    ):
        view.take(event)
    text = drawn(view.table())
    assert "1 complete, 1 failed of 4; best 0.625 (t000)" in text
    assert "the loss is not finite" in text
    assert "the end is near" in text


def test_on_a_narrow_terminal_a_trial_takes_one_line_and_a_failure_is_shown_in_full():
    view = View(9)
    params = {
        "model.groups.tracks.units": 32,
        "training.learning_rate": 0.00123,
        "model.cell": "gru",
    }
    reason = (
        "the training loss became nan in batch 51 of this report; a smaller learning rate may help"
    )
    for number in range(3):
        view.take(SearchEvent("started", number, {**params, "training.batch_size": 1024}))
        view.take(SearchEvent("report", number, value=51.234, report=7))
    view.take(SearchEvent("failed", 2, message=reason))
    lines = drawn(view.table(), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    for number in range(2):
        (line,) = [line for line in lines if f"t00{number}" in line]
        assert "units=32" in line
        assert "…" in line
    first = next(i for i, line in enumerate(lines) if "t000" in line)
    assert "t001" in lines[first + 1]
    words = " ".join(word for line in lines for word in line.replace("│", " ").split())
    assert "a smaller learning rate may help" in words


def test_an_event_is_described_in_one_line():
    assert describe(SearchEvent("report", 3, value=0.25, report=2)) == "t003 report 2 0.25"
    assert describe(SearchEvent("failed", 3, message="why")) == "t003 failed: why"
    assert describe(SearchEvent("started", 12, {"a.b": 0.12345})) == "t012 started a.b=0.1235"
    several = SearchEvent("complete", 3, value=0.5, report=2, others=(310.25, 20481.0))
    assert describe(several) == "t003 complete 0.5 310.25 20481"


@pytest.mark.parametrize(
    ("goals", "lines"),
    [
        (["auc"], ["compare: tauopt ui", f"promote: tauopt promote {'4' * 32}"]),
        (
            ["auc", "parameters"],
            [
                "compare: tauopt ui",
                "the front has 2 trials; this is the best in auc:",
                f"promote: tauopt promote {'4' * 32}",
            ],
        ),
    ],
)
def test_next_steps_name_the_best_trial_in_the_first_objective_and_the_size_of_the_front(
    goals, lines
):
    board = (row(4, rank=1, front=1), row(2, rank=2, front=1), row(0, rank=3, front=2))
    goals = tuple(Goal(name, "maximize" if name == "auc" else "minimize") for name in goals)
    result = SearchResult("toy", "complete", goals, board, Path("there"))
    budget = replace(result, why="the budget of 1 h is used up", confirm=Confirm())
    said = (
        "the best points are not confirmed: the budget of 1 h is used up; raise it (tauopt extend "
        "toy --hours H), then: tauopt confirm toy"
    )
    assert said in next_steps(budget, None)
    assert next_steps(result, None) == lines


def test_next_steps_name_the_range_that_most_of_the_best_trials_hit_at_an_end():
    goals = (Goal("auc", "maximize"),)
    for edges, line in ((("a",), "space: a"), (("a", "b", "c"), "space: a (and 2 more ranges)")):
        result = SearchResult("toy", "complete", goals, (), Path("there"), edges=edges)
        assert next_steps(result, None)[0] == line


def test_next_steps_name_the_report_if_there_is_one(tmp_path):
    page = tmp_path / "report" / "report.html"
    page.parent.mkdir()
    page.touch()
    result = SearchResult("toy", "complete", (Goal("auc", "maximize"),), (), tmp_path)
    assert next_steps(result, None) == [f"report: {page}", "compare: tauopt ui"]


def test_status_in_words_names_objectives_and_front():
    state = SearchStatus(
        name="toy", holder="", asked=9, counts={"COMPLETE": 3}, running=(),
        objectives=("auc", "parameters"), best=0.75, front=2, seconds=9.0, seconds_left=None,
            gpu_seconds=0.0, is_elsewhere=False, interrupted=(), confirming=0, confirmed=0,
            to_confirm=0,
    )  # fmt: skip
    line = "best so far: auc 0.75; the front with parameters has 2 trials"
    assert line in status_lines(state)


def test_status_names_interrupted_trials_and_the_command_that_resumes_them():
    state = SearchStatus(
        name="toy", holder="", asked=9, counts={"COMPLETE": 8, "INTERRUPTED": 1}, running=(),
        objectives=("auc",), best=0.75, front=1, seconds=9.0, seconds_left=None,
        gpu_seconds=0.0, is_elsewhere=False, confirming=0, confirmed=0, to_confirm=0,
        interrupted=(RunningTrial(number=3, report=2, value=0.5, seconds=9.0),),
    )  # fmt: skip
    lines = status_lines(state, Path("my out"))
    assert "8 complete, 1 interrupted" in lines[0]
    assert "nobody runs it; go on with: tauopt resume toy -o 'my out'" in lines
    assert lines[-1] == "  t003 interrupted, can be resumed, at report 2, value 0.5"
    confirming = status_lines(
        replace(
            state, interrupted=(), counts={"COMPLETE": 9}, confirming=6, confirmed=2, to_confirm=4
        )
    )
    assert "confirming the best points: 2 of 6 trainings on other seeds have ended" in confirming
    assert any("go on with" in line for line in confirming)
    elsewhere = status_lines(replace(state, is_elsewhere=True))
    assert not any("nobody runs it" in line for line in elsewhere)
