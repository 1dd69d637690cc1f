"""A number with its statistical interval; Wilson's score interval for weighted fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number with its 68 % interval; value and both ends are finite.

    Where the sample can show no more than a bound (no background candidate passes), `limit` is
    true, and value, low and high are all that lower bound.
    """

    value: float
    low: float
    high: float
    limit: bool = False

    @property
    def triple(self) -> list[float]:
        """Return [value, low, high], as records keep it."""
        return [self.value, self.low, self.high]

    def __str__(self) -> str:
        if self.limit:
            return f"> {self.value:.4g}"
        below, above = self.value - self.low, self.high - self.value
        error = max(below, above)
        if error == 0:
            return f"{self.value:.4g}"
        digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 6))
        number = f"{self.value:.{digits}f}"
        if f"{below:.{digits}f}" == f"{above:.{digits}f}":
            return f"{number} ± {above:.{digits}f}"
        return f"{number} +{above:.{digits}f} -{below:.{digits}f}"


def shown(triple: Sequence[float]) -> str:
    """Return a recorded [value, low, high] as text; three equal numbers are a lower limit."""
    value, low, high = triple
    return str(Estimate(value, low, high, limit=low == value == high))


_TINY = 1e-300
"""Probabilities below this are written as a bound: some are too small for floating point."""


def shown_chance(p: float, *, bound: bool = False) -> str:
    """Return a probability as text: `0.031`, or `< 0.005` where it is an upper bound."""
    if p < _TINY:
        return f"< {_TINY:g}"
    return f"< {p:.2g}" if bound else f"{p:.2g}"


def equation(p: float, *, bound: bool = False) -> str:
    """Return a probability as text, `p = 0.031`, or `p < 0.005`."""
    text = shown_chance(p, bound=bound)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def wilson(fraction: float, variance: float, number: float) -> tuple[float, float]:
    """Return Wilson's 68 % score interval of a weighted fraction.

    It is computed with the number of unweighted candidates that would give the same
    variance, fraction (1 - fraction) / variance. At a fraction of 0 or 1, where the variance
    vanishes, the effective number of all candidates is used: 0 of n gives an upper end of
    1 / (n + 1). A fraction outside [0, 1], which negative weights allow, gets a Gaussian interval.

    Args:
        fraction: weighted fraction that passes.
        variance: of the fraction.
        number: effective number of candidates, (sum w)^2 / sum w^2.
    Returns:
        the lower and upper end.
    Source:
        E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    if not 0.0 <= fraction <= 1.0:
        spread = float(np.sqrt(variance))
        return fraction - spread, fraction + spread
    if variance > 0.0 and 0.0 < fraction < 1.0:
        number = fraction * (1.0 - fraction) / variance
    centre = (fraction + 0.5 / number) / (1.0 + 1.0 / number)
    half = np.sqrt(fraction * (1.0 - fraction) / number + 0.25 / number**2) / (1.0 + 1.0 / number)
    return min(float(centre - half), fraction), max(float(centre + half), fraction)
