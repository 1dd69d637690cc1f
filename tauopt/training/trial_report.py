"""Reports of a trial, and the tracker that records them; both independent of Ray and MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tauopt.config.source.yaml_source import Scalar


class Tracker(Protocol):
    """Records a run. Never raises because a service can't be reached."""

    def start(self, *, params: Mapping[str, Scalar], tags: Mapping[str, str]) -> None:
        """Record parameter values and tags, at the start or when the trial resumes."""

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Record metric values at a step; a repeated name and step counts once."""

    def artifact(self, path: Path, *, folder: str = "") -> None:
        """Record a finished file, to be kept in `folder` of the run."""


@dataclass(frozen=True)
class TrialReport:
    """Report of a trial at a rung.

    Attributes:
        number: number of the rung: 1, 2, ...; rises, and skips rungs within one batch.
        candidates_seen: candidates trained on so far, over all epochs.
        metrics: `loss`, `val_loss`, `auc`, the objective by its name, `learning_rate`,
            `candidates_per_s`; all finite.
        value: the objective on the validation split.
        paired_value: the same as a `PairedValue`, as text.
        best: the objective at the best report so far, whose weights are kept.
        best_number, best_paired_value, best_log_loss: number of that report, its `PairedValue`, and
            the cross-entropy of what the objective separates.
        done: whether training is over and the trial's results are written.
        others: if done: the other objectives of its best network, in order.
        intervals: if done: ends of the 68 % interval of each objective that has one, by its name.
        parameters: if done: number of the network's parameters.
        constraints: if done: the constrained quantities by name, each with the fields of a
            `ConstraintValue`.
    """

    number: int
    candidates_seen: int
    metrics: dict[str, float]
    value: float
    best: float
    done: bool
    paired_value: str = ""
    best_number: int = 0
    best_paired_value: str = ""
    best_log_loss: float | None = None
    others: tuple[float, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    parameters: int | None = None
    constraints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
