"""Flattened scores: cuts of given signal efficiency as functions of pT, pile-up or others.

The flattened score of a candidate is the signal efficiency of the cut that it just passes: 0 is
most like signal, 1 least; for signal it is uniform. So `flattened <= 0.75` is the working point of
75 %. ATLAS stores 1 minus this (`RNNJetScoreSigTrans`), and its 75 % are the values above 0.25.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.working_point_settings import EVERY
from tauopt.errors import DataError

Floats = NDArray[np.float64]
CutVariables = Mapping[str, NDArray[Any]]
"""Spectators and scores by name, each (N,)."""
PRONGS = "prongs"


@dataclass(frozen=True)
class CutGrid:
    """Cuts for candidates of one number of prongs, by signal efficiency and cell.

    Between the centres of cells cuts are interpolated linearly in each quantity, beyond the outer
    ones they are constant; between efficiencies they are interpolated linearly in the score.

    Attributes:
        centres: centres of the bins, rising, an array for each quantity.
        cuts: (efficiency, *bins) the score that a candidate must reach; falls along the first axis.
        numbers: (*bins) effective number of signal candidates from which each cell was derived.
    """

    centres: tuple[Floats, ...]
    cuts: Floats
    numbers: Floats

    def efficiency(self, score: Floats, values: Sequence[Floats], nodes: Floats) -> Floats:
        """Return the signal efficiency of the cut that each candidate just passes, (N,).

        It is the smallest one whose cut the score reaches: candidates of equal score pass together.

        Args:
            score: (N,) finite.
            values: (N,) finite, for each quantity.
            nodes: (efficiency,) efficiencies of `cuts`, rising from 0 to 1.
        """
        places = [_place(value, at) for value, at in zip(values, self.centres, strict=True)]
        low, high = np.zeros(len(score), np.intp), np.full(len(score), len(nodes), np.intp)
        # Bisection for the first node whose cut is reached; `len(nodes)` where none is.
        for _ in range(len(nodes).bit_length()):
            middle = np.minimum((low + high) // 2, len(nodes) - 1)
            reached = self._cut(middle, places) <= score
            high = np.where(reached, np.minimum(middle, high), high)
            low = np.where(reached, low, np.minimum(middle + 1, high))
        inside = np.clip(high, 1, len(nodes) - 1)
        tight, loose = self._cut(inside - 1, places), self._cut(inside, places)
        step = tight - loose
        part = np.clip((tight - score) / np.where(step > 0, step, 1.0), 0.0, 1.0)
        between = nodes[inside - 1] + part * (nodes[inside] - nodes[inside - 1])
        return np.asarray(np.where(high == 0, 0.0, np.where(high == len(nodes), 1.0, between)))

    def _cut(self, node: NDArray[np.intp], places: Sequence[_Place]) -> Floats:
        """Return the cut of a node for each candidate, both (N,), by multilinear interpolation."""

        def corner(picked: tuple[NDArray[np.intp], ...]) -> Floats:
            if len(picked) == self.cuts.ndim:
                return np.asarray(self.cuts[picked])
            index, part = places[len(picked) - 1]
            last = self.cuts.shape[len(picked)] - 1
            below = corner((*picked, index))
            above = corner((*picked, np.minimum(index + 1, last)))
            return below + part * (above - below)  # exact where both are equal, as for tied scores

        return corner((node,))


_Place = tuple[NDArray[np.intp], Floats]
"""Index of the centre below each value, and how far it is to the next one, in [0, 1]."""


def _place(values: Floats, centres: Floats) -> _Place:
    """Return the place of each value, (N,), among the centres; outer ones hold beyond them."""
    if len(centres) == 1:
        return np.zeros(len(values), np.intp), np.zeros(len(values))
    index = np.clip(np.searchsorted(centres, values, side="right") - 1, 0, len(centres) - 2)
    width = centres[index + 1] - centres[index]
    return index, np.clip((values - centres[index]) / width, 0.0, 1.0)


@dataclass(frozen=True)
class CutMap:
    """Cuts for candidates of any number of prongs.

    Attributes:
        axes: names of the quantities on which cuts depend.
        nodes: (efficiency,) of all grids, rising from 0 to 1.
        grids: by prongs (`1p`, `3p`); or `all`, without distinction of prongs.
    """

    axes: tuple[str, ...]
    nodes: Floats
    grids: Mapping[str, CutGrid]

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that `efficiency` reads beside the score."""
        return self.axes if EVERY in self.grids else (*self.axes, PRONGS)

    def efficiency(self, score: NDArray[Any], columns: CutVariables) -> Floats:
        """Return the signal efficiency of the cut that each candidate just passes, (N,).

        It falls as the score rises at fixed other quantities. Candidates with a number of prongs
        for which there are no cuts get 1.

        Args:
            score: (N,).
            columns: at least those of `needs`.
        Raises:
            DataError: a column is missing or has another length, or a value is not finite.
        """
        score = finite("the score", score, len(score))
        values = [finite(name, column(columns, name), len(score)) for name in self.axes]
        efficiency = np.ones(len(score))
        for key, chosen in by_prongs(self.grids, columns, len(score)).items():
            parts = [value[chosen] for value in values]
            efficiency[chosen] = self.grids[key].efficiency(score[chosen], parts, self.nodes)
        return efficiency


def by_prongs(
    keys: Mapping[str, Any], columns: CutVariables, candidates: int
) -> dict[str, NDArray[np.bool_]]:
    """Return which candidates have the prongs of each key (`1p`, `3p`, ... or `all`), (N,) bool."""
    if EVERY in keys:
        return {EVERY: np.ones(candidates, np.bool_)}
    prongs = column(columns, PRONGS)
    return {key: np.asarray(prongs == int(key.removesuffix("p"))) for key in keys}


def column(columns: CutVariables, name: str) -> NDArray[Any]:
    """Return a column by its name.

    Raises:
        DataError: there is no such column.
    """
    if name not in columns:
        known = ", ".join(sorted(columns)) or "none"
        raise DataError(f"working points need the column {name!r}; there are {known}")
    return columns[name]


def finite(name: str, values: NDArray[Any], candidates: int) -> Floats:
    """Return values, (N,), as float64, checked.

    Args:
        name: of the values, for messages.
        values: one number for each candidate.
        candidates: N.
    Raises:
        DataError: there are not as many values as candidates, or one is not finite.
    """
    plain = np.asarray(values, np.float64)
    if plain.shape != (candidates,):
        raise DataError(f"{name} has shape {plain.shape}, expected {(candidates,)}")
    if bad := int(np.count_nonzero(~np.isfinite(plain))):
        raise DataError(f"{name} is not finite for {bad} of {candidates} candidates")
    return plain


def map_to_json(cuts: CutMap) -> dict[str, Any]:
    """Return a map as JSON values, with all digits."""
    return {
        "axes": list(cuts.axes),
        "efficiencies": cuts.nodes.tolist(),
        "grids": {
            key: {
                "centres": [centres.tolist() for centres in grid.centres],
                "cuts": grid.cuts.tolist(),
                "numbers": grid.numbers.tolist(),
            }
            for key, grid in cuts.grids.items()
        },
    }


def map_from_json(content: Mapping[str, Any]) -> CutMap:
    """Return the map that `map_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: the content is not such a map.
    """
    axes = tuple(str(name) for name in content["axes"])
    nodes = _numbers(content["efficiencies"])
    _require(
        nodes.ndim == 1 and len(nodes) > 1 and nodes[0] == 0 and nodes[-1] == 1,
        "efficiencies from 0 to 1",
    )
    _require(bool((np.diff(nodes) > 0).all()), "efficiencies that rise")
    grids = {}
    for key, grid in content["grids"].items():
        _require(
            key == EVERY or (key.endswith("p") and key[:-1].isdigit()), "prongs as 1p, 3p or all"
        )
        centres = tuple(_numbers(values) for values in grid["centres"])
        shape = tuple(len(values) for values in centres)
        cuts, numbers = _numbers(grid["cuts"]), _numbers(grid["numbers"])
        _require(len(centres) == len(axes) and 0 not in shape, "centres for each quantity")
        _require(all((np.diff(values) > 0).all() for values in centres), "centres that rise")
        _require(
            cuts.shape == (len(nodes), *shape) and numbers.shape == shape,
            "cuts and numbers of the shape of the grid",
        )
        _require(bool((np.diff(cuts, axis=0) <= 0).all()), "cuts that fall as efficiencies rise")
        grids[key] = CutGrid(centres, cuts, numbers)
    _require(bool(grids), "at least one grid")
    return CutMap(axes, nodes, grids)


def _numbers(values: Any) -> Floats:
    numbers = np.asarray(values, np.float64)
    _require(bool(np.isfinite(numbers).all()), "finite numbers")
    return numbers


def _require(holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"expected {expected}")
