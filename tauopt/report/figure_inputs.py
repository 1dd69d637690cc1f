"""From the record of a search to the arguments of the functions that draw its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import ValidationError

from tauopt.config.settings.dataset import Dataset
from tauopt.config.space.any_architecture import without_type
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.search.confirmation_figure import ConfirmedTrial
from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis, ParameterAxis
from tauopt.figures.search.timeline_figure import CUT, DriverLife, WorkerBar
from tauopt.figures.search.trial_points import CONFIRMING, REPEATED, TrialPoint
from tauopt.report.compute_cost import cost_at_trial_ends
from tauopt.report.search_record import SearchRecord, TrialRecord
from tauopt.report.sessions import CUT_OFF
from tauopt.study.leaderboard_rows import varying
from tauopt.study.trial_attributes import VALUES

_RUNGS = ("asha", "hyperband")
"""Pruners that decide at some reports only."""
_WIDE = 30.0
"""Ratio of largest and smallest value above which an axis without a range is logarithmic."""


def trial_points(record: SearchRecord) -> list[TrialPoint]:
    """Return the trials of a search as figures take them, by number, each point once."""
    cost = cost_at_trial_ends(record)
    by_candidates = has_candidate_counts(record)
    return [
        TrialPoint(
            number=trial.number,
            fate=trial.fate,
            value=trial.row.value,
            rank=trial.row.rank,
            low=trial.row.low,
            high=trial.row.high,
            # The last report may be on disk and not in the study yet.
            seen=trial.history.candidates_seen[: len(trial.reports)]
            if by_candidates
            else list(trial.reports),
            values=list(trial.reports.values()),
            intervals=trial.history.intervals[: len(trial.reports)] if by_candidates else (),
            spent=cost.get(trial.number),
            params=trial.row.params,
        )
        for trial in record.trials
        if trial.fate != CONFIRMING
    ]


def confirmed_trials(record: SearchRecord) -> list[ConfirmedTrial]:
    """Return the trials whose points were trained again, the best first."""
    return [
        ConfirmedTrial(
            name=f"t{row.number:03d}",
            first=row.value,
            values=row.confirmed.values,
            mean=row.confirmed.value,
            low=row.confirmed.low,
            high=row.confirmed.high,
            tied=row.tied,
        )
        for row in record.leaderboard
        if row.confirmed and row.value is not None
    ]


def has_candidate_counts(record: SearchRecord) -> bool:
    """Say whether the candidates seen are recorded for every report of each trained trial."""
    return all(
        len(trial.history.candidates_seen) >= len(trial.reports)
        for trial in record.trials
        if trial.fate != REPEATED
    )


def rung_positions(record: SearchRecord) -> list[float]:
    """Return the rungs at which the pruner decided, in units of `TrialPoint.seen`.

    Returns:
        the median over trials, for each rung; empty if the pruner decides at every report.
    """
    pruner = dict(record.definition.get("search", {}).get("pruner", {}))
    if pruner.get("type") not in _RUNGS:
        return []
    longest = max((max(trial.reports, default=0) for trial in record.trials), default=0)
    rungs, rung = [], int(pruner["min_reports"])
    while rung <= longest:
        rungs.append(rung)
        rung *= int(pruner["reduction_factor"])
    if not has_candidate_counts(record):
        return [float(rung) for rung in rungs]
    return [float(np.median(list(_candidates_at(record.trials, rung)))) for rung in rungs]


def _candidates_at(trials: Iterable[TrialRecord], rung: int) -> Iterator[int]:
    """Yield the candidates that each trial had seen at its first report at or behind a rung."""
    for trial in trials:
        for report, seen in zip(trial.reports, trial.history.candidates_seen, strict=False):
            if report >= rung:
                yield seen
                break


def worker_bars(record: SearchRecord) -> list[WorkerBar]:
    """Return the worker sessions as bars of the timeline."""
    return [
        WorkerBar(
            trial=t.number,
            begin=s.begin,
            # A trial that ended before it trained has the colour of its fate, not of waiting.
            ready=s.ready if s.ready < s.end else s.begin,
            end=s.end,
            outcome=CUT if s.ending in CUT_OFF else t.fate,
        )
        for t in record.trials
        for s in t.history.sessions
    ]


def driver_lives(record: SearchRecord) -> list[DriverLife]:
    """Return the lives of drivers as the timeline takes them."""
    return [DriverLife(d.begin, d.end, d.is_closed) for d in record.driver_sessions]


def sample_label(record: SearchRecord) -> SampleLabel:
    """Return the label of the sample on which trials are scored: the validation split."""
    data = record.definition.get("data", {})
    name = str(data.get("name", record.counts.name if record.counts else ""))
    try:
        return SampleLabel.from_dataset(Dataset.model_validate(data), "validation split")
    except ValidationError:  # a study of an older tauopt
        return SampleLabel(name, "validation split", "weights: see the dataset file")


def sample_note(record: SearchRecord) -> str:
    """Return N, weights and meaning of errors on the sample on which trials are scored."""
    weights = f"{sample_label(record).weights}; errors: 68 %, statistical"
    task = record.definition.get("task", {})
    if record.counts is None or "validation" not in record.counts.splits or "classes" not in task:
        return weights
    counts = record.counts.splits["validation"]
    sums = {
        name: sum(counts.get(c, 0) for c in members) for name, members in task["classes"].items()
    }
    signal = sum(sums[name] for name in task.get("signal") or sums)
    background = sum(sums.values()) - signal
    text = f" signal, {background:,} background" if background else ""
    return f"N = {signal:,}{text}; {weights}"


def with_common_names(trials: Iterable[TrialPoint]) -> list[TrialPoint]:
    """Rename the trials' parameters as tables do: one name for all architectures."""
    return [replace(trial, params=without_type(trial.params)) for trial in trials]


def parameter_axes(
    record: SearchRecord, *, most: int, first: Sequence[str] = ()
) -> list[ParameterAxis]:
    """Return the axes of the hyperparameters that vary, named and ordered as in tables.

    Args:
        record: record of the search.
        most: number of axes that there is room for.
        first: paths in the study, the most important first: which to keep if there are too many.
    """
    ranges: dict[str, list[BaseDistribution]] = {}
    values: dict[str, list[Any]] = {}
    names: dict[str, str] = {}
    for trial in record.trials:
        shown = without_type(trial.row.params)
        for path, name in zip(trial.row.params, shown, strict=True):
            names[path] = name
            values.setdefault(name, []).append(shown[name])
            # The study may hold codes, not values, of a hypermodel's parameters: no range then.
            if path in trial.trial.distributions and VALUES not in trial.trial.user_attrs:
                ranges.setdefault(name, []).append(trial.trial.distributions[path])
    paths = varying(record.leaderboard)
    # Reversed: where two paths have one name, the more important one sets its rank.
    ranks = {names[path]: rank for rank, path in reversed(list(enumerate(first))) if path in names}
    kept = sorted(paths, key=lambda path: (ranks.get(path, len(ranks)), paths.index(path)))[:most]
    return [_axis(p, ranges.get(p, ()), values[p]) for p in paths if p in kept and p in values]


def _axis(path: str, ranges: Sequence[BaseDistribution], values: Sequence[Any]) -> ParameterAxis:
    """Return an axis over the union of the ranges that trials were drawn from."""
    if not ranges:
        return _axis_from_values(path, values)
    if any(isinstance(range_, CategoricalDistribution) for range_ in ranges):
        choices = [choice for range_ in ranges for choice in getattr(range_, "choices", ())]
        return ChoiceAxis(path, _distinct([*choices, *values]))
    numbers = [r for r in ranges if isinstance(r, (IntDistribution, FloatDistribution))]
    return NumberAxis(
        path,
        low=float(min(range_.low for range_ in numbers)),
        high=float(max(range_.high for range_ in numbers)),
        log=all(range_.log for range_ in numbers),
        whole=all(isinstance(range_, IntDistribution) for range_ in numbers),
    )


def _axis_from_values(path: str, values: Sequence[Any]) -> ParameterAxis:
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return ChoiceAxis(path, _distinct(values))
    low, high = float(min(values)), float(max(values))
    whole = all(isinstance(value, int) for value in values)
    return NumberAxis(path, low, high, log=low > 0 and high > _WIDE * low, whole=whole)


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return the distinct values in order of appearance."""
    # The type is part of the key because True == 1.
    return tuple({(isinstance(value, bool), value): value for value in values}.values())
