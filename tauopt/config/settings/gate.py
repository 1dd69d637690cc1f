"""The promotion gate: what a model must do on the test split before it becomes the champion."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from tauopt.config.settings.base import Settings, Variable
from tauopt.config.settings.objective import Metric, Quantity, parse_cost, parse_objective

MAX_BINS = 20
"""Bins of a variable that a gate looks at."""


def _metric(text: str) -> str:
    if text.partition("@")[0] in get_args(Quantity):
        raise ValueError(f"{text!r} is a cost: write it under limits")
    return str(parse_objective(text))


def _cost(text: str) -> str:
    if text.partition("@")[0] in get_args(Metric):
        raise ValueError(f"{text!r} is better the larger it is: write it under floors")
    return str(parse_cost(text))


_Metric = Annotated[str, AfterValidator(_metric)]
_Cost = Annotated[str, AfterValidator(_cost)]
_Losses = dict[_Metric, Annotated[float, Field(ge=0, lt=1)]]
_Edges = Annotated[tuple[float, ...], Field(min_length=3, max_length=MAX_BINS + 1)]


def _rising(edges: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if edges is not None and any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"expected edges that rise, got {list(edges)}")
    return edges


class BinnedRegressions(Settings):
    """What may be lost against the champion in each bin of a variable."""

    edges: Annotated[_Edges | None, AfterValidator(_rising)] = None
    """Ends of the bins in the dataset's unit; the outermost bins are open. Left out, a bin a value
    where there are few values, else up to ten bins of about equal content."""
    regressions: Annotated[_Losses, Field(min_length=1)]
    """Metric -> part of the champion's value that may be lost in a bin. A rejection is taken at
    its signal efficiency within the bin."""


class Gate(Settings):
    """What a model must do on the test split to become the champion, beside reproducing itself."""

    floors: dict[_Metric, float] = {}
    """Metric -> least value, which the lower end of the 68 % interval must reach: a small sample
    makes no promise that a large one would break."""
    regressions: _Losses = {}
    """Metric -> part of the champion's value that may be lost: 0.02 is 2 %. Refused is a loss that
    is larger beyond errors (p < 0.05, paired bootstrap). The objective is always compared, with 0
    where nothing stands here."""
    bins: dict[Variable, BinnedRegressions] = {}
    """Spectator (`pt`, `eta`, `prongs`, `mu`, ...) -> what may be lost in each of its bins. As
    above, with p multiplied by the number of bins."""
    limits: dict[_Cost, Annotated[float, Field(gt=0)]] = {}
    """Cost -> largest value: `latency_us`, `latency_us@256` (medians of many calls on one core of
    the machine that promotes), `parameters`."""
    same_data: Literal["any", "name", "digest"] = "any"
    """What of the prepared dataset must be as it was when the champion was judged."""
    dataset: str = ""
    """Name, or at least eight letters of the digest, of the prepared dataset that a model must be
    judged on; empty takes any."""
