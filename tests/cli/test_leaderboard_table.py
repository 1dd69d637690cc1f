import io
import json

import pytest

from tauopt.cli.leaderboard_table import board_table
from tauopt.config.settings.objective import Goal
from tauopt.study.leaderboard_rows import LeaderboardRow

ONE = [Goal("rejection@0.75", "maximize")]
TWO = [*ONE, Goal("latency_us", "minimize")]
THREE = [*TWO, Goal("parameters", "minimize")]


def row(number, *, value=80.123, state="COMPLETE", rank=0, front=0, others=(), reports=3, **params):
    complete = state == "COMPLETE"
    names = [goal.name for goal in THREE[1:]]
    return LeaderboardRow(
        rank=rank, front=front, number=number, state=state, value=value, best_report=2,
        low=value - 0.1 if complete else None, high=value + 0.1 if complete else None,
        others={n: (v, None, None) for n, v in zip(names, others, strict=False)},
        params=params, reports=reports, seconds=1.0, run_id=f"{number}" * 32, duplicate_of=None,
        reason="",
    )  # fmt: skip


def drawn(table, width=160):
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


def line_of(text, trial):
    (line,) = [line for line in text.splitlines() if trial in line]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_board_shows_varying_parameters_and_the_interval():
    board = [
        row(1, value=0.7, rank=1, **{"model.units": 8, "training.learning_rate": 0.0012345}),
        row(0, value=0.6, rank=2, **{"model.units": 16, "training.learning_rate": 0.0012345}),
    ]
    text = drawn(board_table(board, ONE, title="search toy"))
    assert "0.6 - 0.8" in text
    assert "units" in text
    assert "learning_rate" not in text
    assert "11111111" in text
    assert "(value)" not in text


def test_a_hyperparameter_of_the_user_s_model_is_shown_with_its_own_name():
    name = "layer_0/units.wide"
    board = [row(n, rank=n + 1, **{f"model.hyperparameters.{name}": n}) for n in range(2)]
    assert f" {name} " in drawn(board_table(board, TWO, title="search toy"))


def test_an_incomplete_trial_has_its_best_value_in_brackets_and_the_number_of_its_report():
    board = [row(1, value=0.7, rank=1), row(0, value=0.8, state="PRUNED")]
    text = drawn(board_table(board, ONE, title="search toy"))
    assert line_of(text, "t001") == ["1", "t001", "0.7", "0.6 - 0.8", "complete", "11111111"]
    assert line_of(text, "t000") == ["", "t000", "(0.8)", "", "pruned 3", "00000000"]
    assert "at the last report" in text


def test_a_narrow_board_shows_fewer_parameters_and_whole_numbers():
    names = ["units", "dropout", "cell", "layers"]
    board = [row(n, rank=n + 1, **{f"model.{name}": n for name in names}) for n in range(2)]
    for width, shown in ((80, 0), (100, 3), (160, 4)):
        text = drawn(board_table(board, ONE, title="search toy", width=width), width)
        assert sum(name in text for name in names) == shown
        assert "80.023 - 80.223" in text
        assert "…" not in text


def test_several_objectives_have_a_column_each_and_the_front_replaces_the_rank():
    board = [
        row(4, rank=1, front=1, others=(350.25, 20481.0)),
        row(2, value=70.0, rank=2, front=1, others=(150.5, 1234567.0)),
        row(0, value=60.0, rank=3, front=2, others=(151.0, 1300000.0)),
        row(1, value=50.0, state="PRUNED"),
    ]
    text = drawn(board_table(board, THREE, title="search toy"))
    assert line_of(text, "t004")[:7] == [
        "1", "t004", "80.123", "80.023 - 80.223", "350.2", "20481", "complete",
    ]  # fmt: skip
    assert line_of(text, "t002")[5] == "1234567"
    assert [line_of(text, f"t00{n}")[0] for n in (2, 0, 1)] == ["1", "2", ""]
    assert "front 1: no trial is as good in all objectives and better in one" in text


@pytest.mark.parametrize("goals", [TWO, THREE])
@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_several_objectives_fit_a_terminal_without_cutting_numbers(goals, width):
    others = (1350.25, 2048123.0)
    board = [
        row(4, value=1180.123, rank=1, front=1, others=others, reports=30, **{"model.units": 3}),
        row(2, value=170.5, state="PRUNED", reports=30, **{"model.units": 9}),
    ]
    text = drawn(board_table(board, goals, title="search toy", width=width), width)
    assert max(map(len, text.splitlines())) <= width
    cells = line_of(text, "t004")
    assert {"1180.1", "1350", "complete", "44444444"} <= set(cells)
    assert "1180 - 1180.2" in text or width < 100
    assert "units" in text or width < 120
    assert "pruned 30" in line_of(text, "t002")


def test_a_row_is_json():
    assert json.loads(json.dumps(row(0, others=(1.5,)).as_json()))["others"] == {
        "latency_us": [1.5, None, None]
    }
