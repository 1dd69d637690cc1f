"""The report of a search as one HTML page: its texts and tables, for the template beside it."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from tauopt.config.space.searched_space import searched_space
from tauopt.figures.search.parameter_names import short_names, text_of
from tauopt.figures.search.trial_points import CONFIRMING, FATES
from tauopt.report.compute_cost import ComputeCost
from tauopt.report.range_edges import range_edges
from tauopt.report.search_record import SearchRecord
from tauopt.study.leaderboard_rows import LeaderboardRow, varying

_NUMBER = re.compile(r"\(?-?[\d.,]+(e[+-]?\d+)?( %)?\)?")
"""A number as a cell shows it; in parentheses for a trial that did not complete."""
_PRINTED = 20
"""Trials of the leaderboard on paper; the style sheet hides the rest."""


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page."""

    title: str
    reading: str
    """One or two sentences that say how to read it."""
    png: bytes = field(repr=False)

    @property
    def png_base64(self) -> str:
        """The image in base64, for a data URL."""
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class TableColumn:
    """A column of a table."""

    head: str
    cells: Sequence[str]
    medium: str = ""
    """`screen` or `paper` if the column is shown there only."""
    full: str = ""
    """Full name of the column, shown when the pointer rests on its head."""

    @property
    def css_class(self) -> str:
        """CSS classes: `text` sets a column flush left, numbers are flush right."""
        is_text = any(cell and not _NUMBER.fullmatch(cell) for cell in self.cells)
        return " ".join(["text"] * is_text + [self.medium] * bool(self.medium))


def render_page(
    record: SearchRecord,
    cost: ComputeCost,
    *,
    figures: Sequence[PageFigure],
    problems: Sequence[str] = (),
) -> str:
    """Render the report of a search as HTML.

    Args:
        record: record of the search.
        cost: its compute cost.
        figures: in the order of the page.
        problems: figures that could not be drawn, and why.
    Returns:
        one page that refers to nothing outside itself.
    """
    environment = Environment(
        loader=PackageLoader("tauopt", "report"),
        autoescape=True,  # names and errors from users are text, never markup
        undefined=StrictUndefined,  # a name that the template misspells is an error
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
        edges=range_edges(record.leaderboard, searched_space(record.definition).ranges),
        dataset=_dataset(record),
        environment=_environment(record),
    )


def _summary(record: SearchRecord, cost: ComputeCost) -> dict[str, str]:
    fates = Counter(trial.fate for trial in record.trials)
    counts = ", ".join(f"{fates[fate]} {fate}" for fate in FATES if fates[fate]) or "none yet"
    again = f"; {fates[CONFIRMING]} more on other seeds" if fates[CONFIRMING] else ""
    trials = len(record.trials) - fates[CONFIRMING]
    requested = f" of {record.trials_requested} asked for" if record.trials_requested else ""
    hours = f"{cost.total.cpu_hours:.3g} core-hours, {cost.total.gpu_hours:.3g} GPU-hours"
    return {
        "objective": "; ".join(f"{goal.name} {goal.direction}d" for goal in record.goals),
        "best": _best(record),
        "trials": f"{trials}{requested}: {counts}{again}",
        "compute": f"{hours} in {cost.wall_hours:.3g} hours of wall time",
        "state": _state(record),
    }


def _best(record: SearchRecord) -> str:
    if not record.leaderboard or not record.leaderboard[0].rank:
        return "no trial has completed yet"
    row = record.leaderboard[0]
    value, low, high = row.estimate
    interval = "" if low is None else f" (68 %: {low:.4g} to {high:.4g})"
    what = f"mean of {len(row.confirmed.values)} other seeds" if row.confirmed else ""
    return ", ".join(
        filter(
            None,
            [
                f"t{row.number:03d}",
                f"{record.goals[0].name} = {_five_digits(value)}{interval}",
                what,
            ],
        )
    )


def _state(record: SearchRecord) -> str:
    if not record.driver_sessions:
        return "no record of a driver"
    drivers = len(record.driver_sessions)
    resumed = f"; {drivers} drivers, one after another" if drivers > 1 else ""
    begin = f"begun {_date(record.driver_sessions[0].begin)}"
    if record.is_alive:
        return f"{begin}, still running when this was written{resumed}"
    return f"{begin}, last active {_date(record.driver_sessions[-1].end)}{resumed}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _leaderboard(record: SearchRecord) -> list[TableColumn]:
    """Return the leaderboard: on screen a column for each parameter, on paper one for all."""
    rows = record.leaderboard
    others = [goal.name for goal in record.goals[1:]]
    confirmed = [str(row.confirmed or "") for row in rows]
    reasons = ["; ".join(filter(None, [row.reason, *row.broken])) for row in rows]
    return [
        TableColumn("rank", [f"{row.rank or ''}{'=' if row.tied else ''}" for row in rows]),
        *([TableColumn("front", [str(row.front or "") for row in rows])] if others else []),
        TableColumn("trial", [f"t{row.number:03d}" for row in rows]),
        TableColumn(record.goals[0].name, [_value(row) for row in rows]),
        TableColumn("68 % interval", [_interval(row) for row in rows]),
        *([TableColumn("other seeds", confirmed)] if any(confirmed) else []),
        *(
            TableColumn(
                name,
                [_five_digits(row.others[name][0]) if name in row.others else "" for row in rows],
            )
            for name in others
        ),
        TableColumn("state", [row.state_in_words for row in rows]),
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
    all_in_one = [
        ", ".join(f"{names[p]} {_three_digits(v)}" for p, v in row.shown.items() if p in names)
        for row in rows
    ]
    return [*columns, TableColumn("parameters", all_in_one, medium="paper")] if columns else []


def _value(row: LeaderboardRow) -> str:
    if row.value is None:
        return ""
    text = _five_digits(row.value)
    return text if row.state == "COMPLETE" else f"({text})"


def _interval(row: LeaderboardRow) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"


def _five_digits(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _three_digits(value: object) -> str:
    return text_of(float(f"{value:.3g}") if isinstance(value, float) else value)


def _dataset(record: SearchRecord) -> list[TableColumn]:
    """Return the candidates of each split and class; empty if the dataset is gone."""
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
        "git commit": record.provenance.get("commit", ""),
        "code": record.provenance.get("code", ""),
        "experiment digest": record.provenance.get("experiment", ""),
        "MLflow run": record.provenance.get("run_id", ""),
    }
    return {**{name: text for name, text in versions.items() if text}, **record.environment}
