import io
import json

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.cli.live import View, board_table
from tauopt.errors import UsageError
from tauopt.search.events import Event, describe
from tauopt.search.leaderboard import Row


def row(number, *, value, state="COMPLETE", rank=0, **params):
    return Row(
        rank=rank, number=number, state=state, value=value, low=value - 0.1, high=value + 0.1,
        params=params, reports=3, seconds=1.0, run_id=f"{number}" * 32, duplicate_of=None,
        reason="",
    )  # fmt: skip


def drawn(table):
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=160).print(table)
    return stream.getvalue()


def run(*words):
    return CliRunner().invoke(build_app(), words)


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    monkeypatch.delenv("TAUOPT_STORAGE", raising=False)


@pytest.mark.parametrize("verb", ["leaderboard", "status"])
def test_looking_where_nothing_is_says_so_and_makes_nothing(tmp_path, verb):
    ended = run(verb, "-o", str(tmp_path / "none"))
    assert isinstance(ended.exception, UsageError)
    assert "no searches yet" in str(ended.exception)
    assert not (tmp_path / "none").exists()


def test_the_board_shows_what_varies_and_the_interval():
    board = [
        row(1, value=0.7, rank=1, **{"model.units": 8, "training.learning_rate": 0.0012345}),
        row(0, value=0.6, rank=2, **{"model.units": 16, "training.learning_rate": 0.0012345}),
    ]
    text = drawn(board_table(board, "auc", title="search toy"))
    assert "0.6 - 0.8" in text
    assert "units" in text
    assert "learning_rate" not in text
    assert "11111111" in text


def test_a_narrow_board_shows_fewer_parameters_and_whole_numbers():
    names = ["units", "dropout", "cell", "layers"]
    board = [
        row(n, value=80.123, rank=n + 1, **{f"model.{name}": n for name in names}) for n in range(2)
    ]
    for width, shown in ((80, 0), (100, 1), (160, 4)):
        table = board_table(board, "rejection@0.75", title="search toy", width=width)
        stream = io.StringIO()
        from rich.console import Console

        Console(file=stream, width=width).print(table)
        text = stream.getvalue()
        assert sum(name in text for name in names) == shown
        assert "80.023 - 80.223" in text
        assert "…" not in text


def test_the_live_table_shows_running_trials_and_the_best():
    view = View(4)
    for event in (
        Event("started", 0, {"model.units": 8}),
        Event("report", 0, value=0.5, report=1),
        Event("started", 1, {"model.units": 9}),
        Event("complete", 0, value=0.625, report=2),
        Event("failed", 1, message="the loss is not finite"),
        Event("note", message="the end is near"),
    ):
        view.take(event)
    text = drawn(view.table())
    assert "1 complete, 1 failed of 4; best 0.625 (t000)" in text
    assert "the loss is not finite" in text
    assert "the end is near" in text


def test_an_event_is_a_line():
    assert describe(Event("report", 3, value=0.25, report=2)) == "t003 report 2 0.25"
    assert describe(Event("failed", 3, message="why")) == "t003 failed: why"
    assert describe(Event("started", 12, {"a.b": 0.12345})) == "t012 started a.b=0.1235"
    assert json.dumps(row(0, value=1.0).as_json())
