"""Bins of the variables (pT, eta, pile-up, prongs ...) in which efficiencies are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

VARIABLES = ("pt", "eta", "mu", "prongs", "decay_mode")
"""Spectators in bins of which a trial is measured by default, if the dataset has them."""
_TEXTS = {"eta": "η", "mu": "Interactions a bunch crossing", "prongs": "Prongs",
          "decay_mode": "Decay mode", "true_decay_mode": "True decay mode"}  # fmt: skip
_MODES = ("decay_mode", "true_decay_mode")
"""Variables whose values are codes of decay modes."""
_PANTAU = ("1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
"""Decay modes by ATLAS's codes, 0 to 4 (PanTau)."""
_HPS = ("1p0n", "1p1n", *["1pXn"] * 3, *["2p"] * 5, "3p0n", *["3pXn"] * 4)
"""Modes by CMS's codes, 0 to 14: 5 x (prongs - 1) + neutral pions (JINST 13 (2018) P10005)."""
_LEAST_HPS = 10
"""Largest codes from this on are CMS's: PanTau has none of them."""
_MOST, _FEWEST = 10, 3
"""Largest and smallest number of bins of a variable."""
_PER_BIN = 250
"""Effective number of candidates per bin."""
_TAIL = 0.004
"""Fraction of the candidates beyond either drawn end; they belong to the outermost bins."""
_MEV = 2000.0
"""A typical transverse momentum above this can't be in GeV."""
_WIDE = 6.0
"""Width of the last bin over the usual one from which on the axis is logarithmic."""


@dataclass(frozen=True)
class VariableAxis:
    """Bins of one variable; the outermost are open where they are ranges.

    Attributes:
        name: name of the spectator.
        text: axis label, with the unit.
        edges: (bin + 1) in that unit.
        divisor: by which values in the dataset's unit are divided to get that of the edges.
        names: (bin) names of bins that are values; empty where bins are ranges.
    """

    name: str
    text: str
    edges: Floats
    divisor: float = 1.0
    names: tuple[str, ...] = ()

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    @property
    def log(self) -> bool:
        """Whether the axis is drawn logarithmically."""
        widths = np.diff(self.edges)
        return bool(not self.names and self.edges[0] > 0 and widths[-1] > _WIDE * np.median(widths))

    @property
    def drawn(self) -> Floats:
        """Edges as drawn, (bin + 1): bins that are values have unit width."""
        return np.asarray(np.arange(self.bins + 1) - 0.5) if self.names else self.edges

    @property
    def centres(self) -> Floats:
        """Centres of the drawn bins, (bin): geometric on a logarithmic axis."""
        low, high = self.drawn[:-1], self.drawn[1:]
        return np.asarray(np.sqrt(low * high) if self.log else (low + high) / 2)

    def index(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the bin of each value, (N,); -1 if bins are values and it has none."""
        scaled = np.asarray(values, np.float64) / self.divisor
        index = np.searchsorted(self.edges[1:-1], scaled, side="right")
        if self.names:
            outside = (scaled < self.edges[0]) | (scaled > self.edges[-1])
            index = np.where(outside, -1, index)
        return np.asarray(index, np.intp)

    def describe(self) -> list[str]:
        """Return the name or the range of each bin, (bin)."""
        if self.names:
            return list(self.names)
        return [f"{a:g} to {b:g}" for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]


def choose_axis(
    name: str, values: NDArray[Any], *, among: NDArray[np.bool_], weights: Floats | None = None
) -> VariableAxis | None:
    """Choose bins of a variable: one for each value where there are few, else of equal content.

    Edges are rounded to readable numbers, so contents are only about equal.

    Args:
        name: name of the spectator.
        values: (N,) in the dataset's unit.
        among: (N,) bool, the candidates by which bins are chosen.
        weights: (N,) their effective number of candidates sets the number of bins; None counts
            candidates instead.
    Returns:
        the axis, or None where all values are the same.
    """
    among = among & np.isfinite(values)
    chosen = np.asarray(values, np.float64)[among]
    number = float(len(chosen))
    if weights is not None and len(chosen):
        number = float(weights[among].sum() ** 2 / max(np.sum(weights[among] ** 2), 1e-300))
    # A look at some candidates is enough to see that there are many values.
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
    """Return the axis of a variable with given edges, (bin + 1), in the dataset's unit."""
    return VariableAxis(name, _TEXTS.get(name, name), np.asarray(edges, np.float64))


def _by_value(name: str, distinct: Floats) -> VariableAxis:
    """Return a bin for each value; codes of decay modes of the same name share a bin."""
    codes = _HPS if distinct[-1] >= _LEAST_HPS else _PANTAU
    known = dict(enumerate(codes)) if name in _MODES else {}
    names = [known.get(value, f"{value:g}") for value in distinct.tolist()]
    starts = [i for i, text in enumerate(names) if i == 0 or text != names[i - 1]]
    middles = [(distinct[i] + distinct[i - 1]) / 2 for i in starts[1:]]
    steps = np.diff(distinct)
    ends = distinct[0] - steps[0] / 2, distinct[-1] + steps[-1] / 2
    edges = np.array([ends[0], *middles, ends[1]])
    return VariableAxis(name, _TEXTS.get(name, name), edges, names=tuple(names[i] for i in starts))


def _rounded_edges(values: Floats, number: float) -> Floats:
    """Return edges of bins of equal content, rounded to about two digits of their range."""
    bins = int(np.clip(number // _PER_BIN, _FEWEST, _MOST))
    quantiles = np.linspace(0.0, 1.0, bins + 1)
    quantiles[[0, -1]] = _TAIL, 1.0 - _TAIL
    edges = np.quantile(values, quantiles)
    step = 10.0 ** (np.floor(np.log10(edges[-2] - edges[1])) - 1)
    rounded = np.unique(np.round(edges / step)) * step
    return np.asarray(rounded if len(rounded) > 2 else edges)
