"""Names of objectives: metrics that a search maximises and costs that it minimises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from tauopt.errors import nearest

Metric = Literal["rejection", "auc", "accuracy", "balanced_accuracy"]
Direction = Literal["maximize", "minimize"]
_METRICS = ("rejection", "auc", "accuracy", "balanced_accuracy")
_NAME = re.compile(r"(?P<metric>[A-Za-z_]+)(@(?P<at>[^/]*))?(/(?P<prongs>.*))?", re.DOTALL)
_FORMS = (
    "expected rejection@0.75, auc, accuracy or balanced_accuracy, with the suffix /1p or /3p for "
    "that many prongs"
)

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
    at: float | None = None
    """Signal efficiency between 0 and 1; for `rejection` only."""
    prongs: int | None = None
    """Number of prongs that a candidate must have; None takes all candidates."""

    @property
    def needs_background(self) -> bool:
        """Whether the metric compares signal with background."""
        return self.metric in ("rejection", "auc")

    def __str__(self) -> str:
        at = "" if self.at is None else f"@{self.at:g}"
        return f"{self.metric}{at}" + ("" if self.prongs is None else f"/{self.prongs}p")


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
    match = _NAME.fullmatch(text)
    metric = match["metric"] if match else text
    if metric in _QUANTITIES:
        raise ValueError(f"{metric!r} is a cost: write it under minimize")
    if not match or metric not in _METRICS:
        raise ValueError(f"unknown metric {metric!r}{nearest(metric, _METRICS)}; {_FORMS}")
    if (metric == "rejection") != (match["at"] is not None):
        needs = "needs a" if metric == "rejection" else "takes no"
        raise ValueError(f"{metric!r} {needs} signal efficiency; {_FORMS}")
    return ObjectiveName(cast(Metric, metric), _efficiency(match["at"]), _prongs(match["prongs"]))


def _efficiency(text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"0?\.[0-9]{1,9}", text) or float(text) == 0.0:
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
