"""Several trials on the same candidates: every number, and how it differs from the first one's."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tauopt.metrics.estimate import Estimate
from tauopt.metrics.mcnemar import McNemar, holm, mcnemar
from tauopt.metrics.metrics_table import MetricRow, rows
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.standard_metrics import EFFICIENCIES


@dataclass(frozen=True)
class DifferenceFromBase:
    """What one trial has of a number, against the base."""

    value: Estimate
    difference: float | None = None
    """From the base's."""
    low: float | None = None
    high: float | None = None
    """68 % interval of the difference, by a paired bootstrap."""
    p_value: float | None = None
    """Chance of such a difference, either way, between equals."""
    p_holm: float | None = None
    """Corrected for the number of trials that the base is compared with."""
    p_limit: bool = False
    """Whether both are upper bounds: no replica of the bootstrap is on the other side."""


@dataclass(frozen=True)
class ComparedNumber:
    """One number of all trials."""

    candidates: str
    """Which: `all`, `1-prong`, `3-prong`."""
    metric: str
    base: Estimate
    others: tuple[DifferenceFromBase, ...]


@dataclass(frozen=True)
class TrialComparison:
    """All numbers of several trials; the first one is the base."""

    names: tuple[str, ...]
    lines: tuple[ComparedNumber, ...]
    mcnemar: tuple[McNemar | None, ...]
    """Of each other trial against the base; None where the test can't be made."""

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return asdict(self)


def compare(
    contenders: Sequence[ScoredTrial],
    *,
    rng: np.random.Generator,
    efficiencies: Sequence[float] = EFFICIENCIES,
) -> TrialComparison:
    """Measure trials on the same candidates and compare each with the first.

    Args:
        contenders: at least two.
        rng: of the bootstraps.
        efficiencies: of the signal, at which rejections are measured.
    Raises:
        DataError: one class only, or not the same candidates.
    """
    base, *others = contenders
    tables = [
        {(r.candidates, r.metric): r for r in rows([one, base], rng=rng, efficiencies=efficiencies)}
        for one in others
    ]
    common = [key for key in tables[0] if all(key in table for table in tables)]
    lines = [_line(key, [table[key] for table in tables]) for key in common]
    return TrialComparison(
        names=tuple(one.name for one in contenders),
        lines=tuple(line for line in lines if line is not None),
        mcnemar=tuple(
            mcnemar(one.predictions, base.predictions)
            if one.predictions.classes == base.predictions.classes
            else None
            for one in others
        ),
    )


def _line(key: tuple[str, str], found: Sequence[MetricRow]) -> ComparedNumber | None:
    """Return a number of all trials; None where the base has none to compare with."""
    reference = next((row.reference for row in found if row.reference is not None), None)
    if reference is None:
        return None
    chances = [row.p_value for row in found]
    known = [chance for chance in chances if chance is not None]
    corrected = iter(holm(known))
    return ComparedNumber(*key, reference, tuple(_against(row, corrected) for row in found))


def _against(row: MetricRow, corrected: Iterator[float]) -> DifferenceFromBase:
    if row.difference is None:
        return DifferenceFromBase(row.value)
    there = row.difference
    ends = there.value, there.low, there.high
    return DifferenceFromBase(row.value, *ends, row.p_value, next(corrected), row.p_limit)


def as_csv(found: TrialComparison) -> str:
    """Return a line a number and trial, a head line first."""
    parts = ("value", "low", "high", "limit")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["candidates", "metric", "trial", *parts]
    writer.writerow(
        [*head, "difference", "difference_low", "difference_high", "p", "p_holm", "p_limit"]
    )
    for line in found.lines:
        every = (DifferenceFromBase(line.base), *line.others)
        for name, one in zip(found.names, every, strict=True):
            cells = [getattr(one.value, part) for part in parts]
            cells += [one.difference, one.low, one.high, one.p_value, one.p_holm]
            cells.append(None if one.difference is None else one.p_limit)
            told = ["" if c is None else f"{c:.6g}" if isinstance(c, float) else c for c in cells]
            writer.writerow([line.candidates, line.metric, name, *told])
    return text.getvalue()
