"""The report of a search as one HTML page: its facts and tables, for the template beside it."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from tauopt.figures.search.parameter_names import short_names, text_of
from tauopt.figures.search.trial_points import FATES
from tauopt.report.compute_cost import ComputeCost
from tauopt.report.search_record import SearchRecord
from tauopt.study.leaderboard_rows import LeaderboardRow, varying

_NUMBER = re.compile(r"\(?-?[\d.,]+(e[+-]?\d+)?( %)?\)?")
_PRINTED = 20
"""Trials on paper; the page's style hides the rest."""


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page."""

    title: str
    reading: str
    """One or two sentences that say how to read it."""
    png: bytes = field(repr=False)

    @property
    def png_base64(self) -> str:
        """The image as a data URL holds it."""
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class TableColumn:
    """A column of a table."""

    head: str
    cells: Sequence[str]
    medium: str = ""
    """`screen` or `paper`, if it is on one of them only."""
    full: str = ""
    """Its name in full."""

    @property
    def css_class(self) -> str:
        """Text is set flush left, numbers flush right."""
        is_text = any(cell and not _NUMBER.fullmatch(cell) for cell in self.cells)
        return " ".join(["text"] * is_text + [self.medium] * bool(self.medium))


def page(
    record: SearchRecord,
    cost: ComputeCost,
    *,
    figures: Sequence[PageFigure],
    problems: Sequence[str] = (),
) -> str:
    """Render the page.

    Args:
        record: of the search.
        cost: of the search.
        figures: in the order of the page.
        problems: figures that could not be drawn, and why.
    """
    environment = Environment(
        loader=PackageLoader("tauopt", "report"),
        autoescape=True,  # names and errors from users are text, never markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(
        record=record,
        cost=cost,
        figures=figures,
        problems=problems,
        summary=_summary(record, cost),
        leaderboard=_leaderboard(record),
        printed=_PRINTED,
        dataset=_dataset(record),
        environment=_environment(record),
    )


def _summary(record: SearchRecord, cost: ComputeCost) -> dict[str, str]:
    fates = Counter(trial.fate for trial in record.trials)
    counts = ", ".join(f"{fates[fate]} {fate}" for fate in FATES if fates[fate]) or "none yet"
    asked = f" of {record.asked} asked for" if record.asked else ""
    hours = f"{cost.total.cpu_hours:.3g} core-hours, {cost.total.gpu_hours:.3g} GPU-hours"
    return {
        "objective": "; ".join(f"{goal.name} {goal.direction}d" for goal in record.goals),
        "best": _best(record),
        "trials": f"{len(record.trials)}{asked}: {counts}",
        "compute": f"{hours} in {cost.wall_hours:.3g} hours of wall time",
        "state": _state(record),
    }


def _best(record: SearchRecord) -> str:
    if not record.board or not record.board[0].rank:
        return "no trial has completed yet"
    row = record.board[0]
    interval = "" if row.low is None else f" (68 %: {row.low:.4g} to {row.high:.4g})"
    return f"t{row.number:03d}, {record.goals[0].name} = {_five_digits(row.value)}{interval}"


def _state(record: SearchRecord) -> str:
    if not record.sessions:
        return "no driver's records"
    drivers = len(record.sessions)
    resumed = f"; {drivers} drivers, one after another" if drivers > 1 else ""
    begun = f"begun {_date(record.sessions[0].begin)}"
    if record.is_alive:
        return f"{begun}, still running when this was written{resumed}"
    return f"{begun}, last active {_date(record.sessions[-1].end)}{resumed}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _leaderboard(record: SearchRecord) -> list[TableColumn]:
    """Return the leaderboard: a column a parameter on a screen, one for all of them on paper."""
    rows = record.board
    others = [goal.name for goal in record.goals[1:]]
    seeds = [f"{row.seeds}{' =' if row.seeds.is_tied else ''}" if row.seeds else "" for row in rows]
    reasons = [row.reason for row in rows]
    return [
        TableColumn("rank", [str(row.rank or "") for row in rows]),
        *([TableColumn("front", [str(row.front or "") for row in rows])] if others else []),
        TableColumn("trial", [f"t{row.number:03d}" for row in rows]),
        TableColumn(record.goals[0].name, [_value(row) for row in rows]),
        TableColumn("68 % interval", [_interval(row) for row in rows]),
        *([TableColumn("other seeds", seeds)] if any(seeds) else []),
        *(
            TableColumn(
                name,
                [_five_digits(row.others[name][0]) if name in row.others else "" for row in rows],
            )
            for name in others
        ),
        TableColumn("state", [_standing(row) for row in rows]),
        TableColumn(
            "minutes", ["" if r.seconds is None else f"{r.seconds / 60:.1f}" for r in rows]
        ),
        *_parameters(rows),
        *([TableColumn("reason", reasons)] if any(reasons) else []),
    ]


def _parameters(rows: Sequence[LeaderboardRow]) -> list[TableColumn]:
    names = short_names(varying(rows))
    columns = [
        TableColumn(
            name,
            [_five_digits(row.shown[path]) if path in row.shown else "" for row in rows],
            medium="screen",
            full=path,
        )
        for path, name in names.items()
    ]
    together = [
        ", ".join(f"{names[p]} {_three_digits(v)}" for p, v in row.shown.items() if p in names)
        for row in rows
    ]
    return [*columns, TableColumn("parameters", together, medium="paper")] if columns else []


def _value(row: LeaderboardRow) -> str:
    if row.value is None:
        return ""
    text = _five_digits(row.value)
    return text if row.state == "COMPLETE" else f"({text})"


def _interval(row: LeaderboardRow) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"


def _standing(row: LeaderboardRow) -> str:
    return row.standing if row.duplicate_of is None else f"repeats t{row.duplicate_of:03d}"


def _minutes(row: LeaderboardRow) -> str:
    return "" if row.seconds is None else f"{row.seconds / 60:.1f}"


def _five_digits(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _three_digits(value: object) -> str:
    return text_of(float(f"{value:.3g}") if isinstance(value, float) else value)


def _dataset(record: SearchRecord) -> list[TableColumn]:
    """Return the candidates of each split and class; nothing where the dataset is gone."""
    if record.counts is None:
        return []
    splits = record.counts.splits
    classes = list(dict.fromkeys(name for counts in splits.values() for name in counts))
    return [
        TableColumn("split", list(splits)),
        *(TableColumn(c, [f"{counts.get(c, 0):,}" for counts in splits.values()]) for c in classes),
        TableColumn("candidates", [f"{sum(counts.values()):,}" for counts in splits.values()]),
    ]


def _environment(record: SearchRecord) -> dict[str, str]:
    versions = {
        "git commit": record.origin.get("commit", ""),
        "code": record.origin.get("code", ""),
        "experiment digest": record.origin.get("experiment", ""),
        "MLflow run": record.origin.get("run_id", ""),
    }
    return {**{name: text for name, text in versions.items() if text}, **record.environment}
