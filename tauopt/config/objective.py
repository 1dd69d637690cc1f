"""Names of objectives: what a search makes as large as it can."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from tauopt.errors import nearest

Metric = Literal["rejection", "auc", "accuracy", "balanced_accuracy"]
_METRICS = ("rejection", "auc", "accuracy", "balanced_accuracy")
_NAME = re.compile(r"(?P<metric>[A-Za-z_]+)(@(?P<at>[^/]*))?(/(?P<prongs>.*))?", re.DOTALL)
_FORMS = (
    "expected rejection@0.75, auc, accuracy or balanced_accuracy, with /1p or /3p behind it for "
    "that many prongs"
)


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


def parse_objective(text: str) -> ObjectiveName:
    """Parse the name of an objective, such as `rejection@0.75/1p`.

    Raises:
        ValueError: it is none; says what is expected and the nearest name.
    """
    match = _NAME.fullmatch(text)
    metric = match["metric"] if match else text
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
