"""The trials of a search as a table, as much of it as a terminal is wide."""

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

_SHOWN_PARAMS = 6
_FOLDED = 9
"""Characters to which the name of an objective may be folded."""
_SO_FAR = "(value): best so far, of a trial that did not complete; 2/3: at report 2 of 3"
_FRONT = "front 1: no trial is as good in all objectives and better in one"
_INTERVAL = "68 % interval"
_SEEDS = "other seeds"
_TIED = "other seeds: mean ± deviation (trainings); = as good as the best within errors"


@dataclass(frozen=True)
class _Column:
    header: str
    cells: Sequence[str]
    justify: Literal["left", "right"] = "right"
    folds: bool = False

    @property
    def widest(self) -> int:
        return max(len(self.header), *map(len, self.cells), 0)

    @property
    def least(self) -> int:
        if not self.folds:
            return self.widest
        return min(self.widest, max(_FOLDED, *map(len, self.cells)))


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
        board: best first; duplicates are left out.
        goals: the objectives, the first one first; of several each has a column, and the front
            stands in the place of the rank.
        title: of the table.
        varying: paths of parameters to show; empty finds them.
        width: characters there are; parameters, and of several objectives the interval, are
            shown as far as there is room for them.
    """
    from rich.table import Table

    own = [row for row in board if row.duplicate_of is None]
    columns = _columns(own, [goal.name for goal in goals])
    if len(goals) > 1 and _width(column.least for column in columns) > width:
        columns = [column for column in columns if column.header != _INTERVAL]
    room = width - _width(column.widest for column in columns)
    paths = list(varying) or _varying(own)
    parameters = _that_fit([_parameter(path, own) for path in paths], room)
    caption = _caption(own, several=len(goals) > 1, hidden=len(paths) - len(parameters))
    table = Table(title=title, caption=caption or None)
    every = [*columns[:-1], *parameters, columns[-1]]
    for column in every:
        table.add_column(
            column.header, justify=column.justify, no_wrap=not column.folds, overflow="fold",
            width=column.least if column.folds and room < 0 else None,
        )  # fmt: skip
    for index, row in enumerate(own):
        style = "bold" if row.front == 1 else None
        table.add_row(*(column.cells[index] for column in every), style=style)
    return table


def _width(columns: Iterable[int]) -> int:
    """Return the characters of a table with columns of so many, borders included."""
    widths = list(columns)
    return sum(widths) + 3 * len(widths) + 1


def _that_fit(columns: Sequence[_Column], room: int) -> list[_Column]:
    """Return the first few columns, as many as there is room for behind others."""
    ends = accumulate(column.widest + 3 for column in columns)
    found = [column for column, end in zip(columns, ends, strict=True) if end <= room]
    return found[:_SHOWN_PARAMS]


def _columns(board: Sequence[LeaderboardRow], names: Sequence[str]) -> list[_Column]:
    """Return all columns but the parameters'; the last one is the run id's."""
    first, *others = names
    place = [row.front if others else row.rank for row in board]
    return [
        _Column("front" if others else "rank", [str(number or "") for number in place]),
        _Column("trial", [f"t{row.number:03d}" for row in board]),
        _Column(first, [_value(row) for row in board], folds=True),
        _Column(_INTERVAL, [_interval(row) for row in board]),
        *(_Column(name, [_other(row, name) for row in board], folds=True) for name in others),
        *([_Column(_SEEDS, [_seeds(row) for row in board])] if any(r.seeds for r in board) else []),
        _Column("state", [row.standing for row in board], justify="left"),
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


def _seeds(row: LeaderboardRow) -> str:
    return f"{row.seeds}{' =' if row.seeds.is_tied else ''}" if row.seeds else ""


def _other(row: LeaderboardRow, name: str) -> str:
    if name not in row.others:
        return ""
    value = row.others[name][0]
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"


def _caption(board: Sequence[LeaderboardRow], *, several: bool, hidden: int) -> str:
    said = {
        _FRONT: several,
        _TIED: any(row.seeds for row in board),
        _SO_FAR: any(row.value is not None and row.state != "COMPLETE" for row in board),
        f"parameters not shown: {hidden}, see --json": hidden > 0,
    }
    return "\n".join(text for text, is_so in said.items() if is_so)


def _varying(board: Sequence[LeaderboardRow]) -> list[str]:
    from tauopt.study.leaderboard_rows import varying

    return varying(board)


def last_part(path: str) -> str:
    """Return the end of a path that is told apart well enough in a narrow column."""
    if path.startswith(HYPERPARAMETERS):
        return path.removeprefix(HYPERPARAMETERS)
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[0] == "model" and len(parts) > 2 else parts[-1]


def short(value: object) -> str:
    """Return a parameter's value in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
