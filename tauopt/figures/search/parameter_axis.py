"""The axis of a hyperparameter: linear, logarithmic, of whole numbers or of choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from tauopt.figures.search.parameter_names import text_of

_ROOM = 0.09
"""Smallest distance between an end of an axis and the next tick, in lengths of the axis."""


@dataclass(frozen=True)
class NumberAxis:
    """Axis of numbers from `low` to `high`.

    Attributes:
        path: path of the parameter in the experiment file.
        low, high: ends of its range.
        log: whether its range is logarithmic.
        whole: whether it takes whole numbers only.
    """

    path: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def position(self, value: Any) -> float:
        """Return the position of a value between the ends of the range, 0 and 1."""
        if self.low == self.high:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return values and labels of ticks: the ends of the range, and round numbers between."""
        ends = sorted({self.low, self.high})
        inner = [x for x in self._round() if _ROOM < self.position(x) < 1 - _ROOM]
        return [(x, text_of(x)) for x in sorted({*ends, *inner})]

    def _round(self) -> list[float]:
        """Return a handful of round numbers in the range and next to it."""
        if self.low == self.high:
            return []
        if not self.log:
            locator = MaxNLocator(5, integer=self.whole, steps=[1, 2, 5, 10])
            return [float(x) for x in locator.tick_values(self.low, self.high)]
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        digits = (1, 1.5, 2, 3, 4, 6, 8) if decades < 0.8 else (1, 2, 5) if decades < 1.6 else (1,)
        ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        return [float(f"{x:.6g}") for x in ticks]


@dataclass(frozen=True)
class ChoiceAxis:
    """Axis of choices, in the order of the experiment file.

    Attributes:
        path: path of the parameter in the experiment file.
        choices: its values.
    """

    path: str
    choices: tuple[Any, ...]

    def position(self, value: Any) -> float:
        """Return the position of a choice, 0 for the first and 1 for the last."""
        if len(self.choices) == 1:
            return 0.5
        return self._index(value) / (len(self.choices) - 1)

    def _index(self, value: Any) -> int:
        """Return the index of a choice; True is not the choice 1."""
        kinds = [(isinstance(choice, bool), choice) for choice in self.choices]
        return kinds.index((isinstance(value, bool), value))

    def ticks(self) -> list[tuple[Any, str]]:
        """Return each choice and its label."""
        return [(choice, text_of(choice)) for choice in self.choices]


ParameterAxis = NumberAxis | ChoiceAxis


def spread(count: int) -> Sequence[float]:
    """Return offsets for marks at the same place, (count,), between -1 and 1, neighbours far apart.

    Source:
        the golden-ratio sequence, which fills an interval evenly whatever its length.
    """
    return ((np.arange(1, count + 1) * 0.6180339887498949) % 1.0 * 2.0 - 1.0).tolist()  # type: ignore[no-any-return]
