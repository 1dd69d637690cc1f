"""Spread over seeds: the best points of a search trained again, to average a setting over seeds.

The best of many trials is biased upwards, as the maximum of random values. So only the new
trainings count here. They are trials of a search of their own, named after the first one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.source.yaml_source import Scalar
from tauopt.study._optuna_internals import storage_of
from tauopt.study.open_study import has_study, open_study
from tauopt.study.suggest import key
from tauopt.study.trial_queue import values_of

RESEEDED_SEARCH = "tauopt.seeds_of"
"""Attribute of a study, and tag of its runs: the search whose points it trains again."""


@dataclass(frozen=True)
class RepeatedPoints:
    """Points of a search to be trained again."""

    search: str
    """Name of the search."""
    points: tuple[Mapping[str, Scalar], ...]
    """Each point as often as it is to be trained."""


@dataclass(frozen=True)
class SeedSpread:
    """The first objective of one point over several seeds, without the first training."""

    number: int
    """Number of the search's trial with this point."""
    values: tuple[float, ...]
    mean: float
    deviation: float
    """Sample standard deviation over seeds; 0 if there is one value."""
    is_tied: bool
    """Whether the mean is compatible with that of the best point: within the errors of both means,
    added in quadrature. True for the best point itself."""

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.deviation / len(self.values) ** 0.5)

    def __str__(self) -> str:
        text = f"{self.mean:.4g}"
        text += f" ± {self.deviation:.2g}" if len(self.values) > 1 else ""
        return f"{text} ({len(self.values)})"


def reseeded_name(search: str) -> str:
    """Return the name of the search that trains the points of `search` again."""
    return f"{search}-seeds"


def enqueue_missing(study: optuna.Study, points: Sequence[Mapping[str, Scalar]]) -> None:
    """Enqueue points, each as often as it is in `points` but not yet in the study.

    Args:
        study: of a search.
        points: each point as often as it is to be trained.
    """
    present = Counter(key(point_of(trial)) for trial in study.get_trials(deepcopy=False))
    for point in _in_turns(points):
        if present[key(point)]:
            present[key(point)] -= 1
        else:
            study.enqueue_trial(dict(point))


def point_of(trial: FrozenTrial) -> Mapping[str, Scalar]:
    """Return a trial's point as it was enqueued, or else as it was sampled."""
    point: Mapping[str, Scalar] = trial.system_attrs.get("fixed_params") or trial.params
    return point


def _in_turns(points: Sequence[Mapping[str, Scalar]]) -> list[Mapping[str, Scalar]]:
    """Return all points once before any comes twice: so a stopped search can be compared too."""
    occurrences: Counter[str] = Counter()
    turns = []
    for index, point in enumerate(points):
        occurrences[key(point)] += 1
        turns.append((occurrences[key(point)], index))
    return [points[index] for _, index in sorted(turns)]


def reseeded_study(study: optuna.Study) -> optuna.Study | None:
    """Return the study that trains a search's points again; None if there is none."""
    storage, name = storage_of(study), reseeded_name(study.study_name)
    return open_study(storage, name) if has_study(storage, name) else None


def spreads_of(study: optuna.Study) -> list[SeedSpread]:
    """Return the spread over seeds of a search's points; empty if none was trained again."""
    again = reseeded_study(study)
    if again is None:
        return []
    return spreads(study.get_trials(deepcopy=False), again.get_trials(deepcopy=False))


def spreads(first: Iterable[FrozenTrial], again: Iterable[FrozenTrial]) -> list[SeedSpread]:
    """Return the spread over seeds of a search's points, the largest mean first.

    Args:
        first: trials of the search.
        again: trials of the search that trained its points again.
    """
    # Reversed, so that of several trials of one point the first gives the number.
    numbers = {key(values_of(trial)): trial.number for trial in reversed([*first])}
    values: dict[int, list[float]] = {}
    for trial in again:
        number = numbers.get(key(values_of(trial)))
        if trial.state is TrialState.COMPLETE and number is not None:
            values.setdefault(number, []).append(float(trial.values[0]))
    by_mean = [_spread(number, tuple(known)) for number, known in values.items()]
    by_mean.sort(key=lambda spread: (-spread.mean, spread.number))
    return [replace(spread, is_tied=_is_tied(spread, by_mean[0])) for spread in by_mean]


def _spread(number: int, values: tuple[float, ...]) -> SeedSpread:
    deviation = stdev(values) if len(values) > 1 else 0.0
    return SeedSpread(number, values, fmean(values), deviation, is_tied=False)


def _is_tied(spread: SeedSpread, best: SeedSpread) -> bool:
    allowed = (spread.error**2 + best.error**2) ** 0.5
    return spread is best or best.mean - spread.mean <= allowed
