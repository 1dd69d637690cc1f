"""Comparison of several trials on the same candidates: every metric, against the first trial."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tauopt.config.settings.objective import ObjectiveName
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.mcnemar import McNemar, holm, mcnemar
from tauopt.metrics.metrics_table import MetricRow, rows
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.standard_metrics import EFFICIENCIES


@dataclass(frozen=True)
class DifferenceFromBase:
    """A metric of one trial, and its difference from the base trial."""

    value: Estimate
    difference: float | None = None
    """The trial less the base."""
    low: float | None = None
    high: float | None = None
    """68 % interval of the difference, by a paired bootstrap."""
    p_value: float | None = None
    """Two-sided p-value of the difference."""
    p_holm: float | None = None
    """The p-value with Holm's correction for the number of trials compared with the base."""
    p_limit: bool = False
    """Whether both p-values are upper bounds: no bootstrap replica is on the other side."""


@dataclass(frozen=True)
class ComparedNumber:
    """One metric of all trials."""

    candidates: str
    """On which candidates: `all`, `1-prong`, `3-prong`."""
    metric: str
    base: Estimate
    others: tuple[DifferenceFromBase, ...]


@dataclass(frozen=True)
class TrialComparison:
    """All metrics of several trials; the first one is the base."""

    names: tuple[str, ...]
    lines: tuple[ComparedNumber, ...]
    mcnemar: tuple[McNemar | None, ...]
    """McNemar's test of each other trial against the base; None where it can't be made."""

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return asdict(self)


def compare(
    contenders: Sequence[ScoredTrial],
    *,
    rng: np.random.Generator,
    efficiencies: Sequence[float] = EFFICIENCIES,
    objective: ObjectiveName | None = None,
) -> TrialComparison:
    """Measure trials on the same candidates and compare each with the first.

    Args:
        contenders: at least two, the base first.
        rng: generator for the bootstraps.
        efficiencies: signal efficiencies at which background rejections are measured.
        objective: that of the base, measured too.
    Raises:
        DataError: there is one class only, or the candidates differ.
    """
    base, *others = contenders
    tables = [
        {
            (r.candidates, r.metric): r
            for r in rows([other, base], rng=rng, efficiencies=efficiencies, objective=objective)
        }
        for other in others
    ]
    common = [key for key in tables[0] if all(key in table for table in tables)]
    lines = [_compared_number(key, [table[key] for table in tables]) for key in common]
    return TrialComparison(
        names=tuple(trial.name for trial in contenders),
        lines=tuple(line for line in lines if line is not None),
        mcnemar=tuple(
            mcnemar(other.predictions, base.predictions)
            if other.predictions.classes == base.predictions.classes
            else None
            for other in others
        ),
    )


def _compared_number(
    key: tuple[str, str], rows_of_trials: Sequence[MetricRow]
) -> ComparedNumber | None:
    """Return a metric of all trials; None where the base has none to compare with."""
    reference = next((row.reference for row in rows_of_trials if row.reference is not None), None)
    if reference is None:
        return None
    corrected = iter(holm([row.p_value for row in rows_of_trials if row.p_value is not None]))
    return ComparedNumber(
        *key, reference, tuple(_difference_from_base(row, corrected) for row in rows_of_trials)
    )


def _difference_from_base(row: MetricRow, corrected: Iterator[float]) -> DifferenceFromBase:
    if row.difference is None:
        return DifferenceFromBase(row.value)
    difference = row.difference.value, row.difference.low, row.difference.high
    return DifferenceFromBase(row.value, *difference, row.p_value, next(corrected), row.p_limit)


def as_csv(comparison: TrialComparison) -> str:
    """Return comma-separated values with a header, one line for each metric and trial."""
    parts = ("value", "low", "high", "limit")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["candidates", "metric", "trial", *parts]
    writer.writerow(
        [*head, "difference", "difference_low", "difference_high", "p", "p_holm", "p_limit"]
    )
    for line in comparison.lines:
        trials = (DifferenceFromBase(line.base), *line.others)
        for name, trial in zip(comparison.names, trials, strict=True):
            cells = [getattr(trial.value, part) for part in parts]
            cells += [trial.difference, trial.low, trial.high, trial.p_value, trial.p_holm]
            cells.append(None if trial.difference is None else trial.p_limit)
            texts = ["" if c is None else f"{c:.6g}" if isinstance(c, float) else c for c in cells]
            writer.writerow([line.candidates, line.metric, name, *texts])
    return text.getvalue()
