"""The best points of a search trained again on other seeds: how good a setting is on average.

The best of many trials is the luckiest of them too. So only the new trainings count here; they
are a search of their own, called after the first, whose trials are its points again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.source.yaml_source import Scalar
from tauopt.study._optuna_internals import storage_of
from tauopt.study.open_study import has_study, open_study
from tauopt.study.suggest import key
from tauopt.study.trial_queue import DUPLICATE_OF, values_of

OF = "tauopt.seeds_of"
"""Attribute of a study, and tag of its runs: the search whose points it trains again."""


@dataclass(frozen=True)
class RepeatedPoints:
    """Points of a search to be trained again, one named as often as it is to be trained."""

    of: str
    points: tuple[Mapping[str, Scalar], ...]


@dataclass(frozen=True)
class SeedSpread:
    """The first objective of one point over several seeds, the first training left out."""

    number: int
    """Of the search's trial that the point is of."""
    values: tuple[float, ...]
    mean: float
    deviation: float
    """Standard deviation between seeds; 0 of a single one."""
    is_tied: bool
    """Whether the mean is that of the best point within both errors; of that itself too."""

    @property
    def error(self) -> float:
        """Of the mean."""
        return float(self.deviation / len(self.values) ** 0.5)

    def __str__(self) -> str:
        text = f"{self.mean:.4g}"
        text += f" ± {self.deviation:.2g}" if len(self.values) > 1 else ""
        return f"{text} ({len(self.values)})"


def name_of(search: str) -> str:
    """Return the name of the search that trains the points of another again."""
    return f"{search}-seeds"


def best_trials(trials: Iterable[FrozenTrial], *, top: int) -> list[FrozenTrial]:
    """Return the complete trials of the largest first objective, each point once."""
    complete = [
        trial
        for trial in trials
        if trial.state is TrialState.COMPLETE and DUPLICATE_OF not in trial.user_attrs
    ]
    return sorted(complete, key=lambda trial: (-trial.values[0], trial.number))[:top]


def enqueue_missing(study: optuna.Study, points: Sequence[Mapping[str, Scalar]]) -> None:
    """Have points proposed that a study does not hold as often as they are named; once each turn.

    All points come once before any comes twice, so that a search that is stopped can be compared.
    """
    held = Counter(key(_point_of(trial)) for trial in study.get_trials(deepcopy=False))
    for point in _in_turns(points):
        name = key(point)
        if held[name]:
            held[name] -= 1
        else:
            study.enqueue_trial(dict(point))


def _point_of(trial: FrozenTrial) -> Mapping[str, Scalar]:
    """Return a trial's point as the study has it, also while it waits."""
    fixed: Mapping[str, Scalar] = trial.system_attrs.get("fixed_params", {})
    return {**fixed, **trial.params}


def _in_turns(points: Sequence[Mapping[str, Scalar]]) -> list[Mapping[str, Scalar]]:
    seen: Counter[str] = Counter()
    turns = []
    for place, point in enumerate(points):
        seen[key(point)] += 1
        turns.append((seen[key(point)], place))
    return [points[place] for _, place in sorted(turns)]


def reseeded_study(study: optuna.Study) -> optuna.Study | None:
    """Return the study of a search's points on other seeds; None if none was trained again."""
    storage, name = storage_of(study), name_of(study.study_name)
    return open_study(storage, name) if has_study(storage, name) else None


def spreads_of(study: optuna.Study) -> list[SeedSpread]:
    """Return what came of a search's points on other seeds; nothing if none was tried."""
    again = reseeded_study(study)
    if again is None:
        return []
    return spreads(study.get_trials(deepcopy=False), again.get_trials(deepcopy=False))


def spreads(first: Iterable[FrozenTrial], again: Iterable[FrozenTrial]) -> list[SeedSpread]:
    """Return what came of a search's points on other seeds, the largest mean first.

    Args:
        first: trials of the search.
        again: trials of the search that trained them again.
    """
    numbers = {key(values_of(trial)): trial.number for trial in reversed([*first])}
    values: dict[int, list[float]] = {}
    for trial in again:
        number = numbers.get(key(values_of(trial)))
        if trial.state is TrialState.COMPLETE and number is not None:
            values.setdefault(number, []).append(float(trial.values[0]))
    found = [_spread(number, tuple(known)) for number, known in values.items()]
    found.sort(key=lambda spread: (-spread.mean, spread.number))
    return [_judged(spread, found[0]) for spread in found]


def _spread(number: int, values: tuple[float, ...]) -> SeedSpread:
    deviation = stdev(values) if len(values) > 1 else 0.0
    return SeedSpread(number, values, fmean(values), deviation, is_tied=False)


def _judged(spread: SeedSpread, best: SeedSpread) -> SeedSpread:
    allowed = (spread.error**2 + best.error**2) ** 0.5
    is_tied = spread is best or best.mean - spread.mean <= allowed
    return SeedSpread(spread.number, spread.values, spread.mean, spread.deviation, is_tied=is_tied)
