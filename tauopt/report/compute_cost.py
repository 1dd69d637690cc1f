"""What a search cost, and what for: trials, passes of candidates, hours of cores and GPUs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tauopt.figures.search.trial_points import COMPLETE, FAILED, PRUNED, REPEATED, UNFINISHED
from tauopt.report.search_record import SearchRecord, TrialRecord
from tauopt.report.sessions import CUTS

LOST = "lost by interruption"
_MEANING = {
    COMPLETE: "trained to the end",
    PRUNED: "stopped because they fell behind",
    FAILED: "failed",
    UNFINISHED: "begun and not ended",
    REPEATED: "repeated: equal to an earlier trial, whose outcome they took",
    LOST: "lost by interruption: trained, and to be trained again",
}


@dataclass(frozen=True)
class CostEntry:
    """One line of the ledger."""

    name: str
    """A trial's fate, or `lost by interruption`."""
    meaning: str
    trials: int
    """Trials; of what was lost, the interruptions that lost something."""
    passes: int
    """Candidates seen in training, each time anew: an epoch of N candidates is N passes."""
    cpu_hours: float
    """Hours times the cores that were held, whether busy or not."""
    gpu_hours: float


@dataclass(frozen=True)
class ComputeCost:
    """What a search cost; its entries have no hour and no pass in common."""

    entries: tuple[CostEntry, ...]
    waiting_cpu_hours: float
    """Of these, before training: a worker's start, imports, and the network's building."""
    wall_hours: float
    """In which a driver lived."""
    interruptions: int
    """Stretches of training cut off before their trial ended."""
    passes_spared: int
    """Passes that repeated trials would have cost."""

    @property
    def total(self) -> CostEntry:
        """The sum of all entries; its trials are those of all fates."""
        own = [entry for entry in self.entries if entry.name != LOST]
        return CostEntry(
            name="total",
            meaning="in all",
            trials=sum(entry.trials for entry in own),
            passes=sum(entry.passes for entry in self.entries),
            cpu_hours=sum(entry.cpu_hours for entry in self.entries),
            gpu_hours=sum(entry.gpu_hours for entry in self.entries),
        )


def ledger_of(facts: SearchRecord) -> ComputeCost:
    """Sum up what a search cost.

    What an interruption lost in passes is estimated from the time since the last report and the
    trial's own pace, and is an upper limit: a checkpoint may have been written in between.
    """
    trained = [_spent(fate, facts.of(fate)) for fate in (COMPLETE, PRUNED, FAILED, UNFINISHED)]
    seen = {trial.number: trial.seen for trial in facts.trials}
    repeated = facts.of(REPEATED)
    every = [(trial, stretch) for trial in facts.trials for stretch in trial.past.stretches]
    return ComputeCost(
        entries=(
            *trained,
            CostEntry(REPEATED, _MEANING[REPEATED], len(repeated), 0, 0.0, 0.0),
            _lost(facts.trials),
        ),
        waiting_cpu_hours=sum(t.cpus * (s.ready - s.begin) for t, s in every) / 3600,
        wall_hours=sum(session.end - session.begin for session in facts.sessions) / 3600,
        interruptions=sum(s.ending in CUTS for _, s in every),
        passes_spared=sum(seen.get(trial.row.duplicate_of or 0, 0) for trial in repeated),
    )


def _spent(fate: str, trials: Iterable[TrialRecord]) -> CostEntry:
    own = list(trials)
    kept = [sum(s.end - s.begin - s.lost_s for s in trial.past.stretches) for trial in own]
    return CostEntry(
        name=fate,
        meaning=_MEANING[fate],
        trials=len(own),
        passes=sum(trial.seen for trial in own),
        cpu_hours=sum(t.cpus * s for t, s in zip(own, kept, strict=True)) / 3600,
        gpu_hours=sum(t.gpus * s for t, s in zip(own, kept, strict=True)) / 3600,
    )


def _lost(trials: Iterable[TrialRecord]) -> CostEntry:
    lost = [(t, s.lost_s) for t in trials for s in t.past.stretches if s.lost_s > 0]
    again = [t for t in trials if t.past.discarded]
    return CostEntry(
        name=LOST,
        meaning=_MEANING[LOST],
        trials=len(lost),
        passes=round(sum(s * (t.past.pace or 0.0) for t, s in lost))
        + sum(t.past.discarded for t in again),
        cpu_hours=sum(t.cpus * s for t, s in lost) / 3600,
        gpu_hours=sum(t.gpus * s for t, s in lost) / 3600,
    )


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
