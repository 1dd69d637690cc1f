"""Trials that a search would begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings import Scalar
from tauopt.search.samplers import check_sampler
from tauopt.search.trials import Trials

if TYPE_CHECKING:
    from tauopt.search.own import OwnSpace


def preview(
    file: ExperimentFile, *, count: int, own: OwnSpace | None = None
) -> list[Mapping[str, Any]]:
    """Return the parameters of the first trials, the defaults, and of `count` more.

    Proposed by the file's sampler in a study in memory; a sampler that models begins at random.

    Args:
        file: the experiment.
        count: sampled trials.
        own: asks for the hyperparameters of a model of the user's own.
    """
    starts = first_points(file, own)
    settings = file.base.search.model_copy(update={"trials": len(starts) + count})
    check_sampler(settings.sampler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [goal.direction for goal in file.base.objective.goals]
    study = optuna.create_study(directions=directions)
    for point in starts:
        study.enqueue_trial(point)
    trials = Trials(study, settings, space=file.space, own=own)
    proposals = (trials.next_trial() for _ in range(settings.trials))
    return [dict(proposal.params) for proposal in proposals if proposal is not None]


def first_points(file: ExperimentFile, own: OwnSpace | None) -> list[dict[str, Scalar]]:
    """Return the points that a search begins with, as its study has them: the defaults."""
    first = own.first() if own else {}
    return [{**point, **first} for point in file.starts()]
