"""Names of objectives: what a search makes as large as it can, and what as small."""

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
    "expected rejection@0.75, auc, accuracy or balanced_accuracy, with /1p or /3p behind it for "
    "that many prongs"
)

Quantity = Literal["latency_us", "parameters"]
_QUANTITIES = ("latency_us", "parameters")
_COST = re.compile(r"(?P<quantity>[^@]*)(@(?P<batch>.*))?", re.DOTALL)
_COST_FORMS = (
    "expected latency_us (one candidate by itself), latency_us@256 (a candidate in a batch of "
    "256) or parameters"
)
MAX_BATCH = 10_000
"""Candidates of a batch whose latency may be asked for."""


class Goal(NamedTuple):
    """An objective by its name, and whether it is to be large or small."""

    name: str
    direction: Direction

    @property
    def larger(self) -> bool:
        """True if larger is better."""
        return self.direction == "maximize"


@dataclass(frozen=True)
class ObjectiveName:
    """A metric, the signal efficiency at which it is taken, and the prongs that it is of."""

    metric: Metric
    at: float | None = None
    """Signal efficiency between 0 and 1; of `rejection` only."""
    prongs: int | None = None
    """Candidates of this many prongs only; None takes all."""

    @property
    def needs_background(self) -> bool:
        """Whether it compares signal with background."""
        return self.metric in ("rejection", "auc")

    def __str__(self) -> str:
        at = "" if self.at is None else f"@{self.at:g}"
        return f"{self.metric}{at}" + ("" if self.prongs is None else f"/{self.prongs}p")


@dataclass(frozen=True)
class CostName:
    """What running a network costs, whatever it is worth: time, or size."""

    quantity: Quantity
    batch: int = 1
    """Candidates in a call; of `latency_us`, which is the time of the call a candidate."""

    def __str__(self) -> str:
        return self.quantity if self.batch == 1 else f"{self.quantity}@{self.batch}"


def parse_objective(text: str) -> ObjectiveName:
    """Parse the name of an objective, such as `rejection@0.75/1p`.

    Raises:
        ValueError: it is none; says what is expected and the nearest name.
    """
    match = _NAME.fullmatch(text)
    metric = match["metric"] if match else text
    if metric in _QUANTITIES:
        raise ValueError(f"{metric!r} is a cost: write it under minimize")
    if not match or metric not in _METRICS:
        raise ValueError(f"unknown metric {metric!r}{nearest(metric, _METRICS)}; {_FORMS}")
    if (metric == "rejection") != (match["at"] is not None):
        raise ValueError(
            f"{metric!r} needs a signal efficiency; {_FORMS}"
            if metric == "rejection"
            else f"{metric!r} takes no signal efficiency; {_FORMS}"
        )
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
        raise ValueError(f"{text!r} is no number of prongs; {_FORMS}")
    return int(text[0])


def parse_cost(text: str) -> CostName:
    """Parse the name of a cost, such as `latency_us@256`.

    Raises:
        ValueError: it is none; says what is expected and the nearest name.
    """
    match = _COST.fullmatch(text)
    quantity, batch = (match["quantity"], match["batch"]) if match else (text, None)
    if quantity.partition("/")[0] in _METRICS:
        raise ValueError(f"{text!r} is better the larger it is: write it under maximize")
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
