"""The table of an evaluation: every metric with its error, and the difference to a reference."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from tauopt.config.settings.objective import ObjectiveName
from tauopt.errors import DataError
from tauopt.metrics.bootstrap import Difference, paired_bootstrap
from tauopt.metrics.estimate import Estimate, equation
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.paired_curves import number_of_replicas, paired_curves
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.standard_metrics import EFFICIENCIES, PRONGS
from tauopt.metrics.working_point_metrics import working_numbers

ALL = "all"
_ACCURACIES = (ObjectiveName("accuracy"), ObjectiveName("balanced_accuracy"))


@dataclass(frozen=True)
class MetricRow:
    """One metric of a trial and of the reference; intervals are 68 %."""

    candidates: str
    """On which candidates: `all`, `1-prong`, `3-prong`."""
    metric: str
    value: Estimate
    reference: Estimate | None = None
    difference: Difference | None = None
    """Trial minus reference, by a paired bootstrap."""

    @property
    def p_value(self) -> float | None:
        """Two-sided p-value of the difference; None without a reference."""
        if self.difference is None:
            return None
        return min(1.0, 2 * min(self.difference.p_worse, self.difference.p_better))

    @property
    def p_limit(self) -> bool:
        """Whether the p-value is an upper bound: no replica is on the other side."""
        difference = self.difference
        return difference is not None and (difference.worse_is_bound or difference.better_is_bound)

    @property
    def p_text(self) -> str:
        """The p-value as text: `p = 0.3`, or `p < 0.005`; empty without a reference."""
        return "" if self.p_value is None else equation(self.p_value, bound=self.p_limit)

    @property
    def sigma(self) -> float | None:
        """The difference over its error, with sign; None without a reference."""
        if self.difference is None:
            return None
        half = (self.difference.high - self.difference.low) / 2
        return self.difference.value / half if half > 0 else 0.0


def rows(
    contenders: Sequence[ScoredTrial],
    *,
    rng: np.random.Generator,
    efficiencies: Sequence[float] = EFFICIENCIES,
    objective: ObjectiveName | None = None,
) -> list[MetricRow]:
    """Measure a trial on all candidates and by prongs, against a reference if there is one.

    Args:
        contenders: the trial and perhaps its reference, on the same candidates.
        rng: generator for the bootstraps.
        efficiencies: signal efficiencies at which background rejections are measured.
        objective: the objective of the trial, which has a row of its own if no other row is it.
    Raises:
        DataError: there is one class only, or the candidates differ.
    """
    predictions = contenders[0].predictions
    table: list[MetricRow] = []
    masks = {ALL: np.ones(len(predictions), np.bool_)}
    for prongs in PRONGS if "prongs" in predictions.columns else ():
        masks[f"{prongs}-prong"] = predictions.columns["prongs"] == prongs
    for name, mask in masks.items():
        chosen = [trial.where(mask) for trial in contenders]
        table += _accuracies(name, chosen, rng)
        if predictions.has_background and (name == ALL or _has_both(chosen[0].predictions)):
            table += _curves(name, chosen, rng, efficiencies)
            if contenders[0].passes:
                table += [MetricRow(name, *number) for number in working_numbers(chosen, rng=rng)]
        known = {row.metric for row in table}
        if name == ALL and objective and str(objective) not in known:
            table += _objective_row(name, objective, chosen, rng)
    return table


def _objective_row(
    name: str,
    objective: ObjectiveName,
    chosen: Sequence[ScoredTrial],
    rng: np.random.Generator,
) -> Iterator[MetricRow]:
    """Yield the row of an objective, where the candidates have what it needs."""
    trial, *others = chosen
    lacks_background = objective.needs_background and not trial.predictions.has_background
    if lacks_background or (objective.prongs and "prongs" not in trial.predictions.columns):
        return
    value = measure(objective, trial.predictions)
    if not others or (others[0].score_only and not objective.needs_background):
        yield MetricRow(name, str(objective), value)
        return
    other = others[0].predictions
    replicas = number_of_replicas(len(other))
    difference = paired_bootstrap(objective, trial.predictions, other, rng=rng, replicas=replicas)
    yield MetricRow(name, str(objective), value, measure(objective, other), difference)


def _has_both(predictions: Predictions) -> bool:
    """Return whether signal and background both have a positive sum of weights."""
    signal, weights = predictions.is_signal, predictions.weights
    return bool(min(weights[signal].sum(), weights[~signal].sum()) > 0)


def _curves(
    name: str,
    chosen: Sequence[ScoredTrial],
    rng: np.random.Generator,
    efficiencies: Sequence[float],
) -> Iterator[MetricRow]:
    paired = None
    if len(chosen) > 1:
        trial, reference_predictions = (contender.predictions for contender in chosen[:2])
        paired = paired_curves(trial, reference_predictions, np.array(efficiencies), rng=rng)
    # In the order of the numbers of `PairedCurves.difference`.
    objectives = (ObjectiveName("auc"), *(ObjectiveName("rejection", at) for at in efficiencies))
    for number, objective in enumerate(objectives):
        values = [measure(objective, contender.predictions) for contender in chosen[:2]]
        reference = values[1] if paired else None
        difference = paired.difference(number) if paired else None
        yield MetricRow(name, str(objective), values[0], reference, difference)


def _accuracies(
    name: str, chosen: Sequence[ScoredTrial], rng: np.random.Generator
) -> Iterator[MetricRow]:
    trial, *others = chosen
    comparable = [
        other
        for other in others[:1]
        if not other.score_only and other.predictions.classes == trial.predictions.classes
    ]
    for objective in _ACCURACIES:
        try:
            value = measure(objective, trial.predictions)
        except DataError:
            if name == ALL:
                raise
            continue  # these prongs have one class only
        if not comparable:
            yield MetricRow(name, str(objective), value)
            continue
        other = comparable[0].predictions
        replicas = number_of_replicas(len(other))
        difference = paired_bootstrap(
            objective, trial.predictions, other, rng=rng, replicas=replicas
        )
        yield MetricRow(name, str(objective), value, measure(objective, other), difference)


def as_json(table: Sequence[MetricRow]) -> list[dict[str, Any]]:
    """Return the table as JSON values."""
    return [
        {
            "candidates": row.candidates,
            "metric": row.metric,
            **asdict(row.value),
            "reference": asdict(row.reference) if row.reference else None,
            "difference": asdict(row.difference) if row.difference else None,
            "p_value": row.p_value,
            "p_limit": row.p_limit,
            "sigma": row.sigma,
        }
        for row in table
    ]


def as_csv(table: Sequence[MetricRow]) -> str:
    """Return the table as comma-separated values with a header; missing numbers are empty."""
    parts = [field.name for field in fields(Estimate)]
    ends = ["value", "low", "high"]
    head = ["candidates", "metric", *parts]
    head += [f"reference_{part}" for part in parts] + [f"difference_{end}" for end in ends]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, "p_value", "p_limit", "sigma"])
    for row in table:
        cells: list[Any] = [row.candidates, row.metric]
        for estimate in (row.value, row.reference):
            cells += [getattr(estimate, part) if estimate else "" for part in parts]
        cells += [getattr(row.difference, end) if row.difference else "" for end in ends]
        cells += [row.p_value, row.p_limit, row.sigma] if row.difference else [""] * 3
        writer.writerow([f"{c:.6g}" if isinstance(c, float) else c for c in cells])
    return text.getvalue()


def as_markdown(table: Sequence[MetricRow], *, name: str, reference: str = "") -> str:
    """Return the table as Markdown.

    Args:
        table: from `rows`.
        name: name of the trial.
        reference: name of the reference; empty without one.
    """
    head = ["candidates", "metric", name]
    head += [reference, "difference", "sigma", "p"] if reference else []
    lines = [_line(head), _line(["---"] * 2 + ["---:"] * (len(head) - 2))]
    for row in table:
        cells = [row.candidates, row.metric, str(row.value)]
        if reference:
            cells.append(str(row.reference) if row.reference else "")
            cells += _difference(row)
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _difference(row: MetricRow) -> list[str]:
    if row.difference is None:
        return ["", "", ""]
    ends = Estimate(row.difference.value, row.difference.low, row.difference.high)
    return [str(ends), f"{row.sigma:+.1f}", row.p_text.removeprefix("p ").removeprefix("= ")]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
