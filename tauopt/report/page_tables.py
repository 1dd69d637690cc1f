"""The tables on the page of a search's report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tauopt.figures.search.parameter_names import short_names, text_of
from tauopt.report.html_elements import Html, element, joined
from tauopt.report.search_record import SearchRecord
from tauopt.study.leaderboard_rows import LeaderboardRow, varying

_NUMBER = re.compile(r"\(?-?[\d.,]+(e[+-]?\d+)?( %)?\)?")
_PRINTED = 20
"""Trials on paper; `report_style` hides the rest."""
_SAID = (
    "Sorted by a click on a column's head. A value in parentheses is the best so far of a trial "
    "that did not complete."
)
_SEEDS = (
    " Other seeds: mean ± deviation (trainings) of the same point trained again; = as good as the "
    "best within errors."
)
_FRONT = " Front 1: no trial is as good in all objectives and better in one."


class TableColumn(NamedTuple):
    """A column of a table."""

    head: str
    cells: Sequence[str]
    kind: str = ""
    """`screen` or `paper`, if it is on one of them only."""
    full: str = ""
    """Its name in full."""


def board(facts: SearchRecord) -> Html:
    """Return the leaderboard: a column a parameter on a screen, one for all of them on paper."""
    rows = facts.board
    if not rows:
        return element("p", "No trial has begun yet.")
    others = [goal.name for goal in facts.goals[1:]]
    text = _SAID + (_SEEDS if any(r.seeds for r in rows) else "") + (_FRONT if others else "")
    said = element("p", text, class_="screen")
    columns = [*_results(rows, facts.goals[0].name, others), *_parameters(rows)]
    reasons = [row.reason for row in rows]
    columns += [TableColumn("reason", reasons)] if any(reasons) else []
    printed = f"The first {min(_PRINTED, len(rows))} of {len(rows)} trials; on a screen, all."
    return joined(said, element("p", printed, class_="paper"), table(columns, kind="sortable"))


def _results(
    rows: Sequence[LeaderboardRow], first: str, others: Sequence[str]
) -> list[TableColumn]:
    fronts = [TableColumn("front", [str(row.front or "") for row in rows])] if others else []
    costs = [
        TableColumn(
            name, [number_text(row.others[name][0]) if name in row.others else "" for row in rows]
        )
        for name in others
    ]
    again = [f"{row.seeds}{' =' if row.seeds.is_tied else ''}" if row.seeds else "" for row in rows]
    return [
        TableColumn("rank", [str(row.rank or "") for row in rows]),
        *fronts,
        TableColumn("trial", [f"t{row.number:03d}" for row in rows]),
        TableColumn(first, [_value(row) for row in rows]),
        TableColumn("68 % interval", [_interval(row) for row in rows]),
        *([TableColumn("other seeds", again)] if any(again) else []),
        *costs,
        TableColumn("state", [_standing(row) for row in rows]),
        TableColumn(
            "minutes", ["" if r.seconds is None else f"{r.seconds / 60:.1f}" for r in rows]
        ),
    ]


def _parameters(rows: Sequence[LeaderboardRow]) -> list[TableColumn]:
    names = short_names(varying(rows))
    columns = [
        TableColumn(
            name,
            [number_text(row.shown[path]) if path in row.shown else "" for row in rows],
            kind="screen",
            full=path,
        )
        for path, name in names.items()
    ]
    together = [
        ", ".join(f"{names[p]} {text_of(_rounded(v))}" for p, v in row.shown.items() if p in names)
        for row in rows
    ]
    return [*columns, TableColumn("parameters", together, kind="paper")] if columns else []


def _rounded(value: object) -> object:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _value(row: LeaderboardRow) -> str:
    if row.value is None:
        return ""
    text = number_text(row.value)
    return text if row.state == "COMPLETE" else f"({text})"


def _interval(row: LeaderboardRow) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"


def _standing(row: LeaderboardRow) -> str:
    return row.standing if row.duplicate_of is None else f"repeats t{row.duplicate_of:03d}"


def number_text(value: object) -> str:
    """Return a value to five digits."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def pairs(known: Mapping[str, str]) -> Html:
    """Return a table of names and what belongs to them."""
    rows = (
        element("tr", element("th", k, scope="row"), element("td", v)) for k, v in known.items()
    )
    return element("table", *rows, class_="pairs")


def table(columns: Sequence[TableColumn], *, kind: str = "plain") -> Html:
    """Return a table; columns of numbers are set flush right.

    Args:
        columns: of the same length.
        kind: `plain`, `sortable`, or `total` if the last row is the sum.
    """
    classes = [_classes(column) for column in columns]
    head = (
        element("th", c.head, scope="col", class_=k, title=c.full or c.head)
        for c, k in zip(columns, classes, strict=True)
    )
    rows = (
        element("tr", *(element("td", x, class_=k) for x, k in zip(cells, classes, strict=True)))
        for cells in zip(*(column.cells for column in columns), strict=True)
    )
    body = element("tbody", *rows)
    drawn = element("table", element("thead", element("tr", *head)), body, class_=kind)
    return element("div", drawn, class_="wide")


def _classes(column: TableColumn) -> str:
    is_text = any(cell and not _NUMBER.fullmatch(cell) for cell in column.cells)
    return " ".join([*(["text"] if is_text else []), *([column.kind] if column.kind else [])])
