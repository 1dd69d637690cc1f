"""Draw the leaderboard of a search as a table that fits the width of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS

if TYPE_CHECKING:
    from rich.table import Table

    from tauopt.config.settings.objective import Goal
    from tauopt.study.leaderboard_rows import LeaderboardRow

_MOST_PARAMS = 6
_FOLDED_WIDTH = 9
"""Characters to which a column with the name of an objective may be folded."""
_SO_FAR = "(value): at the last report of a trial that did not complete; pruned 3: at report 3"
_FRONT = "front 1: no trial is as good in all objectives and better in one"
_SAME = "=: tied with the best, within 1.64 errors of the difference; the lowest loss comes first"
_INTERVAL = "68 % interval"
_SEEDS = "other seeds"
_CONFIRMED = "other seeds: mean, 68 % interval (trainings); these decide what is tied"


@dataclass(frozen=True)
class _Column:
    header: str
    cells: Sequence[str]
    justify: Literal["left", "right"] = "right"
    folds: bool = False

    @property
    def full_width(self) -> int:
        return max(len(self.header), *map(len, self.cells), 0)

    @property
    def least_width(self) -> int:
        """Width with the header folded over several lines; cells are never folded."""
        if not self.folds:
            return self.full_width
        return min(self.full_width, max(_FOLDED_WIDTH, *map(len, self.cells)))


def board_table(
    board: Sequence[LeaderboardRow],
    goals: Sequence[Goal],
    *,
    title: str,
    varying: Sequence[str] = (),
    width: int = 160,
) -> Table:
    """Draw ranked trials: objectives, 68 % interval of the first, state, parameters, run id.

    Args:
        board: rows of the leaderboard, the best first; those without a point of their own are left
            out.
        goals: the objectives, the main one first. With several objectives each has a column, and
            the Pareto front replaces the rank.
        title: title of the table.
        varying: paths of the parameters to show; empty means those that vary in `board`.
        width: width of the terminal in characters. Parameters that do not fit are left out; so is
            the interval, if there are several objectives.
    """
    from rich.table import Table

    from tauopt.study.leaderboard_rows import varying as varying_paths

    rows = [row for row in board if row.original is None]
    columns = _columns(rows, [goal.name for goal in goals])
    if len(goals) > 1 and _table_width(column.least_width for column in columns) > width:
        columns = [column for column in columns if column.header != _INTERVAL]
    room = width - _table_width(column.full_width for column in columns)
    paths = list(varying) or varying_paths(rows)
    parameters = _fitting([_parameter(path, rows) for path in paths], room)
    caption = _caption(rows, several=len(goals) > 1, hidden=len(paths) - len(parameters))
    table = Table(title=title, caption=caption or None)
    every = [*columns[:-1], *parameters, columns[-1]]
    for column in every:
        table.add_column(
            column.header, justify=column.justify, no_wrap=not column.folds, overflow="fold",
            width=column.least_width if column.folds and room < 0 else None,
        )  # fmt: skip
    for index, row in enumerate(rows):
        style = "bold" if (row.front if len(goals) > 1 else row.rank) == 1 else None
        table.add_row(*(column.cells[index] for column in every), style=style)
    return table


def _table_width(column_widths: Iterable[int]) -> int:
    """Return the width of a table with such columns, borders included, in characters."""
    widths = list(column_widths)
    return sum(widths) + 3 * len(widths) + 1


def _fitting(columns: Sequence[_Column], room: int) -> list[_Column]:
    """Return the first columns that fit into `room` characters, at most `_MOST_PARAMS`."""
    ends = accumulate(column.full_width + 3 for column in columns)
    fitting = [column for column, end in zip(columns, ends, strict=True) if end <= room]
    return fitting[:_MOST_PARAMS]


def _columns(board: Sequence[LeaderboardRow], names: Sequence[str]) -> list[_Column]:
    """Return all columns except those of parameters; the run id comes last."""
    first, *others = names
    positions = [row.front if others else row.rank for row in board]
    marks = ["=" if row.tied else "" for row in board]
    return [
        _Column(
            "front" if others else "rank",
            [f"{number or ''}{mark}" for number, mark in zip(positions, marks, strict=True)],
        ),
        _Column("trial", [f"t{row.number:03d}" for row in board]),
        _Column(first, [_value(row) for row in board], folds=True),
        _Column(_INTERVAL, [_interval(row) for row in board]),
        *(_Column(name, [_other(row, name) for row in board], folds=True) for name in others),
        *(
            [_Column(_SEEDS, [str(r.confirmed or "") for r in board])]
            if any(r.confirmed for r in board)
            else []
        ),
        _Column("state", [row.state_in_words for row in board], justify="left"),
        _Column("run id", [row.run_id[:8] for row in board], justify="left"),
    ]


def _parameter(path: str, board: Sequence[LeaderboardRow]) -> _Column:
    cells = [short(row.shown[path]) if path in row.shown else "" for row in board]
    return _Column(last_part(path), cells, folds=True)


def _value(row: LeaderboardRow) -> str:
    if row.value is None:
        return ""
    return f"{row.value:.5g}" if row.state == "COMPLETE" else f"({row.value:.5g})"


def _interval(row: LeaderboardRow) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.5g} - {row.high:.5g}"


def _other(row: LeaderboardRow, name: str) -> str:
    if name not in row.others:
        return ""
    value = row.others[name][0]
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"


def _caption(board: Sequence[LeaderboardRow], *, several: bool, hidden: int) -> str:
    lines = {
        _FRONT: several,
        _SAME: any(row.tied for row in board),
        _CONFIRMED: any(row.confirmed for row in board),
        _SO_FAR: any(row.value is not None and row.state != "COMPLETE" for row in board),
        f"parameters not shown: {hidden}, see --json": hidden > 0,
    }
    return "\n".join(line for line, is_needed in lines.items() if is_needed)


def last_part(path: str) -> str:
    """Return the end of a parameter's path, as short as a column or a live table needs."""
    if path.startswith(HYPERPARAMETERS):
        return path.removeprefix(HYPERPARAMETERS)
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[0] == "model" and len(parts) > 2 else parts[-1]


def short(value: object) -> str:
    """Return a parameter's value in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
