"""Check a user's own objective before a search or a training begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tauopt.config.settings.objective import ObjectiveName, parse_objective

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.experiment import Experiment
    from tauopt.metrics.predictions import Predictions

_CANDIDATES = 2000
"""Candidates of the made-up sample."""


def own_objectives(experiment: Experiment) -> list[ObjectiveName]:
    """Return the objectives that are functions of the user's."""
    every = [parse_objective(name) for name in experiment.objective.maximize]
    return [objective for objective in every if objective.metric == "own"]


def check_own_objectives(file: ExperimentFile) -> None:
    """Call each of the user's objectives once on a made-up sample, with its bootstrap.

    Raises:
        ConfigError: one can't be found, asks for what there is not, raises an error, or returns
            anything but a finite number; with the place in the file.
    """
    from tauopt.errors import ConfigError, DataError
    from tauopt.metrics.named_metrics import measure
    from tauopt.own_code import OwnCodeError

    experiment = file.base
    for objective in own_objectives(experiment):
        try:
            measure(objective, _made_up(experiment))
        except (DataError, OwnCodeError) as error:
            raise ConfigError([file.problem("objective.maximize", str(error))]) from error


def objectives_digest(file: ExperimentFile) -> str:
    """Return the digests of the sources of the user's objectives; empty if there are none."""
    from tauopt.own_code import source_digest

    return " ".join(source_digest(each.function)[:16] for each in own_objectives(file.base))


def _made_up(experiment: Experiment) -> Predictions:
    """Return predictions of a mediocre network, with every class and every spectator."""
    import numpy as np

    from tauopt.metrics.predictions import Predictions

    rng, classes = np.random.default_rng(1), tuple(experiment.task.classes)
    labels = np.arange(_CANDIDATES) % len(classes)
    logits = rng.normal(size=(_CANDIDATES, len(classes))) + 2.0 * np.eye(len(classes))[labels]
    p = np.exp(logits)
    columns = {name: rng.exponential(size=_CANDIDATES) for name in experiment.data.spectators}
    if "prongs" in columns:
        columns["prongs"] = rng.choice([1, 3], _CANDIDATES)
    return Predictions(
        (p / p.sum(axis=1, keepdims=True)).astype(np.float32),
        labels,
        rng.exponential(size=_CANDIDATES),
        classes=classes,
        signal=tuple(experiment.task.signal),
        columns=columns,
    )
