"""List the hyperparameters of a model by building it: only its code knows which there are."""

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
    matching_option,
)
from tauopt.models.hypermodel.recording_hyperparameters import (
    AnswerRequest,
    WrongHyperparameterError,
    answer_default,
    answer_within,
)

logger = logging.getLogger(__name__)

MAX_BUILDS = 40
"""Most builds after the first one, which bounds the time of an exploration."""
_MAX_CHOICES = 8
"""Most values of a choice that are tried."""


def explore(
    settings: OwnModel, spec: InputSpec, first: BuiltHyperModel
) -> list[HyperparameterRequest]:
    """Return the hyperparameters that a model declares at its defaults and around them.

    Breadth-first search: each value of a build is changed, one at a time, to every other choice or
    to the ends of its range, and so on from the new builds, for at most `MAX_BUILDS` builds.

    Args:
        settings: the model; hyperparameters that it fixes are not changed.
        spec: inputs and classes.
        first: the model, built at its defaults.
    Returns:
        each declaration once, in the order of discovery.
    Raises:
        WrongHyperparameterError: a hyperparameter in the file does not fit the declared one.
    """
    requests: list[HyperparameterRequest] = []
    waiting: deque[dict[str, Scalar]] = deque()
    _add_requests(first, {}, requests, waiting)
    for _ in range(MAX_BUILDS):
        if not waiting:
            break
        changed = waiting.popleft()
        answer = answer_within(settings.hyperparameters, _answer_changed(changed))
        try:
            built = build(settings, spec, answer, seed=0)
        except WrongHyperparameterError:
            raise
        except Exception as error:  # noqa: BLE001 - the model may refuse some of its own points
            logger.debug("with %s the model raises %s", changed, error)
        else:
            _add_requests(built, changed, requests, waiting)
    return requests


def _add_requests(
    built: BuiltHyperModel,
    changed: Mapping[str, Scalar],
    requests: list[HyperparameterRequest],
    waiting: deque[dict[str, Scalar]],
) -> None:
    """Add a build's new requests to `requests`, and points with their other values to `waiting`."""
    for request in built.requests:
        if request not in requests:
            requests.append(request)
            current = built.values[request.name]
            waiting.extend(
                {**changed, request.name: value}
                for value in _values_to_try(request.options)
                if value != current
            )


def _values_to_try(options: Options) -> tuple[Scalar, ...]:
    if isinstance(options, ChoiceRange):
        return options.values[:_MAX_CHOICES]
    if isinstance(options, ExplicitSteps):
        return (options.values[0], options.values[-1])
    return (options.low, options.high)


def _answer_changed(changed: Mapping[str, Scalar]) -> AnswerRequest:
    """Return a function that answers with a value of `changed` where possible, else the default."""

    def answer(request: HyperparameterRequest) -> Scalar:
        try:
            return matching_option(request.options, changed[request.name])
        except (KeyError, ValueError):
            return answer_default(request)

    return answer


def described(settings: OwnModel, spec: InputSpec) -> dict[str, str]:
    """Describe the hyperparameters of a model, each in a line, by path in an experiment file.

    The line also shows the value or range that the file gives.
    """
    answer = answer_within(settings.hyperparameters, answer_default)
    first = build(settings, spec, answer, seed=0)
    texts: dict[str, list[str]] = {}
    for request in explore(settings, spec, first):
        texts.setdefault(HYPERPARAMETERS + request.name, []).append(_describe(request, settings))
    return {path: "; or ".join(dict.fromkeys(parts)) for path, parts in texts.items()}


def _describe(request: HyperparameterRequest, settings: OwnModel) -> str:
    scopes = [f"{name} is {' or '.join(map(str, values))}" for name, values in request.scope]
    declared = describe_options(request.options) + "".join(f" when {scope}" for scope in scopes)
    given = settings.hyperparameters.get(request.name)
    if given is None:
        return declared
    in_file = describe_range(given) if isinstance(given, Range) else str(given)
    return f"{in_file} (the model: {declared})"
