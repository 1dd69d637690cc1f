"""The compute cost of a search and what it was spent on: trials, passes, core- and GPU-hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tauopt.figures.search.trial_points import (
    COMPLETE,
    CONFIRMING,
    FAILED,
    PRUNED,
    REPEATED,
    UNFINISHED,
)
from tauopt.report.search_record import SearchRecord, TrialRecord
from tauopt.report.sessions import CUT_OFF

LOST = "lost by interruption"
_MEANING = {
    COMPLETE: "trained to the end",
    PRUNED: "stopped because they fell behind",
    FAILED: "failed",
    UNFINISHED: "begun, not ended",
    CONFIRMING: "trained again on another seed, to confirm one of the best",
    REPEATED: "repeated: equal to an earlier trial, whose outcome they took",
    LOST: "lost by interruption: trained, and to be trained again",
}


@dataclass(frozen=True)
class CostEntry:
    """One line of the compute cost."""

    name: str
    """The fate of the trials, `lost by interruption` or `total`."""
    meaning: str
    trials: int
    """Number of trials; on the line of losses, the interruptions that lost something."""
    passes: int
    """Candidate-passes: candidates seen in training, counted anew in each epoch."""
    cpu_hours: float
    """Hours times the cores that were held, busy or not."""
    gpu_hours: float


@dataclass(frozen=True)
class ComputeCost:
    """The compute cost of a search; no hour and no pass is in two entries."""

    entries: tuple[CostEntry, ...]
    waiting_cpu_hours: float
    """Part of the core-hours before training: start of workers, imports, building networks."""
    wall_hours: float
    """Hours in which a driver was alive."""
    interruptions: int
    """Worker sessions that were cut off before their trial ended."""
    passes_spared: int
    """Passes that the repeated trials would have cost."""

    @property
    def total(self) -> CostEntry:
        """The sum of all entries; trials are counted once, by their fates."""
        return CostEntry(
            name="total",
            meaning="in all",
            trials=sum(entry.trials for entry in self.entries if entry.name != LOST),
            passes=sum(entry.passes for entry in self.entries),
            cpu_hours=sum(entry.cpu_hours for entry in self.entries),
            gpu_hours=sum(entry.gpu_hours for entry in self.entries),
        )


def compute_cost(record: SearchRecord) -> ComputeCost:
    """Sum up the compute cost of a search.

    The passes lost by an interruption are an upper limit, estimated from the time since the last
    report and the trial's training rate: a checkpoint may have been written in between.
    """
    sessions = [(trial, session) for trial in record.trials for session in trial.history.sessions]
    seen = {trial.number: trial.candidates_seen for trial in record.trials}
    repeated = record.with_fate(REPEATED)
    return ComputeCost(
        entries=(
            *(
                _kept(fate, record.with_fate(fate))
                for fate in (COMPLETE, PRUNED, FAILED, UNFINISHED, CONFIRMING)
                if fate != CONFIRMING or record.with_fate(CONFIRMING)
            ),
            CostEntry(REPEATED, _MEANING[REPEATED], len(repeated), 0, 0.0, 0.0),
            _lost(record.trials),
        ),
        waiting_cpu_hours=sum(t.cpus * (s.ready - s.begin) for t, s in sessions) / 3600,
        wall_hours=sum(driver.end - driver.begin for driver in record.driver_sessions) / 3600,
        interruptions=sum(s.ending in CUT_OFF for _, s in sessions),
        passes_spared=sum(seen.get(trial.row.duplicate_of or 0, 0) for trial in repeated),
    )


def _kept(fate: str, trials: Sequence[TrialRecord]) -> CostEntry:
    seconds = [sum(s.end - s.begin - s.lost_s for s in trial.history.sessions) for trial in trials]
    return CostEntry(
        name=fate,
        meaning=_MEANING[fate],
        trials=len(trials),
        passes=sum(trial.candidates_seen for trial in trials),
        cpu_hours=sum(t.cpus * s for t, s in zip(trials, seconds, strict=True)) / 3600,
        gpu_hours=sum(t.gpus * s for t, s in zip(trials, seconds, strict=True)) / 3600,
    )


def _lost(trials: Sequence[TrialRecord]) -> CostEntry:
    lost = [(t, s.lost_s) for t in trials for s in t.history.sessions if s.lost_s > 0]
    return CostEntry(
        name=LOST,
        meaning=_MEANING[LOST],
        trials=len(lost),
        passes=round(sum(s * (t.history.candidates_per_s or 0.0) for t, s in lost))
        + sum(t.history.discarded_candidates for t in trials),
        cpu_hours=sum(t.cpus * s for t, s in lost) / 3600,
        gpu_hours=sum(t.gpus * s for t, s in lost) / 3600,
    )


def cost_resource(record: SearchRecord) -> str:
    """Return the resource whose hours measure the cost: `GPU` if any trial held one, or `core`."""
    return "GPU" if any(trial.gpus for trial in record.trials) else "core"


def cost_at_trial_ends(record: SearchRecord) -> dict[int, float]:
    """Return the hours of `cost_resource` that the search had used when each trial ended.

    Returns:
        trial number -> hours, for trials that had a worker and ended.
    """
    resource = cost_resource(record)
    sessions = [
        (s.begin, s.end, t.gpus if resource == "GPU" else t.cpus)
        for t in record.trials
        for s in t.history.sessions
    ]
    ends_of_trials = {
        t.number: t.history.sessions[-1].end
        for t in record.trials
        if t.history.sessions and t.trial.state.is_finished()
    }
    begins, ends, held = np.array(sessions, dtype=np.float64).reshape(-1, 3).T
    hours = hours_used(list(ends_of_trials.values()), begins=begins, ends=ends, held=held)
    return dict(zip(ends_of_trials, hours.tolist(), strict=True))


def hours_used(
    times: ArrayLike, *, begins: ArrayLike, ends: ArrayLike, held: ArrayLike
) -> NDArray[np.float64]:
    """Return the hours of cores or GPUs that worker sessions had used by given times.

    Args:
        times: (time,) seconds.
        begins, ends: (session,) seconds.
        held: (session,) number of cores or GPUs held.
    Returns:
        (time,) float64, hours of cores or GPUs.
    """
    until, begin = np.asarray(times, dtype=np.float64)[:, None], np.asarray(begins)
    lasted_s = np.clip(np.minimum(until, np.asarray(ends)) - begin, 0.0, None)
    return np.asarray(lasted_s @ np.asarray(held, dtype=np.float64) / 3600)
