"""The space of a model of the user's own: what its `build` asks for, trial by trial.

Its hyperparameters live in the study under their paths; beside them, each trial keeps their real
values, since some are coded (`reverse_log`, and steps that multiply).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.config.settings.ranges import IntRange, Range
from tauopt.config.source.yaml_source import Scalar
from tauopt.models.hypermodel.contract_check import check_training, errors_located_in
from tauopt.models.hypermodel.hypermodel_network import (
    BuiltHyperModel,
    build,
    build_recorded,
    settle,
)
from tauopt.models.hypermodel.hyperparameter_options import (
    ExplicitSteps,
    HyperparameterRequest,
    MirroredLog,
    Options,
    describe_options,
)
from tauopt.models.hypermodel.recording_hyperparameters import (
    AnswerRequest,
    answer_default,
    answer_within,
)
from tauopt.study.suggest import (
    DrawnTrial,
    SuggestingTrial,
    distribution,
    random_point,
    suggest_one,
)

_LONGEST_NAME = 400
"""Of a parameter in the study's database, with room for what makes it unique."""


class HyperModelSpace:
    """Asks for the hyperparameters of one HyperModel."""

    def __init__(self, file: ExperimentFile, spec_of: Callable[[Experiment], InputSpec]) -> None:
        """Take the experiment file, and what says what a network sees."""
        self._file = file
        self._spec_of = spec_of
        self._kinds: dict[str, BaseDistribution] = {}

    def learn(self, study: optuna.Study) -> None:
        """Keep to the names that an earlier part of the search gave its parameters."""
        for trial in study.get_trials(deepcopy=False):
            for name, kind in trial.distributions.items():
                self._kinds.setdefault(name, kind)

    def suggest(self, trial: SuggestingTrial, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Build the model, and have `trial` suggest each hyperparameter that it asks for.

        Args:
            trial: of the study, or what draws at random.
            values: of the file's ranges.
        Returns:
            path -> real value, those that the file or the model fixes too.
        Raises:
            ConfigError: the file and the model do not fit.
            Exception: the user's own code raised it.
        """

        def ask(question: HyperparameterRequest) -> Scalar:
            return _ask(trial, self._name(question), question.options)

        return _by_path(self._build(values, ask).values)

    def first(self) -> dict[str, Scalar]:
        """Return the point that is tried first, as the study has it: the model's defaults."""
        point: dict[str, Scalar] = {}

        def answer(question: HyperparameterRequest) -> Scalar:
            value = answer_default(question)
            point[_base_name(question)] = _coded(question.options, value)
            return value

        self._build(self._file.defaults(), answer)
        return point

    def drawn(self, rng: np.random.Generator) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
        """Draw a point at random; return its real values, and the study's."""
        values = random_point(self._file.space, rng)
        draw = DrawnTrial(rng)
        real = self.suggest(draw, values)
        return {**values, **real}, {**values, **draw.values}

    def sealed(self, experiment: Experiment) -> Experiment:
        """Return the experiment of a trial with the digest of its network.

        Args:
            experiment: its model with a value for each hyperparameter.
        Raises:
            ConfigError: the model, built once more, asks for other hyperparameters.
        """
        own = _own(experiment)
        with errors_located_in(self._file):
            built = build_recorded(own, self._spec_of(experiment), seed=1)
        return experiment.model_copy(update={"model": settle(own, built)})

    def _build(self, values: Mapping[str, Scalar], answer: AnswerRequest) -> BuiltHyperModel:
        experiment = self._file.resolve(values)
        own = _own(experiment)
        with errors_located_in(self._file):
            restricted = answer_within(own.hyperparameters, answer)
            built = build(own, self._spec_of(experiment), restricted, seed=0)
        check_training(self._file, built)
        return built

    def _name(self, question: HyperparameterRequest) -> str:
        """Return the parameter's name in the study.

        A model may declare one name in two ways; the study holds one kind of parameter a name, so
        the second one also tells its kind.
        """
        name, kind = _base_name(question), distribution(_inner(question.options))
        if not _compatible(self._kinds.setdefault(name, kind), kind):
            name = f"{name} ({describe_options(question.options)})"[:_LONGEST_NAME]
            self._kinds.setdefault(name, kind)
        return name


def _own(experiment: Experiment) -> OwnModel:
    if not isinstance(experiment.model, OwnModel):
        raise TypeError(f"expected a model of the user's own, got {experiment.model.type}")
    return experiment.model


def _by_path(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {HYPERPARAMETERS + name: value for name, value in values.items()}


def _base_name(question: HyperparameterRequest) -> str:
    """Return path and conditional scopes: the same name in two scopes is two parameters."""
    scopes = [f"{name}={'|'.join(map(str, values))}" for name, values in question.scope]
    under = f" under {', '.join(scopes)}" if scopes else ""
    return (HYPERPARAMETERS + question.name + under)[:_LONGEST_NAME]


def _compatible(one: BaseDistribution, other: BaseDistribution) -> bool:
    try:
        check_distribution_compatibility(one, other)
    except ValueError:
        return False
    return True


def _inner(options: Options) -> Range:
    """Return the range that the study searches."""
    if isinstance(options, ExplicitSteps):
        return IntRange(0, len(options.values) - 1)
    return options.inner if isinstance(options, MirroredLog) else options


def _ask(trial: SuggestingTrial, name: str, options: Options) -> Scalar:
    suggested = suggest_one(trial, name, _inner(options))
    if isinstance(options, ExplicitSteps):
        return options.values[int(suggested)]
    return options.mirror(float(suggested)) if isinstance(options, MirroredLog) else suggested


def _coded(options: Options, value: Scalar) -> Scalar:
    """Return what stands for a value in the study."""
    if isinstance(options, ExplicitSteps):
        return options.values.index(float(value))
    return options.mirror(float(value)) if isinstance(options, MirroredLog) else value
