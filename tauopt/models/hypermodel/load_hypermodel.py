"""From `package.module:Class` to something that builds models."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel
from tauopt.errors import UsageError, nearest
from tauopt.models.hypermodel.hypermodel_inputs import flat_features

Build = Callable[[keras_tuner.HyperParameters], Any]
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class WrongModelError(UsageError):
    """A model of the user's own that can't be used; `setting` is where the file speaks of it."""

    def __init__(self, message: str, *, setting: str = "model.type") -> None:
        self.setting = setting
        super().__init__(message)


def builder(own: OwnModel, spec: InputSpec) -> Build:
    """Import a HyperModel, make one, and return its `build`; a function of `hp` is one itself.

    Arguments that the class takes by these names are given unless the file gives them: `spec` (an
    `InputSpec`), `classes` or `num_classes` (their number), `input_shape` (of all features laid
    flat, without the batch).

    Raises:
        WrongModelError: there is no such class, it is none that builds models, or its arguments
            are not those of the file.
    """
    found: Any = _imported(own.type)
    if isinstance(found, type) and issubclass(found, keras_tuner.HyperModel):
        if getattr(found, "fit", None) is not keras_tuner.HyperModel.fit:
            raise WrongModelError(
                f"{own.type} overrides `fit`, which tauopt does not call: it trains by the "
                "settings under `training`; leave `fit` out and give its settings there"
            )
        build: Build = found(**_arguments(found, own, spec)).build
        return build
    if inspect.isfunction(found):
        if own.arguments:
            raise WrongModelError(
                f"{own.type} is a function of hp and takes no arguments",
                setting="model.arguments",
            )
        return found
    raise WrongModelError(
        f"{own.type} is {found!r}; expected a subclass of keras_tuner.HyperModel, "
        "or a function of hp that returns a model"
    )


def source_digest(type_: str) -> str:
    """Return the SHA-256 of the source of a class's module, or of its whole top-level package.

    Raises:
        WrongModelError: there is no such module.
    """
    module = importlib.util.find_spec(_module(type_).partition(".")[0])
    folders = list(module.submodule_search_locations or []) if module else []
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    if module is not None and module.origin and not files:
        files = [Path(module.origin)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _module(type_: str) -> str:
    return type_.partition(":")[0]


def _imported(type_: str) -> Any:
    module, _, name = type_.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        raise WrongModelError(
            f"there is no module {error.name!r}: install its package, or put the folder that "
            "holds it on PYTHONPATH"
        ) from None
    if not hasattr(imported, name):
        known = [key for key in vars(imported) if not key.startswith("_")]
        raise WrongModelError(f"module {module!r} has no {name!r}{nearest(name, known)}")
    return getattr(imported, name)


def _arguments(found: type, own: OwnModel, spec: InputSpec) -> Mapping[str, Any]:
    """Return what the class is made with: the file's arguments, and ours that it asks for."""
    parameters = inspect.signature(found).parameters
    takes = [name for name, p in parameters.items() if p.kind in _NAMED]
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for name in own.arguments:
        if name not in takes and not takes_any:
            raise WrongModelError(
                f"{own.type} takes no {name!r}{nearest(name, takes)}; "
                f"it takes {', '.join(takes) or 'nothing'}",
                setting=f"model.arguments.{name}",
            )
    ours = {
        "spec": spec,
        "classes": len(spec.classes),
        "num_classes": len(spec.classes),
        "input_shape": (flat_features(spec),),
    }
    given = {name: value for name, value in ours.items() if name in takes} | own.arguments
    missing = [
        name for name in takes if parameters[name].default is inspect._empty and name not in given
    ]
    if missing:
        raise WrongModelError(
            f"{own.type} can't be made without {', '.join(missing)}: give them under "
            f"`arguments`; {', '.join(ours)} are given by themselves",
            setting="model.arguments" if own.arguments else "model.type",
        )
    return given
