"""Settings of the working points: efficiency or rejection targets of cuts on the score."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tauopt.config.settings.base import Settings, Variable

SIGNAL_SCORE = "signal_score"
AGAINST = "against_"
"""Scores of a saved model, see `tauopt.models.output_scores`; a class name follows `against_`."""
EVERY = "all"
"""Key of a target that holds for candidates with any number of prongs."""
FLAT_IN = ("pt", "mu")
"""Default spectators in which the efficiency is flat, if the dataset has them."""
_PRONGS = re.compile(r"[0-9]p")


def _by_prongs(given: Any, *, low: float, high: float, expected: str) -> Any:
    numbers = given if isinstance(given, Mapping) else {EVERY: given}
    for prongs, number in numbers.items():
        if prongs != EVERY and not _PRONGS.fullmatch(prongs):
            raise ValueError(f"expected prongs as 1p or 3p, got {prongs!r}")
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not is_number or not low < number < high:
            for_prongs = "" if prongs == EVERY else f" for {prongs}"
            raise ValueError(f"expected {expected}; got {number!r}{for_prongs}")
    return {prongs: float(number) for prongs, number in numbers.items()}


def _efficiencies(given: Any) -> Any:
    expected = "a number between 0 and 1, or one for each number of prongs: {1p: 0.75, 3p: 0.6}"
    return _by_prongs(given, low=0.0, high=1.0, expected=expected)


def _rejections(given: Any) -> Any:
    expected = "a number between 1 and 1e9, or one for each number of prongs: {1p: 100, 3p: 400}"
    return _by_prongs(given, low=1.0, high=1e9, expected=expected)


_OneOrEach = float | dict[str, float]


class WorkingPointSpec(Settings):
    """Working point at a fixed signal efficiency or a fixed background rejection."""

    efficiency: Annotated[
        dict[str, float], BeforeValidator(_efficiencies, json_schema_input_type=_OneOrEach)
    ] = {}
    """Signal efficiency: a number, or one for each number of prongs (`1p`, `3p`)."""
    rejection: Annotated[
        dict[str, float], BeforeValidator(_rejections, json_schema_input_type=_OneOrEach)
    ] = {}
    """Background rejection (one background candidate in this many passes): a number, or one for
    each number of prongs."""
    score: Variable = SIGNAL_SCORE
    """Score to cut on: `signal_score`, or `against_<class>` = signal / (signal + that class) for
    one of several background classes."""
    requires: tuple[Variable, ...] = ()
    """Working points that a candidate must pass first; efficiency and rejection are relative to the
    candidates that pass them."""

    @model_validator(mode="after")
    def _one_target(self) -> WorkingPointSpec:
        if bool(self.efficiency) == bool(self.rejection):
            got = "both" if self.efficiency else "none"
            raise ValueError(f"expected either efficiency or rejection, got {got}")
        return self


def standard_points() -> dict[str, WorkingPointSpec]:
    """Return the default working points: the efficiencies of ATLAS for one prong."""
    efficiencies = {"tight": 0.6, "medium": 0.75, "loose": 0.85, "very_loose": 0.95}
    return {name: WorkingPointSpec(efficiency={EVERY: at}) for name, at in efficiencies.items()}


def _completed(points: Any) -> Any:
    """Replace an empty mapping under a standard name by that standard working point."""
    if not isinstance(points, dict):
        return points
    standard = standard_points()
    return {
        name: standard[name].model_dump(exclude_defaults=True)
        if not point and name in standard
        else point
        for name, point in points.items()
    }


class WorkingPointSettings(Settings):
    """Working points: cuts on the score, derived on the validation split at promotion."""

    flat_in: tuple[Variable, ...] | None = None
    """Spectators in which every working point has a flat efficiency; if left out, `pt` and `mu`
    where the dataset has them; `[]` makes one cut for each number of prongs."""
    bins: int = Field(default=20, ge=1, le=100)
    """Largest number of bins of the cut map in each spectator; all bins hold equal signal."""
    min_candidates: int = Field(default=200, ge=20, le=1_000_000)
    """Fewest signal candidates (effective number) in each cell of the map; the number of bins is
    lowered to reach it."""
    points: Annotated[
        dict[Variable, WorkingPointSpec], Field(min_length=1), BeforeValidator(_completed)
    ] = standard_points()
    """Working points by name, the tightest first; the name becomes a branch of scored ntuples."""
