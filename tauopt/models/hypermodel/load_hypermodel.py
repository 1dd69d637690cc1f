"""Import the user's HyperModel, `package.module:Class`, and return its `build` function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel
from tauopt.errors import UsageError, nearest
from tauopt.own_code import OwnCodeError, import_own

Build = Callable[[keras_tuner.HyperParameters], Any]
_KEYWORD_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class WrongModelError(UsageError):
    """The user's own model can't be used.

    Attributes:
        setting: path of the setting in the experiment file that is wrong.
    """

    def __init__(self, message: str, *, setting: str = "model.type") -> None:
        self.setting = setting
        super().__init__(message)


def load_build(settings: OwnModel, spec: InputSpec) -> Build:
    """Import a HyperModel, create it, and return its `build`; return a function of `hp` itself.

    These arguments of the class are filled in unless the experiment file gives them: `spec` (an
    `InputSpec`), `classes` or `num_classes` (the number of classes), `input_shape` (of all
    features laid flat, without the batch).

    Raises:
        WrongModelError: the class does not exist or builds no models, or the file gives it wrong
            arguments.
    """
    type_ = settings.type
    try:
        target: Any = import_own(type_)
    except OwnCodeError as error:
        raise WrongModelError(str(error)) from None
    if isinstance(target, type) and issubclass(target, keras_tuner.HyperModel):
        if getattr(target, "fit", None) is not keras_tuner.HyperModel.fit:
            raise WrongModelError(
                f"{type_} overrides `fit`, which tauopt does not call: it trains by the settings "
                "under `training`; leave `fit` out and give its settings there"
            )
        build: Build = target(**_class_arguments(target, settings, spec)).build
        return build
    if inspect.isfunction(target):
        if settings.arguments:
            raise WrongModelError(
                f"{type_} is a function of hp and takes no arguments; leave `arguments` out",
                setting="model.arguments",
            )
        return target
    raise WrongModelError(
        f"{type_} is {target!r}; expected a subclass of keras_tuner.HyperModel, "
        "or a function of hp that returns a model"
    )


def flat_features(spec: InputSpec) -> int:
    """Return how many numbers a candidate has when all its features are laid flat."""
    objects = sum(length * len(spec.group(name).features) for name, length in spec.lengths.items())
    return len(spec.candidate.features) + objects


def _class_arguments(class_: type, settings: OwnModel, spec: InputSpec) -> Mapping[str, Any]:
    """Return the arguments of the file, and those of ours that the class takes."""
    parameters = inspect.signature(class_).parameters
    takes = [name for name, p in parameters.items() if p.kind in _KEYWORD_KINDS]
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for name in settings.arguments:
        if name not in takes and not takes_any:
            raise WrongModelError(
                f"{settings.type} takes no {name!r}{nearest(name, takes)}; "
                f"it takes {', '.join(takes) or 'nothing'}",
                setting=f"model.arguments.{name}",
            )
    ours = {
        "spec": spec,
        "classes": len(spec.classes),
        "num_classes": len(spec.classes),
        "input_shape": (flat_features(spec),),
    }
    arguments = {name: value for name, value in ours.items() if name in takes} | settings.arguments
    missing = [
        name
        for name in takes
        if parameters[name].default is inspect._empty and name not in arguments
    ]
    if missing:
        raise WrongModelError(
            f"{settings.type} can't be made without {', '.join(missing)}: give them under "
            f"`arguments`; tauopt fills in {', '.join(ours)}",
            setting="model.arguments" if settings.arguments else "model.type",
        )
    return arguments
