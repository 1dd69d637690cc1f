"""The verdict on a trial and its checks, as plain records; needs no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tauopt.config.settings.objective import parse_objective
from tauopt.errors import PromotionRefused
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.bootstrap import Difference
from tauopt.metrics.estimate import equation, shown_chance
from tauopt.metrics.split_difference import compare_splits
from tauopt.tracking.registry import VERDICT, champion
from tauopt.tracking.replay import MODEL_SHA256

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.metrics.predictions import Predictions

WORSE_BELOW = 0.05
"""p-value of "not worse" below which a trial is clearly worse than the champion."""
MAX_TAG = 90_000
"""Characters in a tag of a registered version; MLflow takes 100,000."""

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
"""Outcomes with which a trial becomes the champion only by force."""


@dataclass(frozen=True)
class GateCheck:
    """One requirement of a promotion gate and whether a model meets it.

    Attributes:
        name: for instance `floor of auc/1p` or `rejection@0.75 in pt 20 to 40`.
        found: value of the model as text, with its error.
        asked: the requirement as text.
        passed: whether the model meets it.
        against: value of the champion on the same candidates as text; empty where there is none.
        change: difference of the model to the champion as text.
        value: [value, low, high] of the model; empty where it is no number, or can't be measured.
        champion: likewise of the champion.
        limit: least or largest value, or the fraction of the champion's that may be lost.
        p: p-value of a loss within the limit, of a comparison with the champion.
        p_limit: whether `p` is an upper bound: no replica of the bootstrap is within the limit.
    """

    name: str
    found: str
    asked: str
    passed: bool
    against: str = ""
    change: str = ""
    value: tuple[float, ...] = ()
    champion: tuple[float, ...] = ()
    limit: float | None = None
    p: float | None = None
    p_limit: bool = False

    def __str__(self) -> str:
        champion = f", champion {self.against}, {self.change}" if self.against else ""
        chance = f", {equation(self.p, bound=self.p_limit)}" if self.p is not None else ""
        return f"{self.name}: {self.found}{champion}{chance}; asked: {self.asked}"

    @property
    def row(self) -> tuple[str, ...]:
        """Cells of a table row: check, this model, champion, change, p, asked, passed."""
        chance = "" if self.p is None else shown_chance(self.p, bound=self.p_limit)
        passed = "yes" if self.passed else "NO"
        return self.name, self.found, self.against, self.change, chance, self.asked, passed

    def as_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> GateCheck:
        """Build the check from the values that `as_json` returned."""
        lists = {name: tuple(content.get(name, ())) for name in ("value", "champion")}
        return cls(**{**content, **lists})


@dataclass(frozen=True)
class Verdict:
    """Numbers of a judged trial and the decision on it; plain values, JSON through `as_json`."""

    run_id: str
    run_name: str
    model: str
    """Name of the registered model."""
    version: str
    """Version of the registered model; empty if the trial became none."""
    model_sha256: str
    dataset: str
    dataset_digest: str
    objective: str
    validation: Mapping[str, float]
    """`recorded`, `found`, its `low` and `high`, and `tolerance` of the objective on the validation
    split."""
    candidates: Mapping[str, int]
    """`signal` and `background` candidates of the test split."""
    test: Mapping[str, list[float]]
    """Metrics on the test split: [value, low, high]."""
    outcome: Outcome
    reason: str
    latencies: Mapping[str, list[float]] = field(default_factory=dict)
    """Microseconds per candidate on one core, by the name of the cost: [median, low, high]."""
    forced: bool = False
    promoted: bool = False
    champion: Mapping[str, str] = field(default_factory=dict)
    """`version`, `run_id` of the champion it was compared with; empty if there was none."""
    champion_test: Mapping[str, list[float]] = field(default_factory=dict)
    """Metrics of the champion on the same candidates: [value, low, high]."""
    difference: Mapping[str, float] = field(default_factory=dict)
    """Objective of the trial minus the champion's, on the candidates that both tasks keep; fields
    as in `Difference`."""
    checks: tuple[GateCheck, ...] = ()
    """Checks of the promotion gate, the comparison with the champion among them."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the gate that differ from the defaults."""
    time_utc: str = ""
    tauopt_version: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return asdict(self) | {"checks": [check.as_json() for check in self.checks]}

    def for_tag(self) -> dict[str, Any]:
        """Return the verdict as JSON values for a tag; if too long, without the passed checks."""
        whole = self.as_json()
        if len(json.dumps(whole)) > MAX_TAG:
            whole["checks"] = [check.as_json() for check in self.checks if not check.passed]
        return whole

    @property
    def latency_sentence(self) -> str:
        """The latencies in a sentence; empty if none was measured."""
        medians = [f"{name} {value:.4g}" for name, (value, _, _) in self.latencies.items()]
        return f"On one core, median of many calls: {', '.join(medians)}." if medians else ""

    @property
    def splits_sentence(self) -> str:
        """The objective on validation and on test, and what the difference means."""
        names = ("found", "low", "high")
        if self.objective not in self.test or not self.validation.keys() >= set(names):
            return ""
        triple = [self.validation[name] for name in names]
        return compare_splits(parse_objective(self.objective), triple, self.test[self.objective])

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Verdict:
        """Build the verdict from what `as_json` returned; fields of a newer tauopt are ignored."""
        known = cls.__dataclass_fields__
        checks = tuple(GateCheck.from_json(check) for check in content.get("checks", ()))
        fields = {name: value for name, value in content.items() if name in known}
        return cls(**{**fields, "checks": checks})


@dataclass(frozen=True)
class ChampionComparison:
    """A trial compared with the champion; fields as in `Verdict`."""

    outcome: Outcome
    reason: str
    version: str = ""
    """Version of the champion; empty if there is none."""
    run_id: str = ""
    test: Mapping[str, list[float]] = field(default_factory=dict)
    difference: Difference | None = None
    pair: tuple[Predictions, Predictions] | None = None
    """Predictions of the trial and of the champion on the candidates that both tasks keep."""
    data: Mapping[str, str] = field(default_factory=dict)
    """`name` and `digest` of the dataset that the champion was judged on; empty if unknown."""


class RefusedByVerdict(PromotionRefused):
    """A judged trial does not become the champion; `verdict` holds the numbers."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(
            f"run {verdict.run_id} does not become the champion of {verdict.model}: "
            f"{verdict.reason}; --force promotes it all the same, and is recorded"
        )


def compare(difference: Difference | None, *, allowed: float = 0.0) -> tuple[Outcome, str]:
    """Return outcome and reason of the comparison of a trial with the champion.

    Args:
        difference: from the paired bootstrap on the test split; None without a champion.
        allowed: fraction of the champion's value that the trial may lose, as in the bootstrap.
    """
    if difference is None:
        return "first", "there is no champion yet"
    amount = f"difference {difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}]"
    if difference.p_worse < WORSE_BELOW:
        p = equation(difference.p_worse, bound=difference.worse_is_bound)
        beyond = f", by more than the {100 * allowed:g} % that may be lost" if allowed else ""
        return "worse", (
            f"clearly worse than the champion on the test split{beyond} "
            f"({amount}, {p}, less than {WORSE_BELOW:g})"
        )
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
        return None  # registered by another program: judging it again completes the record
    return verdict if verdict.promoted and verdict.version else None
