"""From the facts of a search to what its figures take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from tauopt.config.settings.dataset import Dataset
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.search.timeline_figure import CUT, DriverLife, WorkerBar
from tauopt.figures.search.trial_points import REPEATED, TrialPoint
from tauopt.report.search_record import SearchRecord, TrialRecord
from tauopt.report.sessions import CUTS

_RUNGS = ("asha", "hyperband")
"""Pruners that decide at some reports only."""


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


def held_of(facts: SearchRecord) -> str:
    """Return what a search's cost is told in hours of: `GPU` if any trial held one."""
    return "GPU" if any(trial.gpus for trial in facts.trials) else "core"


def spent_of(facts: SearchRecord) -> dict[int, float]:
    """Return what the search had cost when each trained trial ended, in hours, by number."""
    held = held_of(facts)
    every = [
        (s.begin, s.end, t.gpus if held == "GPU" else t.cpus)
        for t in facts.trials
        for s in t.past.stretches
    ]
    ended = {
        t.number: t.past.stretches[-1].end
        for t in facts.trials
        if t.past.stretches and t.trial.state.is_finished()
    }
    begins, ends, rates = np.array(every, dtype=np.float64).reshape(-1, 3).T
    hours = spent_hours(list(ended.values()), begins=begins, ends=ends, rates=rates)
    return dict(zip(ended, hours.tolist(), strict=True))


def spent_hours(
    times: ArrayLike, *, begins: ArrayLike, ends: ArrayLike, rates: ArrayLike
) -> NDArray[np.float64]:
    """Return what stretches of work had cost by some times.

    Args:
        times: (time,) seconds.
        begins, ends: (stretch,) seconds.
        rates: (stretch,) cores or GPUs held.
    Returns:
        (time,) hours of cores or GPUs.
    """
    until, begin = np.asarray(times, dtype=np.float64)[:, None], np.asarray(begins)
    lasted = np.clip(np.minimum(until, np.asarray(ends)) - begin, 0.0, None)
    return np.asarray(lasted @ np.asarray(rates, dtype=np.float64) / 3600)


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
        return SampleLabel.from_dataset(Dataset.model_validate(data), "validation split")
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
