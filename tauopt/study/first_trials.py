"""Trials that a search would begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.source.yaml_source import Scalar
from tauopt.study.samplers import check_sampler
from tauopt.study.suggest import key
from tauopt.study.trial_queue import TrialQueue
from tauopt.study.warm_trials import WarmStart, frozen

if TYPE_CHECKING:
    from tauopt.study.hypermodel_space import HyperModelSpace


def preview(
    file: ExperimentFile,
    *,
    count: int,
    own: HyperModelSpace | None = None,
    warm: WarmStart | None = None,
) -> list[Mapping[str, Any]]:
    """Return the parameters of the first trials, where the search begins, and of `count` more.

    Proposed by the file's sampler in a study in memory; a sampler that models begins at random.

    Args:
        file: the experiment.
        count: sampled trials.
        own: asks for the hyperparameters of a model of the user's own.
        warm: what the search takes over from an earlier one.
    """
    starts = starting_points(file, own, warm)
    settings = file.base.search.model_copy(update={"trials": len(starts) + count})
    check_sampler(settings.sampler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [goal.direction for goal in file.base.objective.goals]
    study = optuna.create_study(directions=directions)
    for point in starts:
        study.enqueue_trial(point)
    history = frozen(warm, file.space) if warm else []
    trials = TrialQueue(study, settings, space=file.space, own=own, history=history)
    proposals = (trials.next_trial() for _ in range(settings.trials))
    return [dict(proposal.params) for proposal in proposals if proposal is not None]


def starting_points(
    file: ExperimentFile, own: HyperModelSpace | None, warm: WarmStart | None
) -> list[dict[str, Scalar]]:
    """Return the points that a search begins with: the defaults, then those of an earlier one."""
    first = own.first() if own else {}
    points = [*({**point, **first} for point in file.starts()), *(warm.points if warm else ())]
    different: dict[str, dict[str, Scalar]] = {}
    for point in points:
        different.setdefault(key(point), dict(point))
    return list(different.values())[: file.base.search.trials]
