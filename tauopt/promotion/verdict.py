"""The verdict on a trial: numbers and what follows from them, without any model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tauopt.errors import PromotionRefused
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.bootstrap import Difference
from tauopt.metrics.estimate import Estimate, equation
from tauopt.promotion.gate_check import GateCheck
from tauopt.tracking.registry import VERDICT, champion
from tauopt.tracking.replay import MODEL_SHA256

if TYPE_CHECKING:
    from mlflow import MlflowClient

WORSE_BELOW = 0.05
"""A trial is clearly worse than the champion if the chance that it is not is below this."""
REPLICAS = 1000
"""Of the paired bootstrap: enough for a chance of 0.05 to be known within 0.007."""
RELATIVE_TOLERANCE = 1e-3
"""How far a validation score may be from the recorded one, as a part of it, ..."""
ERROR_TOLERANCE = 0.1
"""... or as a part of its statistical error, whichever is more: other processors round
differently, so a candidate at the cut may change sides."""

MAX_TAG = 90_000
"""Characters of a registered version's tag; MLflow takes 100,000."""

Outcome = Literal[
    "first",
    "better",
    "not worse",
    "worse",
    "not comparable",
    "refused by the gate",
    "champion already",
]
REFUSED: tuple[Outcome, ...] = ("worse", "not comparable", "refused by the gate")
"""What only force promotes."""


@dataclass(frozen=True)
class Verdict:
    """How a trial did, and what became of it; plain values, JSON through `as_json`."""

    run_id: str
    run_name: str
    model: str
    """Registered model."""
    version: str
    """Version of it; empty if it did not become one."""
    model_sha256: str
    dataset: str
    dataset_digest: str
    objective: str
    validation: Mapping[str, float]
    """`recorded`, `found` and `tolerance` of the objective on the validation split."""
    candidates: Mapping[str, int]
    """`signal` and `background` candidates of the test split."""
    test: Mapping[str, list[float]]
    """Metrics on the test split: [value, low, high]."""
    outcome: Outcome
    reason: str
    latencies: Mapping[str, list[float]] = field(default_factory=dict)
    """Microseconds a candidate on one core, by the name of the cost: [median, low, high]."""
    forced: bool = False
    promoted: bool = False
    champion: Mapping[str, str] = field(default_factory=dict)
    """`version`, `run_id` of the champion it was compared with; empty if there was none."""
    champion_test: Mapping[str, list[float]] = field(default_factory=dict)
    difference: Mapping[str, float] = field(default_factory=dict)
    """Objective of the trial less the champion's, on the candidates that both judge."""
    checks: tuple[GateCheck, ...] = ()
    """Everything that the promotion gate asked, and the comparison with the champion."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the gate that are not the defaults."""
    time_utc: str = ""
    tauopt_version: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return asdict(self) | {"checks": [check.as_json() for check in self.checks]}

    def for_tag(self) -> dict[str, Any]:
        """Return the verdict as JSON values; where long, without the checks that were passed."""
        whole = self.as_json()
        if len(json.dumps(whole)) > MAX_TAG:
            whole["checks"] = [check.as_json() for check in self.checks if not check.passed]
        return whole

    @property
    def latency_told(self) -> str:
        """The latencies in a sentence; empty if none was measured."""
        told = [f"{name} {value:.4g}" for name, (value, _, _) in self.latencies.items()]
        return f"On one core, median of many calls: {', '.join(told)}." if told else ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `as_json` gave; fields of a newer tauopt are left out."""
        known = cls.__dataclass_fields__
        checks = tuple(GateCheck.from_json(check) for check in content.get("checks", ()))
        fields = {name: value for name, value in content.items() if name in known}
        return cls(**{**fields, "checks": checks})


class RefusedByVerdict(PromotionRefused):
    """Judged, and not good enough; `verdict` holds the numbers."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(
            f"run {verdict.run_id} does not become the champion of {verdict.model}: "
            f"{verdict.reason}; --force promotes it all the same, and records that"
        )


def tolerance(recorded: float, found: Estimate) -> float:
    """Return how far the validation score may be from the recorded one."""
    error = (found.high - found.low) / 2
    return max(RELATIVE_TOLERANCE * abs(recorded), ERROR_TOLERANCE * error)


def check_reproduced(recorded: float, found: Estimate) -> None:
    """Check that a reloaded model scores on the validation split what its trial recorded.

    Raises:
        PromotionRefused: it does not.
    """
    allowed = tolerance(recorded, found)
    if not np.isfinite(recorded) or abs(found.value - recorded) > allowed:
        raise PromotionRefused(
            f"the reloaded model scores {found.value:.6g} on the validation split, the trial "
            f"recorded {recorded:.6g}; expected at most {allowed:.2g} between them: the model, "
            "the dataset or the code is not what it was"
        )


def compare(difference: Difference | None, *, allowed: float = 0.0) -> tuple[Outcome, str]:
    """Say in a word and a sentence how a trial compares with the champion.

    Args:
        difference: from the paired bootstrap on the test split; None without a champion.
        allowed: part of the champion's value that the bootstrap let the trial lose.
    """
    if difference is None:
        return "first", "there is no champion yet"
    amount = f"difference {difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}]"
    if difference.p_worse < WORSE_BELOW:
        p = equation(difference.p_worse, bound=difference.worse_is_bound)
        chance = f"{p}, less than {WORSE_BELOW:g}"
        beyond = f", by more than the {100 * allowed:g} % that may be lost" if allowed else ""
        where = f"on the test split{beyond}"
        return "worse", f"clearly worse than the champion {where} ({amount}, {chance})"
    if difference.p_better < WORSE_BELOW:
        return "better", f"better than the champion on the test split ({amount})"
    return "not worse", f"not clearly worse than the champion on the test split ({amount})"


def reigning(client: MlflowClient, trial: Trial) -> Verdict | None:
    """Return the verdict by which this very model is the champion; None if it is not.

    Raises:
        ServiceError: the registry does not answer.
    """
    present = champion(client, trial.registered_model)
    if present is None or present.tags.get(MODEL_SHA256) != trial.sha256:
        return None
    try:
        verdict = Verdict.from_json(json.loads(present.tags[VERDICT]))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None  # registered by other means: judge it, then the record is whole
    return verdict if verdict.promoted and verdict.version else None
