"""Define-by-run search space of a user's HyperModel: its `build` defines each trial's parameters.

Its hyperparameters are in the study under their paths. Beside them, each trial keeps their real
values, since the study has some encoded (`reverse_log`, and steps that multiply).
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
"""Characters of a parameter's name that fit into the study's database."""


class HyperModelSpace:
    """The hyperparameters of one HyperModel, as `build` requests them."""

    def __init__(self, file: ExperimentFile, spec_of: Callable[[Experiment], InputSpec]) -> None:
        """Take the experiment file, and a function from an experiment to its network's input."""
        self._file = file
        self._spec_of = spec_of
        self._distributions: dict[str, BaseDistribution] = {}

    def learn_names(self, study: optuna.Study) -> None:
        """Read which distribution each parameter name has in the trials of a resumed study."""
        for trial in study.get_trials(deepcopy=False):
            for name, known in trial.distributions.items():
                self._distributions.setdefault(name, known)

    def suggest(self, trial: SuggestingTrial, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Build the model, and have `trial` suggest each hyperparameter that `build` requests.

        Args:
            trial: of the study, or one that draws at random.
            values: values of the file's ranges, by path.
        Returns:
            path -> real value, including those that the file or the model fixes.
        Raises:
            ConfigError: the file and the model do not fit.
            Exception: the user's code raised it.
        """

        def answer(request: HyperparameterRequest) -> Scalar:
            return _suggest(trial, self._name(request), request.options)

        values_by_name = self._build(values, answer).values
        return {HYPERPARAMETERS + name: value for name, value in values_by_name.items()}

    def default_point(self) -> dict[str, Scalar]:
        """Return the model's defaults, encoded as in the study."""
        point: dict[str, Scalar] = {}

        def answer(request: HyperparameterRequest) -> Scalar:
            value = answer_default(request)
            point[_base_name(request)] = _encoded(request.options, value)
            return value

        self._build(self._file.defaults(), answer)
        return point

    def draw_point(self, rng: np.random.Generator) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
        """Draw a random point; return its real values, and its values as encoded in the study."""
        values = random_point(self._file.space, rng)
        drawn = DrawnTrial(rng)
        real = self.suggest(drawn, values)
        return {**values, **real}, {**values, **drawn.values}

    def with_digest(self, experiment: Experiment) -> Experiment:
        """Return the experiment of a trial with the digest of its network's architecture.

        Args:
            experiment: its model has a value for each hyperparameter.
        Raises:
            ConfigError: the model, built once more, requests other hyperparameters.
        """
        model = _model_settings(experiment)
        with errors_located_in(self._file):
            built = build_recorded(model, self._spec_of(experiment), seed=1)
        return experiment.model_copy(update={"model": settle(model, built)})

    def _build(self, values: Mapping[str, Scalar], answer: AnswerRequest) -> BuiltHyperModel:
        experiment = self._file.resolve(values)
        model = _model_settings(experiment)
        with errors_located_in(self._file):
            restricted = answer_within(model.hyperparameters, answer)
            built = build(model, self._spec_of(experiment), restricted, seed=0)
        check_training(self._file, built)
        return built

    def _name(self, request: HyperparameterRequest) -> str:
        """Return the parameter's name in the study.

        A model may declare one name with two kinds of ranges, but Optuna allows one distribution a
        name: so the name of the second kind has its description behind it.
        """
        name, wanted = _base_name(request), distribution(_searched_range(request.options))
        try:
            check_distribution_compatibility(self._distributions.setdefault(name, wanted), wanted)
        except ValueError:
            name = f"{name} ({describe_options(request.options)})"[:_LONGEST_NAME]
            self._distributions.setdefault(name, wanted)
        return name


def _model_settings(experiment: Experiment) -> OwnModel:
    if not isinstance(experiment.model, OwnModel):
        raise TypeError(f"expected a user's HyperModel (module:Class), got {experiment.model.type}")
    return experiment.model


def _base_name(request: HyperparameterRequest) -> str:
    """Return path and conditional scopes: one name in two scopes is two parameters."""
    scopes = [f"{name}={'|'.join(map(str, values))}" for name, values in request.scope]
    under = f" under {', '.join(scopes)}" if scopes else ""
    return (HYPERPARAMETERS + request.name + under)[:_LONGEST_NAME]


def _searched_range(options: Options) -> Range:
    """Return the encoded range that the study searches."""
    if isinstance(options, ExplicitSteps):
        return IntRange(0, len(options.values) - 1)
    return options.inner if isinstance(options, MirroredLog) else options


def _suggest(trial: SuggestingTrial, name: str, options: Options) -> Scalar:
    suggested = suggest_one(trial, name, _searched_range(options))
    if isinstance(options, ExplicitSteps):
        return options.values[int(suggested)]
    return options.mirror(float(suggested)) if isinstance(options, MirroredLog) else suggested


def _encoded(options: Options, value: Scalar) -> Scalar:
    """Return a real value as the study has it; the inverse of `_suggest`'s decoding."""
    if isinstance(options, ExplicitSteps):
        return options.values.index(float(value))
    return options.mirror(float(value)) if isinstance(options, MirroredLog) else value
