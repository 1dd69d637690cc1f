"""Suggest an Optuna trial's parameters from a search space; random points and full grids of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tauopt.config.settings.ranges import (
    ChoiceRange,
    FloatRange,
    IntRange,
    Range,
    is_active,
    points,
)
from tauopt.config.source.yaml_source import Scalar

Space = Mapping[str, Range]
"""Path of a setting -> its range; a range comes after those that its `when` names."""


class SuggestingTrial(Protocol):
    """The methods of an Optuna trial that suggest values."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Suggest a whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        """Suggest a number."""

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any:
        """Suggest one of some values."""


def distribution(range_: Range) -> BaseDistribution:
    """Return the Optuna distribution of a range."""
    if isinstance(range_, ChoiceRange):
        return CategoricalDistribution(range_.values)
    if isinstance(range_, IntRange):
        return IntDistribution(range_.low, range_.high, log=range_.log, step=range_.step)
    return FloatDistribution(range_.low, range_.high, log=range_.log, step=range_.step)


def suggest(trial: SuggestingTrial, space: Space) -> dict[str, Scalar]:
    """Have `trial` suggest a value for each active range, in the space's order.

    A trial that a killed driver left incomplete keeps its values; only missing ones are suggested.
    """
    values: dict[str, Scalar] = {}
    for path, range_ in space.items():
        if is_active(range_, values):
            values[path] = suggest_one(trial, path, range_)
    return values


def suggest_one(trial: SuggestingTrial, path: str, range_: Range) -> Scalar:
    """Have `trial` suggest a value for one range."""
    if isinstance(range_, ChoiceRange):
        choice: Scalar = trial.suggest_categorical(path, range_.values)
        return choice
    if isinstance(range_, IntRange):
        return trial.suggest_int(path, range_.low, range_.high, step=range_.step, log=range_.log)
    return trial.suggest_float(path, range_.low, range_.high, step=range_.step, log=range_.log)


def key(values: Mapping[str, Scalar]) -> str:
    """Return a canonical text of parameters: equal exactly if the parameters are equal."""
    return json.dumps(dict(values), sort_keys=True)


def is_finite(space: Space) -> bool:
    """Return whether a space has a finite number of points."""
    return all(math.isfinite(points(range_)) for range_ in space.values())


def all_points(space: Space) -> Iterator[dict[str, Scalar]]:
    """Yield every point of a finite space, active ranges only, in a fixed order."""
    return _extensions({}, list(space.items()))


def _extensions(
    values: dict[str, Scalar], rest: list[tuple[str, Range]]
) -> Iterator[dict[str, Scalar]]:
    """Yield all points that have these values and any values of the remaining ranges."""
    if not rest:
        yield values
        return
    (path, range_), *later = rest
    if not is_active(range_, values):
        yield from _extensions(values, later)
        return
    for value in _values(range_):
        yield from _extensions({**values, path: value}, later)


def _values(range_: Range) -> Iterator[Scalar]:
    if isinstance(range_, ChoiceRange):
        yield from range_.values
        return
    step = range_.step or 1
    for index in range(int(points(range_))):
        yield range_.low + index * step


def random_point(space: Space, rng: np.random.Generator) -> dict[str, Scalar]:
    """Draw a point: active ranges independently, uniform or, if set in the range, log-uniform."""
    values: dict[str, Scalar] = {}
    for path, range_ in space.items():
        if is_active(range_, values):
            values[path] = _draw(range_, rng)
    return values


def _draw(range_: Range, rng: np.random.Generator) -> Scalar:
    if isinstance(range_, ChoiceRange):
        return range_.values[int(rng.integers(len(range_.values)))]
    if range_.log:
        drawn = math.exp(rng.uniform(math.log(range_.low), math.log(range_.high)))
        inside = min(max(drawn, range_.low), range_.high)  # exp(log(x)) may round beyond x
        return round(inside) if isinstance(range_, IntRange) else inside
    if range_.step is None:
        return float(rng.uniform(range_.low, range_.high))
    return range_.low + int(rng.integers(int(points(range_)))) * range_.step


class DrawnTrial:
    """A stand-in for a trial that draws each value at random, and keeps it in `values`."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Take the generator of random numbers."""
        self.values: dict[str, Scalar] = {}
        self._rng = rng

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Draw a whole number."""
        return int(self._keep(name, IntRange(low, high, log, step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        """Draw a number."""
        return float(self._keep(name, FloatRange(low, high, log, step)))

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Scalar:
        """Draw one of some values."""
        return self._keep(name, ChoiceRange(tuple(choices)))

    def _keep(self, name: str, range_: Range) -> Scalar:
        self.values[name] = _draw(range_, self._rng)
        return self.values[name]
