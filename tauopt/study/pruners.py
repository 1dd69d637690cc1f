"""Pruners: racing, asynchronous successive halving, Hyperband and the median rule on reports."""

from __future__ import annotations

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)

from tauopt.config.settings.experiment import Pruner
from tauopt.study.racing import RacingPruner


def make_pruner(settings: Pruner, *, reports: int) -> BasePruner:
    """Return the pruner of a study.

    A rung is a report's number, from 1, which stands for the same number of candidates seen in
    every trial. The values at the rungs are kept in the study, so a resumed search goes on with
    them.

    Args:
        settings: kind, reduction factor, and number of reports before a trial can be stopped.
        reports: number of reports of a trial that is never stopped; `hyperband` spreads its
            brackets over them.
    """
    if settings.type == "racing":
        return RacingPruner(
            min_reports=settings.min_reports,
            reduction_factor=settings.reduction_factor,
            level=settings.level,
        )
    if settings.type == "asha":
        return SuccessiveHalvingPruner(
            min_resource=settings.min_reports, reduction_factor=settings.reduction_factor
        )
    if settings.type == "hyperband":
        return HyperbandPruner(
            min_resource=settings.min_reports,
            max_resource=max(reports, settings.min_reports),
            reduction_factor=settings.reduction_factor,
        )
    if settings.type == "median":
        return MedianPruner(n_startup_trials=settings.startup, n_warmup_steps=settings.min_reports)
    return NopPruner()
