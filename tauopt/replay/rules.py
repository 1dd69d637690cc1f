"""Rules of a search that is played: objective, monitor, choice, sampler, pruner, confirmation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tauopt.config.settings.experiment import Pruner, Sampler
from tauopt.metrics.ties import TIED
from tauopt.training.best_report import Monitor


@dataclass(frozen=True)
class Rules:
    """Rules by which a recorded search is played."""

    name: str
    objective: str
    """Metric that is reported, and by which trials are ranked."""
    monitor: Monitor = "loss"
    """Quantity that chooses the best report of a trial."""
    tied: float = 0.0
    """Errors of the paired difference within which complete trials count as tied with the largest
    value: of these, the one with the lowest loss is chosen. 0 chooses the largest value."""
    sampler: Sampler = field(default_factory=lambda: Sampler(type="random"))
    """`random` draws recorded points, whose curves are exact; others propose points whose curves a
    surrogate gives."""
    pruner: Pruner = field(default_factory=lambda: Pruner(type="none"))
    top: int = 0
    """Tied trials that are trained again in the end; 0 confirms none. Only on points that were
    trained several times."""
    seeds: int = 3
    """Further trainings of each of those, at most."""


def ladder(metric: str, band: str | None, *, seeds_are_known: bool) -> Iterator[Rules]:
    """Yield rules that differ in one thing each, from the simplest search to the default one.

    Args:
        metric: of a table, by which a simple search would choose.
        band: the same over a band of signal efficiencies; None if the table has none.
        seeds_are_known: whether the table has points that were trained several times.
    """
    rules = Rules("full trainings, largest of all reports", metric, monitor="objective")
    yield rules
    rules = replace(rules, name="best report by loss", monitor="loss")
    yield rules
    rules = replace(rules, name="of tied trials the lowest loss", tied=TIED)
    yield rules
    if band is not None:
        rules = replace(rules, name="objective over a band", objective=band)
        yield rules
    yield replace(rules, name="pruner asha", pruner=Pruner(type="asha"))
    rules = replace(rules, name="pruner racing", pruner=Pruner(type="racing"))
    yield rules
    if seeds_are_known:
        yield replace(rules, name="racing, confirmed", top=5)


def pruners(metric: str) -> Iterator[Rules]:
    """Yield rules that differ in their pruner: all that a search without a truth can compare."""
    for kind in ("none", "asha", "racing", "hyperband", "median"):
        yield Rules(f"pruner {kind}", metric, pruner=Pruner(type=kind))
