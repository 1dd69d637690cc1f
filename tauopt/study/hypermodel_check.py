"""Models of the user's own, checked before a search or a training begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tauopt.config.settings.networks import OwnModel

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.experiment import Experiment
    from tauopt.config.settings.inputs import Feature, FittedGroup, InputSpec
    from tauopt.study.hypermodel_space import HyperModelSpace


def is_own(file: ExperimentFile) -> bool:
    """Say whether an experiment's model is of the user's own."""
    return isinstance(file.without_ranges.model, OwnModel)


def settled(file: ExperimentFile, spec: InputSpec | None = None) -> Experiment:
    """Return the experiment at its defaults, with every hyperparameter of its model a value.

    A model of the user's own is built for that, and checked from all sides.

    Args:
        file: the experiment.
        spec: what the network sees; None before any constant is fitted.
    Raises:
        ConfigError: the model, or what the file says of it, is wrong.
        Exception: the user's own code raised it; untouched, with the place noted beside it.
    """
    experiment = file.base
    if not isinstance(experiment.model, OwnModel):
        return experiment
    from tauopt.models.hypermodel.contract_check import check_own

    model = check_own(file, experiment.model, spec or without_constants(experiment))
    return experiment.model_copy(update={"model": model})


def check_in_driver(file: ExperimentFile) -> None:
    """Check a model of the user's own in a process that trains nothing, and needs no GPU.

    Raises as `settled`.
    """
    if is_own(file):
        from tauopt.models.devices import hide_gpus

        hide_gpus()
        settled(file)


def own_space(file: ExperimentFile) -> HyperModelSpace | None:
    """Return what asks for the hyperparameters of a model of the user's own; None for ours."""
    if not is_own(file):
        return None
    from tauopt.study.hypermodel_space import HyperModelSpace

    return HyperModelSpace(file, without_constants)


def hyperparameters(file: ExperimentFile) -> dict[str, str]:
    """Return the hyperparameters that a model of the user's own asks for, in words, by path.

    Those at its defaults and around them: which there are is known only by building it.
    """
    own = file.base.model
    if not isinstance(own, OwnModel):
        return {}
    from tauopt.models.hypermodel.explore_hyperparameters import described

    return described(own, without_constants(file.base))


def source_of(file: ExperimentFile) -> str:
    """Return the digest of the source of a model of the user's own; empty for ours."""
    if not is_own(file):
        return ""
    from tauopt.models.hypermodel.load_hypermodel import source_digest

    return source_digest(file.without_ranges.model.type)


def without_constants(experiment: Experiment) -> InputSpec:
    """Return what the network would see, before any constant is fitted."""
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
