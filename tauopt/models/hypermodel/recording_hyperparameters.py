"""KerasTuner's hyperparameters, define by run: each is answered when `build` asks for it.

Everything here that is KerasTuner's is in the contract test
`tests/models/hypermodel/test_keras_tuner.py`.
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
    narrow,
    nearest_option,
    only_option,
    settled,
)

AnswerRequest = Callable[[HyperparameterRequest], Scalar]
"""Chooses one of the options of a hyperparameter."""
_SLACK = 1e-8
"""Of a number of steps, as KerasTuner allows it."""


class WrongHyperparameterError(UsageError):
    """What a file says of a hyperparameter does not fit what the model declares."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class ChangedSpaceError(TrialFailed):
    """A model asked for other hyperparameters than before, with the same answers."""


class RecordingHyperParameters(HyperParameters):
    """Hands each hyperparameter to `answer` when it is first asked for.

    As in KerasTuner, a name has one value a build, and what stands in a conditional scope that
    does not hold is None, and not asked for.
    """

    def __init__(self, answer: AnswerRequest) -> None:
        """Take who answers."""
        super().__init__()
        self.questions: list[HyperparameterRequest] = []
        self._answer = answer

    def _register(self, hyperparameter: HyperParameter, overwrite: bool = False) -> Any:
        name = hyperparameter.name
        if self.is_active(hyperparameter) and (overwrite or name not in self.values):
            question = as_question(hyperparameter)
            self.questions.append(question)
            self.values[name] = self._answer(question)
        return super()._register(hyperparameter)


def as_question(hyperparameter: HyperParameter) -> HyperparameterRequest:
    """Return what a hyperparameter of KerasTuner asks."""
    options = _options(hyperparameter)
    default = hyperparameter.default
    scope = tuple((parent.name, tuple(parent.values)) for parent in hyperparameter.conditions)
    return HyperparameterRequest(
        hyperparameter.name, options, nearest_option(options, default), scope
    )


def _options(hyperparameter: HyperParameter) -> Options:
    if isinstance(hyperparameter, Fixed):
        return ChoiceRange((hyperparameter.value,))
    if isinstance(hyperparameter, (Int, Float)):
        return _numbers(hyperparameter)
    values = hyperparameter.values if isinstance(hyperparameter, Choice) else (False, True)
    return ChoiceRange(tuple(dict.fromkeys(values)))


def _numbers(hp: Int | Float) -> Options:
    """Return the numbers of an `Int` or `Float`; with a logarithm, steps multiply."""
    kind = IntRange if isinstance(hp, Int) else FloatRange
    low, high, step = hp.min_value, hp.max_value, hp.step
    if hp.sampling == "linear" and step is None:
        return kind(low, high)
    if hp.sampling == "linear":
        steps = math.floor((high - low) / step + _SLACK)
        return kind(low, low + steps * step, step=step)
    if step is None and hp.sampling == "log":
        return kind(low, high, log=True)
    if step is None:
        return MirroredLog(kind(low, high, log=True), centre=low + high)
    whole = isinstance(hp, Int)
    return ExplicitSteps(tuple(sorted(round(value) if whole else value for value in hp.values)))


def default(question: HyperparameterRequest) -> Scalar:
    """Answer with the model's default, or the option that is nearest to it."""
    return nearest_option(question.options, question.default)


def heeding(settings: Mapping[str, Scalar | Range], answer: AnswerRequest) -> AnswerRequest:
    """Answer as a file says: what it fixes is not asked for, what it narrows is asked so.

    Args:
        settings: name -> value or range.
        answer: asked for all that is left open.
    Returns:
        an answer that raises WrongHyperparameterError where the file and the model don't fit.
    """

    def heeded(question: HyperparameterRequest) -> Scalar:
        given = settings.get(question.name)
        options = question.options
        try:
            if isinstance(given, Range):
                options = narrow(options, given)
            elif given is not None:
                return settled(options, given)
        except ValueError as error:
            raise WrongHyperparameterError(question.name, str(error)) from None
        only = only_option(options)
        return answer(replace(question, options=options)) if only is None else only

    return heeded


def recorded(values: Mapping[str, Scalar]) -> AnswerRequest:
    """Answer as recorded.

    Returns:
        an answer that raises ChangedSpaceError for what is not recorded, or not as it is.
    """

    def answer(question: HyperparameterRequest) -> Scalar:
        if question.name not in values:
            raise ChangedSpaceError(
                f"build asks for the hyperparameter {question.name!r}, which it did not ask for "
                "before with the same values: it must depend on nothing but hp"
            )
        try:
            return settled(question.options, values[question.name])
        except ValueError:
            raise ChangedSpaceError(
                f"build declares the hyperparameter {question.name!r} as "
                f"{describe_options(question.options)}; before, with the same values, it could be "
                f"{values[question.name]!r}: it must depend on nothing but hp"
            ) from None

    return answer
