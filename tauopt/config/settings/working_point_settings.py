"""Working points of a network's score: what an experiment file says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tauopt.config.settings.base import Settings, Variable

SIGNAL_SCORE = "signal_score"
AGAINST = "against_"
"""Scores of a saved model: see `tauopt.models.output_scores`."""
EVERY = "all"
"""Key of a number that holds for candidates of any number of prongs."""
FLAT_IN = ("pt", "mu")
"""Spectators in which working points are flat where the dataset has them."""
_PRONGS = re.compile(r"[0-9]p")


def _by_prongs(given: Any, *, low: float, high: float, expected: str) -> Any:
    numbers = given if isinstance(given, Mapping) else {EVERY: given}
    for prongs, number in numbers.items():
        if prongs != EVERY and not _PRONGS.fullmatch(prongs):
            raise ValueError(f"expected prongs as 1p or 3p, got {prongs!r}")
        plain = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not plain or not low < number < high:
            of = "" if prongs == EVERY else f" for {prongs}"
            raise ValueError(f"expected {expected}; got {number!r}{of}")
    return {prongs: float(number) for prongs, number in numbers.items()}


def _efficiencies(given: Any) -> Any:
    expected = "a number between 0 and 1, or one for each number of prongs: {1p: 0.75, 3p: 0.6}"
    return _by_prongs(given, low=0.0, high=1.0, expected=expected)


def _rejections(given: Any) -> Any:
    expected = "a number between 1 and 1e9, or one for each number of prongs: {1p: 100, 3p: 400}"
    return _by_prongs(given, low=1.0, high=1e9, expected=expected)


_OneOrEach = float | dict[str, float]


class WorkingPointSpec(Settings):
    """One working point: by the signal that it keeps, or by the background that it rejects."""

    efficiency: Annotated[
        dict[str, float], BeforeValidator(_efficiencies, json_schema_input_type=_OneOrEach)
    ] = {}
    """Part of the signal that passes: a number, or one for each number of prongs (`1p`, `3p`)."""
    rejection: Annotated[
        dict[str, float], BeforeValidator(_rejections, json_schema_input_type=_OneOrEach)
    ] = {}
    """One background candidate in this many passes: a number, or one for each number of prongs."""
    score: Variable = SIGNAL_SCORE
    """What is cut on: `signal_score`, or `against_<class>` = signal / (signal + that class) for one
    of several background classes."""
    requires: tuple[Variable, ...] = ()
    """Working points that a candidate passes first; efficiency and rejection are among those."""

    @model_validator(mode="after")
    def _one_target(self) -> WorkingPointSpec:
        if bool(self.efficiency) == bool(self.rejection):
            got = "both" if self.efficiency else "none"
            raise ValueError(f"expected either efficiency or rejection, got {got}")
        return self


def standard_points() -> dict[str, WorkingPointSpec]:
    """Return the working points of a file that names none: ATLAS's for one prong."""
    usual = {"tight": 0.6, "medium": 0.75, "loose": 0.85, "very_loose": 0.95}
    return {name: WorkingPointSpec(efficiency={EVERY: at}) for name, at in usual.items()}


def _completed(points: Any) -> Any:
    """Let an empty mapping under a standard name be that standard working point."""
    if not isinstance(points, dict):
        return points
    usual = standard_points()
    return {
        name: usual[name].model_dump(exclude_defaults=True)
        if not point and name in usual
        else point
        for name, point in points.items()
    }


class WorkingPointSettings(Settings):
    """Cuts on the score, derived on the validation split when a model is promoted."""

    flat_in: tuple[Variable, ...] | None = None
    """Spectators in which the efficiency of every working point is the same; left out, those of
    `pt` and `mu` that the dataset has; `[]` is one cut for each number of prongs."""
    bins: int = Field(default=20, ge=1, le=100)
    """Bins of the cut map in each of them, at most; each holds as much signal as the others."""
    min_candidates: int = Field(default=200, ge=20, le=1_000_000)
    """Signal candidates (effective number) in each cell of the map; there are fewer bins where
    there would be less."""
    points: Annotated[
        dict[Variable, WorkingPointSpec], Field(min_length=1), BeforeValidator(_completed)
    ] = standard_points()
    """Working points by name, which becomes a branch of scored ntuples; the tightest first."""
