"""Trials that a search would begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.search.samplers import check_sampler
from tauopt.search.trials import Trials

if TYPE_CHECKING:
    from tauopt.search.own import OwnSpace


def preview(
    file: ExperimentFile, *, count: int, own: OwnSpace | None = None
) -> list[Mapping[str, Any]]:
    """Return the parameters of the first trial, the defaults, and of `count` more.

    Proposed by the file's sampler in a study in memory; a sampler that models begins at random.

    Args:
        file: the experiment.
        count: sampled trials.
        own: asks for the hyperparameters of a model of the user's own.
    """
    settings = file.base.search.model_copy(update={"trials": count + 1})
    check_sampler(settings.sampler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [goal.direction for goal in file.base.objective.goals]
    study = optuna.create_study(directions=directions)
    study.enqueue_trial({**file.defaults(), **(own.first() if own else {})})
    trials = Trials(study, settings, space=file.space, own=own)
    proposals = (trials.next_trial() for _ in range(count + 1))
    return [dict(proposal.params) for proposal in proposals if proposal is not None]
