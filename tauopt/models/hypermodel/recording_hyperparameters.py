"""KerasTuner's `hp` with values of our choice: define-by-run, one request at a time.

The contract test `tests/models/hypermodel/test_keras_tuner.py` covers all parts of KerasTuner that
this file uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from keras_tuner import HyperParameters
from keras_tuner.engine.hyperparameters import Choice, Fixed, Float, HyperParameter, Int

from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange, Range
from tauopt.config.source.yaml_source import Scalar
from tauopt.errors import TrialFailed, UsageError
from tauopt.models.hypermodel.hyperparameter_options import (
    ExplicitSteps,
    HyperparameterRequest,
    MirroredLog,
    Options,
    describe_options,
    matching_option,
    narrow,
    nearest_option,
    only_option,
)

AnswerRequest = Callable[[HyperparameterRequest], Scalar]
"""Chooses the value of a hyperparameter, one of its options."""
_STEP_TOLERANCE = 1e-8
"""Allowed rounding of a number of steps; as in KerasTuner."""


class WrongHyperparameterError(UsageError):
    """A hyperparameter in the experiment file does not fit the one that the model declares."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class ChangedSpaceError(TrialFailed):
    """A model declared other hyperparameters than before, with the same values."""


class RecordingHyperParameters(HyperParameters):
    """KerasTuner's `hp` that records each request, and gets its value from `answer`.

    As in KerasTuner, a name has one value in a build, and a hyperparameter in a conditional scope
    that does not hold is None: it is not requested.
    """

    def __init__(self, answer: AnswerRequest) -> None:
        super().__init__()
        self.requests: list[HyperparameterRequest] = []
        self._answer = answer

    def _register(self, hyperparameter: HyperParameter, overwrite: bool = False) -> Any:
        name = hyperparameter.name
        if self.is_active(hyperparameter) and (overwrite or name not in self.values):
            request = as_request(hyperparameter)
            self.requests.append(request)
            self.values[name] = self._answer(request)
        return super()._register(hyperparameter)


def as_request(hyperparameter: HyperParameter) -> HyperparameterRequest:
    """Convert a hyperparameter of KerasTuner."""
    options = _options(hyperparameter)
    return HyperparameterRequest(
        name=hyperparameter.name,
        options=options,
        default=nearest_option(options, hyperparameter.default),
        scope=tuple((parent.name, tuple(parent.values)) for parent in hyperparameter.conditions),
    )


def _options(hyperparameter: HyperParameter) -> Options:
    if isinstance(hyperparameter, Fixed):
        return ChoiceRange((hyperparameter.value,))
    if isinstance(hyperparameter, (Int, Float)):
        return _number_options(hyperparameter)
    values = hyperparameter.values if isinstance(hyperparameter, Choice) else (False, True)
    return ChoiceRange(tuple(dict.fromkeys(values)))


def _number_options(hp: Int | Float) -> Options:
    kind = IntRange if isinstance(hp, Int) else FloatRange
    low, high, step = hp.min_value, hp.max_value, hp.step
    if hp.sampling == "linear" and step is None:
        return kind(low, high)
    if hp.sampling == "linear":
        steps = math.floor((high - low) / step + _STEP_TOLERANCE)
        return kind(low, low + steps * step, step=step)
    if step is None and hp.sampling == "log":
        return kind(low, high, log=True)
    if step is None:
        return MirroredLog(kind(low, high, log=True), centre=low + high)
    # With logarithmic sampling KerasTuner multiplies by the step.
    values = (round(value) if isinstance(hp, Int) else value for value in hp.values)
    return ExplicitSteps(tuple(sorted(values)))


def answer_default(request: HyperparameterRequest) -> Scalar:
    """Answer with the model's default, or with the option nearest to it."""
    return nearest_option(request.options, request.default)


def answer_within(settings: Mapping[str, Scalar | Range], answer: AnswerRequest) -> AnswerRequest:
    """Restrict answers to the values and ranges that an experiment file gives.

    Args:
        settings: name -> value, which is the answer, or range, which narrows the options.
        answer: chooses the values that are left open.
    Returns:
        a function that raises WrongHyperparameterError where the file does not fit the model.
    """

    def restricted(request: HyperparameterRequest) -> Scalar:
        given = settings.get(request.name)
        options = request.options
        try:
            if isinstance(given, Range):
                options = narrow(options, given)
            elif given is not None:
                return matching_option(options, given)
        except ValueError as error:
            raise WrongHyperparameterError(request.name, str(error)) from None
        only = only_option(options)
        return answer(replace(request, options=options)) if only is None else only

    return restricted


def answer_recorded(values: Mapping[str, Scalar]) -> AnswerRequest:
    """Answer with recorded values, name -> value.

    Returns:
        a function that raises ChangedSpaceError where the record has no value, or the value is
        not among the options.
    """

    def answer(request: HyperparameterRequest) -> Scalar:
        if request.name not in values:
            raise ChangedSpaceError(
                f"build asks for the hyperparameter {request.name!r}, which it did not ask for "
                "before with the same values: it must depend on nothing but hp"
            )
        try:
            return matching_option(request.options, values[request.name])
        except ValueError:
            raise ChangedSpaceError(
                f"build declares the hyperparameter {request.name!r} as "
                f"{describe_options(request.options)}; before, with the same values, it could be "
                f"{values[request.name]!r}: it must depend on nothing but hp"
            ) from None

    return answer
