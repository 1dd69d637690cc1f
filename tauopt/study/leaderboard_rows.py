"""Leaderboard: the trials of a study as rows, best first."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.experiment import Preference
from tauopt.config.settings.objective import Goal, parse_objective
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.any_architecture import without_type
from tauopt.metrics.influence import raw_value
from tauopt.metrics.pareto import fronts
from tauopt.study.best_first import leaders_of
from tauopt.study.confirmed_points import ConfirmedPoint
from tauopt.study.control_requests import preference
from tauopt.study.open_study import goals_of
from tauopt.study.trial_attributes import (
    BEST_REPORT,
    CONFIRMS,
    DUPLICATE_OF,
    INTERVALS,
    LOG_LOSS,
    PARAMETERS,
    REASON,
    broken_constraints,
    is_of_search,
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
class Confirmation:
    """A trial's point, trained again on other seeds; the value of the trial itself is left out."""

    value: float
    """Mean of the first objective, of rejections the geometric one."""
    low: float
    high: float
    """Ends of its 68 % interval, for other seeds and another sample of candidates."""
    values: tuple[float, ...]
    """The first objective of each training."""
    failed: int
    """Trainings that failed, and so are not in the mean."""
    broken: int
    """Trainings that break a constraint: they are in the mean, and are never promoted."""
    chosen: int
    """Number of the training to be promoted, new or first: the one with the lowest loss."""
    run_id: str
    """MLflow run of that training; empty until it is known."""

    def __str__(self) -> str:
        """Return mean, interval and number of trainings, as tables show them."""
        count = f"{len(self.values)}"
        if self.failed:
            count += f", {self.failed} failed"
        if self.broken:
            count += f", {self.broken} break{'s' if self.broken == 1 else ''} constraints"
        return f"{self.value:.4g}, {self.low:.4g} to {self.high:.4g} ({count})"


@dataclass(frozen=True)
class LeaderboardRow:
    """A trial of a search."""

    rank: int
    """1 is best: by Pareto front, then by the first objective; of a single objective, confirmed
    points come first (those whose means are tied with the best by their loss, then by their
    means), or else trials that are tied with the best, by their loss; on request the ties are
    ordered by the number of parameters instead.
    0 for a trial that did not complete, or that has no point of its own."""
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
    """Whether the trial, or its mean over seeds, is tied with the best: `tauopt.metrics.ties`."""
    log_loss: float | None = None
    """Cross-entropy at the best report, by which ties are decided; None if it is unknown."""
    parameters: int | None = None
    """Number of a complete network's parameters; None if it is unknown."""
    broken: tuple[str, ...] = ()
    """Constraints that the trial breaks beyond their errors, in words; it is ranked behind all that
    break none."""
    confirms: int | None = None
    """Number of the trial whose point this one trains again, on another seed."""
    confirmed: Confirmation | None = None
    """What the trainings on other seeds say, when all of them have ended; None without any."""

    @property
    def estimate(self) -> tuple[float | None, float | None, float | None]:
        """The first objective as it is to be believed, with its 68 % interval."""
        known = self.confirmed or self
        return known.value, known.low, known.high

    @property
    def run_to_promote(self) -> str:
        """MLflow run of the training to be promoted; empty until it is known."""
        return self.confirmed.run_id if self.confirmed else self.run_id

    @property
    def original(self) -> int | None:
        """Number of the trial with this point; None for a trial with a point of its own."""
        return self.duplicate_of if self.confirms is None else self.confirms

    @property
    def shown(self) -> dict[str, Scalar]:
        """The parameters by column: one column for all architectures with the same setting."""
        return without_type(self.params)

    @property
    def state_in_words(self) -> str:
        """The state in words, with the last report of a trial that did not complete."""
        if self.duplicate_of is not None:
            return f"repeats t{self.duplicate_of:03d}"
        state = self.state.lower()
        if self.broken:
            state += f", breaks {len(self.broken)} constraint{'s' if len(self.broken) > 1 else ''}"
        if self.confirms is not None:
            return f"{state}, confirms t{self.confirms:03d}"
        return state if self.state == "COMPLETE" or not self.reports else f"{state} {self.reports}"

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


def board_of(study: optuna.Study, folder: Path, *, is_alive: bool = True) -> list[LeaderboardRow]:
    """Return the `rows` of a study, ranked as its driver was asked to."""
    return rows(
        study.get_trials(deepcopy=False),
        folder,
        goals=goals_of(study),
        is_alive=is_alive,
        prefer=preference(study),
    )


def rows(
    trials: Iterable[FrozenTrial],
    folder: Path,
    *,
    goals: Sequence[Goal],
    is_alive: bool = True,
    prefer: Preference = "best",
) -> list[LeaderboardRow]:
    """Return one row a trial: complete trials by front and rank, then the others by last value.

    Args:
        trials: all trials of the study.
        folder: of the search, with the trials' results and run ids.
        goals: the study's objectives.
        is_alive: whether a driver runs; without one, trials that have not ended are interrupted.
        prefer: of trials tied with the best, the lowest loss or the fewest parameters come first.
    """
    every = list(trials)
    front_of_number = fronts_of(every, goals)
    leaders = leaders_of(every, larger=goals[0].larger, prefer=prefer)
    ordered = sorted(every, key=lambda trial: _sort_key(trial, front_of_number, leaders.places))
    board = [
        _row(
            trial, rank, folder,
            state=state_of(trial, is_alive=is_alive),
            front=front_of_number.get(trial.number, 0),
            goals=goals,
            tied=trial.number in leaders.tied,
        )
        for rank, trial in enumerate(ordered, start=1)
    ]  # fmt: skip
    run_ids = {row.number: row.run_id for row in board}
    confirmed = {point.number: point for point in leaders.confirmed}
    return [
        replace(row, confirmed=_confirmation(point, goals[0], run_ids[point.chosen]))
        if (point := confirmed.get(row.number))
        else row
        for row in board
    ]


def _confirmation(point: ConfirmedPoint, goal: Goal, run_id: str) -> Confirmation:
    objective, mean = parse_objective(goal.name), point.mean
    return Confirmation(
        value=raw_value(objective, mean.value),
        low=raw_value(objective, mean.value - mean.error),
        high=raw_value(objective, mean.value + mean.error),
        values=point.values,
        failed=point.failed,
        broken=point.broken,
        chosen=point.chosen,
        run_id=run_id,
    )


def recommended(board: Sequence[LeaderboardRow]) -> LeaderboardRow | None:
    """Return the trial to promote; None if none is complete that breaks no constraint.

    Args:
        board: rows, best first; of several objectives the best in the first one comes first.
    """
    return board[0] if board and board[0].rank and not board[0].broken else None


def state_of(trial: FrozenTrial, *, is_alive: bool) -> str:
    """Return the name of a trial's state; in the study, interrupted trials stay RUNNING."""
    is_interrupted = trial.state is TrialState.RUNNING and not is_alive
    return INTERRUPTED if is_interrupted else str(trial.state.name)


def fronts_of(trials: Iterable[FrozenTrial], goals: Sequence[Goal]) -> dict[int, int]:
    """Return trial number -> Pareto front of the complete trials with points of their own.

    The fronts of trials that break a constraint follow those of the others.
    """
    complete = [t for t in trials if t.state is TrialState.COMPLETE and is_of_search(t)]
    larger, found = [goal.larger for goal in goals], dict[int, int]()
    for broken in (False, True):
        chosen = [trial for trial in complete if bool(broken_constraints(trial)) == broken]
        last = max(found.values(), default=0)
        numbers = fronts([trial.values for trial in chosen], larger=larger)
        found |= {t.number: last + int(n) for t, n in zip(chosen, numbers, strict=True)}
    return found


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


def _sort_key(
    trial: FrozenTrial, front_of_number: Mapping[int, int], place: Mapping[int, int]
) -> tuple[int, bool, bool, float, int, float, int]:
    value, _ = value_so_far(trial)
    return (
        _ORDER.index(trial.state),
        not is_of_search(trial),
        bool(broken_constraints(trial)),
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
        parameters=trial.user_attrs.get(PARAMETERS),
        broken=broken_constraints(trial),
        confirms=trial.user_attrs.get(CONFIRMS),
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
