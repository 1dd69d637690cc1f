"""Which hyperparameters a model has: found by building it, since its code alone knows."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.config.settings.ranges import ChoiceRange, Range, describe_range
from tauopt.config.source.yaml_source import Scalar
from tauopt.models.hypermodel.hypermodel_network import BuiltHyperModel, build
from tauopt.models.hypermodel.hyperparameter_options import (
    ExplicitSteps,
    HyperparameterRequest,
    Options,
    describe_options,
    settled,
)
from tauopt.models.hypermodel.recording_hyperparameters import (
    AnswerRequest,
    WrongHyperparameterError,
    default,
    heeding,
)

logger = logging.getLogger(__name__)

MAX_BUILDS = 40
_MAX_CHOICES = 8


def explore(own: OwnModel, spec: InputSpec, first: BuiltHyperModel) -> list[HyperparameterRequest]:
    """Return the hyperparameters that a model asks for at its defaults and around them.

    Each answer seen is changed, one at a time, to every other choice or to the ends of its range,
    and so on from what is found there, for at most `MAX_BUILDS` builds.

    Args:
        own: the model; what it fixes stays so.
        spec: what it sees.
        first: built at the defaults.
    Returns:
        each declaration once, in the order in which they were found.
    Raises:
        WrongHyperparameterError: what the file says of one does not fit what the model declares.
    """
    found: list[HyperparameterRequest] = []
    waiting: deque[dict[str, Scalar]] = deque()
    _note(first, {}, found, waiting)
    for _ in range(MAX_BUILDS):
        if not waiting:
            break
        forced = waiting.popleft()
        try:
            built = build(own, spec, heeding(own.hyperparameters, _forcing(forced)), seed=0)
        except WrongHyperparameterError:
            raise
        except Exception as error:  # noqa: BLE001 - a point that the model refuses is no point
            logger.debug("with %s the model raises %s", forced, error)
        else:
            _note(built, forced, found, waiting)
    return found


def _note(
    built: BuiltHyperModel,
    forced: Mapping[str, Scalar],
    found: list[HyperparameterRequest],
    waiting: deque[dict[str, Scalar]],
) -> None:
    for question in built.questions:
        if question not in found:
            found.append(question)
            now = built.values[question.name]
            waiting.extend(
                {**forced, question.name: value}
                for value in _others(question.options)
                if value != now
            )


def _others(options: Options) -> tuple[Scalar, ...]:
    if isinstance(options, ChoiceRange):
        return options.values[:_MAX_CHOICES]
    if isinstance(options, ExplicitSteps):
        return (options.values[0], options.values[-1])
    return (options.low, options.high)


def _forcing(forced: Mapping[str, Scalar]) -> AnswerRequest:
    """Answer as forced where that is possible, else with the default."""

    def answer(question: HyperparameterRequest) -> Scalar:
        try:
            return settled(question.options, forced[question.name])
        except (KeyError, ValueError):
            return default(question)

    return answer


def described(own: OwnModel, spec: InputSpec) -> dict[str, str]:
    """Return the hyperparameters that a model asks for, in words, by path in an experiment file.

    What the file fixes or narrows is said so.
    """
    first = build(own, spec, heeding(own.hyperparameters, default), seed=0)
    lines: dict[str, list[str]] = {}
    for question in explore(own, spec, first):
        lines.setdefault(HYPERPARAMETERS + question.name, []).append(_words(question, own))
    return {path: "; or ".join(dict.fromkeys(texts)) for path, texts in lines.items()}


def _words(question: HyperparameterRequest, own: OwnModel) -> str:
    scopes = [f"{name} is {' or '.join(map(str, values))}" for name, values in question.scope]
    text = describe_options(question.options) + "".join(f" when {scope}" for scope in scopes)
    given = own.hyperparameters.get(question.name)
    if given is None:
        return text
    said = describe_range(given) if isinstance(given, Range) else str(given)
    return f"{said} (the model: {text})"
