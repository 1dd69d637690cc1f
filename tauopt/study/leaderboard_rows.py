"""Leaderboard: the trials of a study as rows, best first."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.objective import Goal
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.any_architecture import without_type
from tauopt.metrics.pareto import fronts
from tauopt.study.best_first import ties_of
from tauopt.study.reseeded_points import SeedSpread
from tauopt.study.trial_queue import (
    BEST_REPORT,
    DUPLICATE_OF,
    INTERVALS,
    LOG_LOSS,
    REASON,
    values_of,
)
from tauopt.study.trial_runs import RUN_ID, delivered_run_id
from tauopt.training.trial_plan import RESULT, trial_folder

LEADERBOARD = "leaderboard.json"
"""Name of the file of all rows, in the search's folder."""
INTERRUPTED = "INTERRUPTED"
"""State of a trial that goes on when its search is resumed."""
_UNKNOWN = (None, None)
_ORDER = (
    TrialState.COMPLETE,
    TrialState.RUNNING,
    TrialState.PRUNED,
    TrialState.FAIL,
    TrialState.WAITING,
)


@dataclass(frozen=True)
class LeaderboardRow:
    """A trial of a search."""

    rank: int
    """1 is best: by Pareto front, then by the first objective; of a single objective, trials that
    are tied with the best come first, by their loss. 0 for a trial that did not complete."""
    front: int
    """Number of the Pareto front: 1 for trials that no other trial dominates, 2 for those that
    only trials of front 1 dominate, and so on; 0 for a trial that did not complete."""
    number: int
    state: str
    """COMPLETE, PRUNED, FAIL, RUNNING, INTERRUPTED or WAITING."""
    value: float | None
    """The first objective at the best report, whose weights are kept; at the last report of a trial
    that did not complete."""
    best_report: int
    """Number of the report with `value`; 0 if there is none."""
    low: float | None
    high: float | None
    """Ends of the 68 % interval of `value`; None unless the trial is complete."""
    others: Mapping[str, tuple[float, float | None, float | None]]
    """The other objectives of a complete trial's best network: name -> value, low, high."""
    params: Mapping[str, Scalar]
    reports: int
    """Number of the last report."""
    seconds: float | None
    run_id: str
    duplicate_of: int | None
    reason: str
    tied: bool = False
    """Whether the trial is tied with the best one: see `tauopt.metrics.ties`."""
    log_loss: float | None = None
    """Cross-entropy at the best report, by which ties are decided; None if it is unknown."""
    seeds: SeedSpread | None = None
    """Spread of the first objective over other seeds, if the point was trained on some."""

    @property
    def shown(self) -> dict[str, Scalar]:
        """The parameters by column: one column for all architectures with the same setting."""
        return without_type(self.params)

    @property
    def state_in_words(self) -> str:
        """The state in words, with the last report of a trial that did not complete."""
        state = self.state.lower()
        return state if self.state == "COMPLETE" or not self.reports else f"{state} {self.reports}"

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


def rows(
    trials: Iterable[FrozenTrial], folder: Path, *, goals: Sequence[Goal], is_alive: bool = True
) -> list[LeaderboardRow]:
    """Return one row a trial: complete trials by front and value, then the others by best value.

    Args:
        trials: all trials of the study.
        folder: of the search, with the trials' results and run ids.
        goals: the study's objectives.
        is_alive: whether a driver runs; without one, trials that have not ended are interrupted.
    """
    every = list(trials)
    front_of_number = fronts_of(every, goals)
    ties = ties_of(every, larger=goals[0].larger)
    place = {number: index for index, number in enumerate(ties)}
    ordered = sorted(every, key=lambda trial: _sort_key(trial, front_of_number, place))
    return [
        _row(
            trial, rank, folder,
            state=state_of(trial, is_alive=is_alive),
            front=front_of_number.get(trial.number, 0),
            goals=goals,
            tied=len(ties) > 1 and trial.number in place,
        )
        for rank, trial in enumerate(ordered, start=1)
    ]  # fmt: skip


def state_of(trial: FrozenTrial, *, is_alive: bool) -> str:
    """Return the name of a trial's state; in the study, interrupted trials stay RUNNING."""
    is_interrupted = trial.state is TrialState.RUNNING and not is_alive
    return INTERRUPTED if is_interrupted else str(trial.state.name)


def fronts_of(trials: Iterable[FrozenTrial], goals: Sequence[Goal]) -> dict[int, int]:
    """Return trial number -> Pareto front of the complete trials that are no duplicates."""
    complete = [t for t in trials if t.state is TrialState.COMPLETE and not _is_duplicate(t)]
    numbers = fronts([t.values for t in complete], larger=[goal.larger for goal in goals])
    return {trial.number: int(front) for trial, front in zip(complete, numbers, strict=True)}


def varying(board: Iterable[LeaderboardRow]) -> list[str]:
    """Return the parameters that differ between rows.

    Those that most rows have come first, otherwise in the order of the first row.
    """
    values: dict[str, list[str]] = {}
    every = list(board)
    for row in every:
        for path, value in row.shown.items():
            values.setdefault(path, []).append(repr(value))
    paths = [path for path, texts in values.items() if len(every) == 1 or len(set(texts)) > 1]
    return sorted(paths, key=lambda path: -len(values[path]))


def _is_duplicate(trial: FrozenTrial) -> bool:
    return DUPLICATE_OF in trial.user_attrs


def _sort_key(
    trial: FrozenTrial, front_of_number: Mapping[int, int], place: Mapping[int, int]
) -> tuple[int, bool, float, int, float, int]:
    value, _ = value_so_far(trial)
    return (
        _ORDER.index(trial.state),
        _is_duplicate(trial),
        place.get(trial.number, math.inf),
        front_of_number.get(trial.number, 0),
        math.inf if value is None else -value,
        trial.number,
    )


def value_so_far(trial: FrozenTrial) -> tuple[float | None, int]:
    """Return the first objective of a trial, and the number of the report with that value.

    Of a complete trial it is the value at its best report, of others that at the last one: the
    largest of many noisy values is too large.
    """
    reports = trial.intermediate_values
    if trial.state is TrialState.COMPLETE and trial.values:
        largest = max(reports, key=lambda step: (reports[step], -step), default=0)  # older studies
        return float(trial.values[0]), int(trial.user_attrs.get(BEST_REPORT, largest))
    last = max(reports, default=0)
    return (float(reports[last]), last) if last else (None, 0)


def _row(
    trial: FrozenTrial, rank: int, folder: Path, *, state: str, front: int, goals: Sequence[Goal],
    tied: bool,
) -> LeaderboardRow:  # fmt: skip
    complete = trial.state is TrialState.COMPLETE
    original = trial.user_attrs.get(DUPLICATE_OF)
    its_folder = trial_folder(folder, trial.number if original is None else original)
    intervals = _intervals(trial, its_folder) if complete else {}
    names = [goal.name for goal in goals]
    value, best_report = value_so_far(trial)
    low, high = intervals.get(names[0], _UNKNOWN)
    others = zip(names[1:], trial.values[1:] if complete else (), strict=False)
    begun, ended = trial.datetime_start, trial.datetime_complete
    return LeaderboardRow(
        rank=rank if front else 0,
        front=front,
        number=trial.number,
        state=state,
        value=value,
        best_report=best_report,
        low=low,
        high=high,
        others={name: (float(x), *intervals.get(name, _UNKNOWN)) for name, x in others},
        params=values_of(trial),
        reports=trial.last_step or 0,
        seconds=(ended - begun).total_seconds() if begun and ended else None,
        run_id=str(trial.user_attrs.get(RUN_ID, "")) or delivered_run_id(its_folder),
        duplicate_of=original,
        reason=str(trial.user_attrs.get(REASON, "")),
        tied=tied,
        log_loss=trial.user_attrs.get(LOG_LOSS),
    )


def _intervals(trial: FrozenTrial, folder: Path) -> Mapping[str, Sequence[float]]:
    """Return the ends of the 68 % intervals of a complete trial, by the objective's name."""
    if (intervals := trial.user_attrs.get(INTERVALS)) is not None:
        return dict(intervals)
    try:  # an older study: its intervals are in the trials' results only
        result = json.loads((folder / RESULT).read_text())
        triples = {**result["metrics"], **result.get("latencies", {})}
        return {name: (float(low), float(high)) for name, (_, low, high) in triples.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
