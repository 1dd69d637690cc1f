"""Check a user's HyperModel before a search or a training begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tauopt.config.settings.networks import OwnModel

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.experiment import Experiment
    from tauopt.config.settings.inputs import Feature, FittedGroup, InputSpec
    from tauopt.study.hypermodel_space import HyperModelSpace


def has_hypermodel(file: ExperimentFile) -> bool:
    """Return whether an experiment's model is a user's HyperModel."""
    return isinstance(file.without_ranges.model, OwnModel)


def settled(file: ExperimentFile, spec: InputSpec | None = None) -> Experiment:
    """Return the experiment at its defaults, with a value for every hyperparameter of its model.

    A user's HyperModel is built for that, and its whole contract is checked.

    Args:
        file: the experiment.
        spec: input of the network; None before any constant is fitted.
    Raises:
        ConfigError: the model, or its settings in the file, are wrong.
        Exception: the user's code raised it; unchanged, with a note that names the place.
    """
    experiment = file.base
    if not isinstance(experiment.model, OwnModel):
        return experiment
    from tauopt.models.hypermodel.contract_check import check_own

    model = check_own(file, experiment.model, spec or without_constants(experiment))
    return experiment.model_copy(update={"model": model})


def check_in_driver(file: ExperimentFile) -> None:
    """Check a user's HyperModel in a driver, which trains nothing and needs no GPU.

    Raises:
        As `settled`.
    """
    if has_hypermodel(file):
        from tauopt.models.devices import hide_gpus

        hide_gpus()
        settled(file)


def hypermodel_space(file: ExperimentFile) -> HyperModelSpace | None:
    """Return the space of a user's HyperModel, before constants; None for tauopt's networks."""
    if not has_hypermodel(file):
        return None
    from tauopt.study.hypermodel_space import HyperModelSpace

    return HyperModelSpace(file, without_constants)


def hyperparameters(file: ExperimentFile) -> dict[str, str]:
    """Return the hyperparameters of a user's HyperModel, described in words, by path.

    Only those found at its defaults and near them: a define-by-run space is known only by building
    the model.
    """
    model = file.base.model
    if not isinstance(model, OwnModel):
        return {}
    from tauopt.models.hypermodel.explore_hyperparameters import described

    return described(model, without_constants(file.base))


def hypermodel_digest(file: ExperimentFile) -> str:
    """Return the digest of the source of a user's HyperModel; empty for tauopt's networks."""
    if not has_hypermodel(file):
        return ""
    from tauopt.own_code import source_digest

    return source_digest(file.without_ranges.model.type)


def without_constants(experiment: Experiment) -> InputSpec:
    """Return the input spec of the network before any preprocessing constant is fitted."""
    from tauopt.config.settings.inputs import CANDIDATE, InputSpec
    from tauopt.config.settings.networks import group_lengths

    data, lengths = experiment.data, group_lengths(experiment.model)
    return InputSpec(
        candidate=_unfitted(CANDIDATE, data.candidate),
        groups=tuple(_unfitted(name, data.groups[name].features) for name in lengths),
        lengths=lengths,
        classes=tuple(experiment.task.classes),
        signal=experiment.task.signal,
        heads=experiment.task.heads,
    )


def _unfitted(name: str, features: Mapping[str, Feature]) -> FittedGroup:
    from tauopt.config.settings.inputs import FittedFeature, FittedGroup, Transform

    return FittedGroup(
        name=name,
        features=tuple(
            FittedFeature(
                name=feature,
                transform=Transform(**settings.model_dump(exclude={"expression"})),
            )
            for feature, settings in features.items()
        ),
    )
