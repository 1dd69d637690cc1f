"""Names of objectives: metrics that a search maximises and costs that it minimises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import nearest

Metric = Literal["rejection", "auc", "accuracy", "balanced_accuracy", "neg_log_loss", "own"]
Direction = Literal["maximize", "minimize"]
_METRICS = ("rejection", "auc", "accuracy", "balanced_accuracy", "neg_log_loss")
_OWN = re.compile(
    r"(?P<function>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)(/(?P<prongs>.*))?", re.DOTALL
)
_NAME = re.compile(r"(?P<metric>[A-Za-z_]+)(@(?P<at>[^/]*))?(/(?P<prongs>.*))?", re.DOTALL)
_FORMS = (
    "expected rejection@0.75, rejection@[0.6, 0.9] (the geometric mean over a band of signal "
    "efficiencies), auc, auc@[0.6, 0.9], accuracy, balanced_accuracy, neg_log_loss or a function "
    "of one's own, module:function, with the suffix /1p or /3p for that many prongs"
)
_EFFICIENCY = r"0?\.[0-9]{1,9}"
_BAND = re.compile(rf"\[\s*({_EFFICIENCY})\s*,\s*({_EFFICIENCY})\s*\]")
BAND_POINTS = 64
"""Signal efficiencies that stand for a band: many more than its rejection has digits."""

Quantity = Literal["latency_us", "parameters"]
_QUANTITIES = ("latency_us", "parameters")
_COST = re.compile(r"(?P<quantity>[^@]*)(@(?P<batch>.*))?", re.DOTALL)
_COST_FORMS = (
    "expected latency_us (one candidate by itself), latency_us@256 (per candidate in a batch of "
    "256) or parameters"
)
MAX_BATCH = 10_000
"""Largest batch of a latency, in candidates."""


class Goal(NamedTuple):
    """An objective's name and its direction, maximise or minimise."""

    name: str
    direction: Direction

    @property
    def larger(self) -> bool:
        """Whether larger is better."""
        return self.direction == "maximize"


@dataclass(frozen=True)
class ObjectiveName:
    """The parts of a metric's name: metric, signal efficiency and number of prongs."""

    metric: Metric
    at: float | tuple[float, float] | None = None
    """Signal efficiency between 0 and 1, for `rejection`; or the ends of a band of them, for
    `rejection` and `auc`."""
    prongs: int | None = None
    """Number of prongs that a candidate must have; None takes all candidates."""
    function: str = ""
    """Name of the user's function, `package.module:function`, for the metric `own`."""

    @property
    def needs_background(self) -> bool:
        """Whether the metric compares signal with background."""
        return self.metric in ("rejection", "auc")

    @property
    def efficiencies(self) -> NDArray[np.float64]:
        """Signal efficiencies at which the metric is taken, (A,); a band's are evenly spaced."""
        if self.at is None:
            return np.array([])
        if not isinstance(self.at, tuple):
            return np.array([self.at])
        low, high = self.at
        return low + (high - low) * (np.arange(BAND_POINTS) + 0.5) / BAND_POINTS

    def __str__(self) -> str:
        prongs = "" if self.prongs is None else f"/{self.prongs}p"
        return f"{self.function or self.metric}{_written(self.at)}{prongs}"


def _written(at: float | tuple[float, float] | None) -> str:
    if at is None:
        return ""
    return f"@[{at[0]:g}, {at[1]:g}]" if isinstance(at, tuple) else f"@{at:g}"


def band_of(objective: ObjectiveName) -> ObjectiveName:
    """Return the background rejection over a band of efficiencies that stands for an objective.

    It is the objective itself if that is one, else the band from 0.6 to 0.9 for its prongs.
    """
    if objective.metric == "rejection" and isinstance(objective.at, tuple):
        return objective
    return ObjectiveName("rejection", (0.6, 0.9), objective.prongs)


@dataclass(frozen=True)
class CostName:
    """The parts of a cost's name: latency or number of parameters, and the batch size."""

    quantity: Quantity
    batch: int = 1
    """Candidates per call; for `latency_us`, which is the call's time divided by this."""

    def __str__(self) -> str:
        return self.quantity if self.batch == 1 else f"{self.quantity}@{self.batch}"


def parse_objective(text: str) -> ObjectiveName:
    """Parse the name of a metric, such as `rejection@0.75/1p`.

    Raises:
        ValueError: `text` is not a metric; the message has the expected forms and the nearest name.
    """
    if own := _OWN.fullmatch(text):
        return ObjectiveName("own", None, _prongs(own["prongs"]), own["function"])
    match = _NAME.fullmatch(text)
    metric = match["metric"] if match else text
    if metric in _QUANTITIES:
        raise ValueError(f"{metric!r} is a cost: write it under minimize")
    if metric == "log_loss":
        raise ValueError("a search maximises its metrics: write neg_log_loss, minus the log loss")
    if not match or metric not in _METRICS:
        raise ValueError(f"unknown metric {metric!r}{nearest(metric, _METRICS)}; {_FORMS}")
    at = _efficiency(match["at"])
    if metric == "rejection" and at is None:
        raise ValueError(f"{metric!r} needs a signal efficiency; {_FORMS}")
    if metric == "auc" and isinstance(at, float):
        raise ValueError(f"'auc' takes a band of signal efficiencies, not a single one; {_FORMS}")
    if at is not None and metric not in ("rejection", "auc"):
        raise ValueError(f"{metric!r} takes no signal efficiency; {_FORMS}")
    return ObjectiveName(cast(Metric, metric), at, _prongs(match["prongs"]))


def _efficiency(text: str | None) -> float | tuple[float, float] | None:
    """Parse `0.75`, or a band `[0.6, 0.9]`."""
    if text is None:
        return None
    if band := _BAND.fullmatch(text):
        low, high = float(band[1]), float(band[2])
        if not 0.0 < low < high:
            raise ValueError(
                f"band {text} is not from a lower to a higher signal efficiency; {_FORMS}"
            )
        return low, high
    if not re.fullmatch(_EFFICIENCY, text) or float(text) == 0.0:
        raise ValueError(f"signal efficiency {text!r} is not between 0 and 1; {_FORMS}")
    return float(text)


def _prongs(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]p", text):
        raise ValueError(f"{text!r} is not a number of prongs; {_FORMS}")
    return int(text[0])


def parse_cost(text: str) -> CostName:
    """Parse the name of a cost, such as `latency_us@256`.

    Raises:
        ValueError: `text` is not a cost; the message has the expected forms and the nearest name.
    """
    match = _COST.fullmatch(text)
    quantity, batch = (match["quantity"], match["batch"]) if match else (text, None)
    if quantity.partition("/")[0] in _METRICS:
        raise ValueError(f"{text!r} is a metric, not a cost: write it under maximize")
    if quantity not in _QUANTITIES:
        raise ValueError(
            f"unknown cost {quantity!r}{nearest(quantity, _QUANTITIES)}; {_COST_FORMS}"
        )
    if batch is None:
        return CostName(cast(Quantity, quantity))
    if quantity != "latency_us":
        raise ValueError(f"{quantity!r} takes no batch; {_COST_FORMS}")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", batch) or not 1 < int(batch) <= MAX_BATCH:
        raise ValueError(f"batch {batch!r} is not between 2 and {MAX_BATCH}; {_COST_FORMS}")
    return CostName("latency_us", int(batch))


OVERTRAINING = "overtraining"
"""Name of the relative loss of the first objective from training to validation candidates."""


def parse_constraint(text: str) -> ObjectiveName | CostName | None:
    """Parse the name of a constrained quantity: a metric, a cost, or None for `overtraining`.

    Raises:
        ValueError: `text` is none of them; the message has the expected forms and the nearest name.
    """
    if text == OVERTRAINING:
        return None
    quantity = re.split("[@/]", text, maxsplit=1)[0]
    if quantity in _QUANTITIES:
        return parse_cost(text)
    if quantity in _METRICS or ":" in text:
        return parse_objective(text)
    known = (OVERTRAINING, *_METRICS, *_QUANTITIES)
    raise ValueError(
        f"unknown quantity {quantity!r}{nearest(quantity, known)}; expected {OVERTRAINING}, a "
        "metric such as auc/3p, or a cost such as latency_us@256"
    )
