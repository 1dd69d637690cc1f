"""Settings of the promotion gate: requirements on the test split for becoming the champion."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from tauopt.config.settings.base import Settings, Variable
from tauopt.config.settings.objective import Metric, Quantity, parse_cost, parse_objective

MAX_BINS = 20
"""Most bins of a variable in a gate."""


def _metric(text: str) -> str:
    if text.partition("@")[0] in get_args(Quantity):
        raise ValueError(f"{text!r} is a cost: write it under limits")
    return str(parse_objective(text))


def _cost(text: str) -> str:
    if text.partition("@")[0] in get_args(Metric):
        raise ValueError(f"{text!r} is a metric, not a cost: write it under floors")
    return str(parse_cost(text))


_Metric = Annotated[str, AfterValidator(_metric)]
_Cost = Annotated[str, AfterValidator(_cost)]
_Losses = dict[_Metric, Annotated[float, Field(ge=0, lt=1)]]
_Edges = Annotated[tuple[float, ...], Field(min_length=3, max_length=MAX_BINS + 1)]


def _increasing(edges: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if edges is not None and any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"expected edges that increase, got {list(edges)}")
    return edges


class BinnedRegressions(Settings):
    """Allowed losses against the champion in each bin of a variable."""

    edges: Annotated[_Edges | None, AfterValidator(_increasing)] = None
    """Bin edges in the dataset's unit; the outermost bins are open. If left out: one bin per value
    where there are few values, else up to ten bins of about equal content."""
    regressions: Annotated[_Losses, Field(min_length=1)]
    """Metric -> fraction of the champion's value that may be lost in a bin. A rejection is taken at
    its signal efficiency within the bin."""


class Gate(Settings):
    """Promotion gate: requirements on the test split, besides that a model reproduces itself."""

    floors: dict[_Metric, float] = {}
    """Metric -> lowest allowed value, which the lower end of the 68 % interval must reach, so that
    a small sample does not pass by chance."""
    regressions: _Losses = {}
    """Metric -> fraction of the champion's value that may be lost: 0.02 is 2 %. A larger loss is
    refused if it is significant (p < 0.05, paired bootstrap). The objective is always compared,
    with 0 if it is not named here."""
    bins: dict[Variable, BinnedRegressions] = {}
    """Spectator (`pt`, `eta`, `prongs`, `mu`, ...) -> allowed losses in each of its bins. As above,
    with p multiplied by the number of bins."""
    limits: dict[_Cost, Annotated[float, Field(gt=0)]] = {}
    """Cost -> largest allowed value: `latency_us`, `latency_us@256` (medians of many calls on one
    core of the machine that promotes), `parameters`."""
    same_data: Literal["any", "name", "digest"] = "any"
    """Whether the prepared dataset must have the name or the digest of the one on which the
    champion was evaluated; `any` requires neither."""
    dataset: str = ""
    """Name, or at least eight characters of the digest, of the prepared dataset on which a model
    must be evaluated; empty allows any."""
