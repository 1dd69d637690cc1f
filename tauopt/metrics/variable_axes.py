"""Bins of the variables that efficiencies are looked at in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

VARIABLES = ("pt", "eta", "mu", "prongs", "decay_mode")
"""Spectators by which a trial is judged where nobody says otherwise, if the dataset has them."""
_TEXTS = {"eta": "η", "mu": "Interactions a bunch crossing", "prongs": "Prongs",
          "decay_mode": "Decay mode", "true_decay_mode": "True decay mode"}  # fmt: skip
_MODES = ("decay_mode", "true_decay_mode")
"""Variables whose values are codes of decay modes."""
_PANTAU = ("1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
"""Names of ATLAS's codes, 0 to 4 (PanTau)."""
_HPS = ("1p0n", "1p1n", *["1pXn"] * 3, *["2p"] * 5, "3p0n", *["3pXn"] * 4)
"""Names of CMS's codes, 0 to 14: 5 x (prongs - 1) + neutral pions (JINST 13 (2018) P10005)."""
_LEAST_HPS = 10
"""A code from here on is none of PanTau's."""
_MOST, _FEWEST = 10, 3
"""Bins of a variable."""
_WORTH = 250
"""Effective number of candidates that a bin is worth."""
_TAIL = 0.004
"""Part of the candidates beyond the ends that are drawn; they belong to the outermost bins."""
_MEV = 2000.0
"""A typical transverse momentum above this can't be in GeV."""
_WIDE = 6.0
"""Width of the last bin over the usual one from which on the axis is logarithmic."""


@dataclass(frozen=True)
class VariableAxis:
    """Bins of one variable; the outermost are open where they are ranges.

    Attributes:
        name: of the spectator.
        text: label of an axis, with the unit.
        edges: (bin + 1) in that unit.
        divisor: from the dataset's unit to that of the edges.
        names: of each bin where it is a value, not a range; else empty.
    """

    name: str
    text: str
    edges: Floats
    divisor: float = 1.0
    names: tuple[str, ...] = ()

    @property
    def bins(self) -> int:
        """How many there are."""
        return len(self.edges) - 1

    @property
    def log(self) -> bool:
        """Whether it is drawn with a logarithmic axis."""
        widths = np.diff(self.edges)
        return bool(not self.names and self.edges[0] > 0 and widths[-1] > _WIDE * np.median(widths))

    @property
    def drawn(self) -> Floats:
        """Where the ends of bins are drawn, (bin + 1): of values, all of the same width."""
        return np.asarray(np.arange(self.bins + 1) - 0.5) if self.names else self.edges

    @property
    def centres(self) -> Floats:
        """Where a bin's point is drawn, (bin)."""
        low, high = self.drawn[:-1], self.drawn[1:]
        return np.asarray(np.sqrt(low * high) if self.log else (low + high) / 2)

    def index(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the bin of each value, (N,); -1 outside of bins that are values."""
        scaled = np.asarray(values, np.float64) / self.divisor
        found = np.searchsorted(self.edges[1:-1], scaled, side="right")
        if self.names:
            outside = (scaled < self.edges[0]) | (scaled > self.edges[-1])
            found = np.where(outside, -1, found)
        return np.asarray(found, np.intp)

    def describe(self) -> list[str]:
        """Return each bin in words, (bin)."""
        if self.names:
            return list(self.names)
        return [f"{a:g} to {b:g}" for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]


def axis_of(
    name: str, values: NDArray[Any], *, of: NDArray[np.bool_], weights: Floats | None = None
) -> VariableAxis | None:
    """Choose bins of a variable: one a value where there are few, else of about equal content.

    Edges are rounded, so that they can be said.

    Args:
        name: of the spectator.
        values: (N,) in the dataset's unit.
        of: (N,) bool, the candidates that bins are chosen by.
        weights: (N,) there are as many bins as the effective number of candidates is worth; None
            counts them.
    Returns:
        the axis, or None where all values are the same.
    """
    of = of & np.isfinite(values)
    chosen = np.asarray(values, np.float64)[of]
    number = float(len(chosen))
    if weights is not None and len(chosen):
        number = float(weights[of].sum() ** 2 / max(np.sum(weights[of] ** 2), 1e-300))
    distinct = np.unique(chosen[: 100 * _MOST])
    if len(distinct) <= _MOST:
        distinct = np.unique(chosen)
    if len(distinct) < 2:
        return None
    if len(distinct) <= _MOST:
        return _by_value(name, distinct)
    divisor = 1000.0 if name == "pt" and np.median(chosen) > _MEV else 1.0
    unit = " [GeV]" if name == "pt" else ""
    text = ("pT" if name == "pt" else _TEXTS.get(name, name)) + unit
    return VariableAxis(name, text, _rounded_edges(chosen / divisor, number), divisor)


def axis_with(name: str, edges: Sequence[float]) -> VariableAxis:
    """Return the bins of a variable that somebody chose, in the dataset's unit."""
    return VariableAxis(name, _TEXTS.get(name, name), np.asarray(edges, np.float64))


def _by_value(name: str, distinct: Floats) -> VariableAxis:
    """Return a bin for each value; codes of decay modes with one name share theirs."""
    codes = _HPS if distinct[-1] >= _LEAST_HPS else _PANTAU
    known = dict(enumerate(codes)) if name in _MODES else {}
    every = [known.get(value, f"{value:g}") for value in distinct.tolist()]
    first = [i for i, text in enumerate(every) if i == 0 or text != every[i - 1]]
    middles = [(distinct[i] + distinct[i - 1]) / 2 for i in first[1:]]
    steps = np.diff(distinct)
    ends = distinct[0] - steps[0] / 2, distinct[-1] + steps[-1] / 2
    edges = np.array([ends[0], *middles, ends[1]])
    return VariableAxis(name, _TEXTS.get(name, name), edges, names=tuple(every[i] for i in first))


def _rounded_edges(values: Floats, number: float) -> Floats:
    bins = int(np.clip(number // _WORTH, _FEWEST, _MOST))
    shares = np.linspace(0.0, 1.0, bins + 1)
    shares[[0, -1]] = _TAIL, 1.0 - _TAIL
    edges = np.quantile(values, shares)
    step = 10.0 ** (np.floor(np.log10(edges[-2] - edges[1])) - 1)
    rounded = np.unique(np.round(edges / step)) * step
    return np.asarray(rounded if len(rounded) > 2 else edges)
