"""From the facts of a search to what its figures take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from pydantic import ValidationError

from tauopt.config.settings.dataset import Dataset
from tauopt.config.space.any_architecture import ordinary
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis, ParameterAxis
from tauopt.figures.search.timeline_figure import CUT, DriverLife, WorkerBar
from tauopt.figures.search.trial_points import REPEATED, TrialPoint
from tauopt.report.compute_cost import spent_of
from tauopt.report.search_record import SearchRecord, TrialRecord
from tauopt.report.sessions import CUTS
from tauopt.study.leaderboard_rows import varying
from tauopt.study.trial_queue import VALUES

_RUNGS = ("asha", "hyperband")
"""Pruners that decide at some reports only."""
_WIDE = 30.0
"""Ratio of largest and smallest value from which an axis without a range is logarithmic."""


def tried_of(facts: SearchRecord) -> list[TrialPoint]:
    """Return the trials of a search as figures take them, by number."""
    spent = spent_of(facts)
    by_candidates = knows_candidates(facts)
    return [
        TrialPoint(
            number=trial.number,
            fate=trial.fate,
            value=trial.row.value,
            low=trial.row.low,
            high=trial.row.high,
            seen=_places(trial, by_candidates=by_candidates),
            values=list(trial.reports.values()),
            intervals=trial.past.intervals[: len(trial.reports)] if by_candidates else (),
            spent=spent.get(trial.number),
            params=trial.row.params,
        )
        for trial in facts.trials
    ]


def knows_candidates(facts: SearchRecord) -> bool:
    """Say whether records tell of each trained trial's reports how many candidates it had seen."""
    return all(
        len(trial.past.seen) >= len(trial.reports)
        for trial in facts.trials
        if trial.fate != REPEATED
    )


def _places(trial: TrialRecord, *, by_candidates: bool) -> Sequence[float]:
    """Return where reports were; the last one may be on disk and not in the study yet."""
    return trial.past.seen[: len(trial.reports)] if by_candidates else list(trial.reports)


def rungs_of(facts: SearchRecord) -> list[float]:
    """Return where the pruner decided, in units of `TrialPoint.seen`; empty if at every report."""
    pruner = dict(facts.definition.get("search", {}).get("pruner", {}))
    longest = max((max(trial.reports, default=0) for trial in facts.trials), default=0)
    if pruner.get("type") not in _RUNGS:
        return []
    reports, rung = [], int(pruner["min_reports"])
    while rung <= longest:
        reports.append(rung)
        rung *= int(pruner["reduction_factor"])
    if not knows_candidates(facts):
        return [float(report) for report in reports]
    return [float(np.median(list(_seen_at(facts.trials, report)))) for report in reports]


def _seen_at(trials: Iterable[TrialRecord], report: int) -> Iterable[int]:
    for trial in trials:
        for number, seen in zip(trial.reports, trial.past.seen, strict=False):
            if number >= report:
                yield seen
                break


def bars_of(facts: SearchRecord) -> list[WorkerBar]:
    """Return when trials had a worker; one that ended before it trained shows how it ended."""
    return [
        WorkerBar(
            trial=t.number,
            begin=s.begin,
            ready=s.ready if s.ready < s.end else s.begin,
            end=s.end,
            outcome=CUT if s.ending in CUTS else t.fate,
        )
        for t in facts.trials
        for s in t.past.stretches
    ]


def drivings_of(facts: SearchRecord) -> list[DriverLife]:
    """Return when a driver lived."""
    return [DriverLife(s.begin, s.end, s.is_closed) for s in facts.sessions]


def sample_of(facts: SearchRecord) -> SampleLabel:
    """Return what trials are judged on, as figures say it."""
    data = facts.definition.get("data", {})
    name = str(data.get("name", facts.counts.name if facts.counts else ""))
    try:
        return SampleLabel.of(Dataset.model_validate(data), "validation split")
    except ValidationError:  # a study of an older tauopt
        return SampleLabel(name, "validation split", "weights: see the dataset file")


def note_of(facts: SearchRecord) -> str:
    """Say N and weights of what trials are judged on, and what errors are."""
    weights = f"{sample_of(facts).weights}; errors: 68 %, statistical"
    task = facts.definition.get("task", {})
    if facts.counts is None or "validation" not in facts.counts.splits or "classes" not in task:
        return weights
    counts = facts.counts.splits["validation"]
    sums = {name: sum(counts.get(c, 0) for c in of) for name, of in task["classes"].items()}
    signal = sum(sums[name] for name in task.get("signal") or sums)
    background = sum(sums.values()) - signal
    said = f" signal, {background:,} background" if background else ""
    return f"N = {signal:,}{said}; {weights}"


def with_shown_params(trials: Iterable[TrialPoint]) -> list[TrialPoint]:
    """Return trials with parameters as tables name them: one name for all architectures."""
    return [replace(trial, params=ordinary(trial.params)) for trial in trials]


def axes_of(facts: SearchRecord, *, most: int, first: Sequence[str] = ()) -> list[ParameterAxis]:
    """Return the axes of parameters that vary, as tables name them, in their order there.

    Args:
        facts: of the search.
        most: axes that there is room for.
        first: paths as the study has them, of which the foremost are kept if there are too many.
    """
    ranges: dict[str, list[BaseDistribution]] = {}
    values: dict[str, list[Any]] = {}
    names: dict[str, str] = {}
    for trial in facts.trials:
        shown = ordinary(trial.row.params)
        for path, name in zip(trial.row.params, shown, strict=True):
            names[path] = name
            values.setdefault(name, []).append(shown[name])
            # What stands in the study may be a code of the value in a model of the user's own.
            if path in trial.trial.distributions and VALUES not in trial.trial.user_attrs:
                ranges.setdefault(name, []).append(trial.trial.distributions[path])
    paths = varying(facts.board)
    ranks = {names[path]: rank for rank, path in reversed(list(enumerate(first))) if path in names}
    kept = sorted(paths, key=lambda path: (ranks.get(path, len(ranks)), paths.index(path)))[:most]
    return [_axis(p, ranges.get(p, ()), values[p]) for p in paths if p in kept and p in values]


def _axis(path: str, ranges: Sequence[BaseDistribution], values: Sequence[Any]) -> ParameterAxis:
    if not ranges:
        return _axis_of_values(path, values)
    if any(isinstance(one, CategoricalDistribution) for one in ranges):
        listed = [c for one in ranges for c in getattr(one, "choices", ())]
        return ChoiceAxis(path, _different([*listed, *values]))
    return NumberAxis(
        path,
        low=float(min(one.low for one in ranges)),
        high=float(max(one.high for one in ranges)),
        log=all(one.log for one in ranges),
        whole=all(isinstance(one, IntDistribution) for one in ranges),
    )


def _axis_of_values(path: str, values: Sequence[Any]) -> ParameterAxis:
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return ChoiceAxis(path, _different(values))
    low, high = float(min(values)), float(max(values))
    whole = all(isinstance(value, int) for value in values)
    return NumberAxis(path, low, high, log=low > 0 and high > _WIDE * low, whole=whole)


def _different(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return different values in their order: true is not 1."""
    return tuple({(isinstance(value, bool), value): value for value in values}.values())
