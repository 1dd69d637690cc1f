"""Samplers: TPE, random, CMA-ES, Gaussian process and quasi-Monte Carlo proposals of trials.

Each proposal has a new sampler, with a seed from the search's seed and the trial's number. The
study is its only state, so a search that was killed and resumed proposes what it would have
proposed anyway, and never repeats a random stream.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from tauopt.config.settings.experiment import Sampler
from tauopt.errors import UsageError

_NEEDS = {"cmaes": ("cmaes", "pip install cmaes"), "gp": ("torch", "pip install 'tauopt[gp]'")}


def check_sampler(settings: Sampler) -> None:
    """Check that the library behind a sampler is installed.

    Raises:
        UsageError: it is not; the message has the line that installs it.
    """
    module, install = _NEEDS.get(settings.type, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        raise UsageError(
            f"search.sampler.type: {settings.type} needs the package {module!r}, which is not "
            f"installed: {install}, or choose tpe, random or qmc"
        )


def make_sampler(settings: Sampler, *, pruner: str, number: int) -> BaseSampler:
    """Return the sampler that proposes one trial.

    Args:
        settings: kind, seed, and number of random trials before the sampler's model begins.
        pruner: kind of pruner; `cmaes` learns from stopped trials where most trials are stopped.
        number: number of the trial to propose.
    """
    seed = int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _MAKERS[settings.type](settings, pruner, seed)


def _tpe(settings: Sampler, pruner: str, seed: int) -> BaseSampler:
    # `group`: without it, parameters under `when` are sampled one by one, as if independent.
    # `constant_liar`: keeps away from the points that other workers train right now.
    return TPESampler(
        n_startup_trials=settings.startup,
        multivariate=True,
        group=True,
        constant_liar=True,
        seed=seed,
    )


def _random(settings: Sampler, pruner: str, seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _cmaes(settings: Sampler, pruner: str, seed: int) -> BaseSampler:
    return CmaEsSampler(
        n_startup_trials=settings.startup,
        independent_sampler=RandomSampler(seed=seed),
        warn_independent_sampling=False,
        consider_pruned_trials=pruner in ("asha", "hyperband"),
        seed=seed,
    )


def _gp(settings: Sampler, pruner: str, seed: int) -> BaseSampler:
    return GPSampler(
        n_startup_trials=settings.startup,
        independent_sampler=RandomSampler(seed=seed),
        warn_independent_sampling=False,
        seed=seed,
    )


def _qmc(settings: Sampler, pruner: str, seed: int) -> BaseSampler:
    # One sequence for the whole search, so not the trial's seed; the study keeps the place in it.
    return QMCSampler(
        scramble=True,
        seed=settings.seed,
        independent_sampler=RandomSampler(seed=seed),
        warn_independent_sampling=False,
    )


_MAKERS: dict[str, Callable[[Sampler, str, int], BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "cmaes": _cmaes,
    "gp": _gp,
    "qmc": _qmc,
}
