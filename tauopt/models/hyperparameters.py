"""Declare the fields of a settings class as hyperparameters of KerasTuner.

Bounds and defaults come from the settings class. A hyperparameter is named by its path in an
experiment file, for instance `model.groups.tracks.units`.
"""

from __future__ import annotations

import typing
from typing import Any, Literal, TypeVar

import annotated_types
from keras_tuner import HyperParameters
from pydantic.fields import FieldInfo

from tauopt.config.settings.base import Settings
from tauopt.config.settings.networks.towers import PYRAMID, Tower
from tauopt.config.source.yaml_source import Scalar

AnySettings = TypeVar("AnySettings", bound=Settings)


def declare(hp: HyperParameters, base: AnySettings, *, prefix: str = "model") -> AnySettings:
    """Declare each scalar of `base` to `hp`, and return settings with the values of `hp`.

    Args:
        hp: gives each hyperparameter its value: the one that it holds, else the default.
        base: defaults, and whatever is not searched: the type and the names of groups.
        prefix: path of `base` in the experiment file.
    Raises:
        TypeError: a field is neither scalar, nor settings, nor settings by name.
        pydantic.ValidationError: a value of `hp` is out of bounds.
    """
    chosen: dict[str, Any] = {}
    for name, field in type(base).model_fields.items():
        path, default = f"{prefix}.{name}", getattr(base, name)
        if _is_fixed(base, name):
            chosen[name] = default
        elif isinstance(default, Settings):
            chosen[name] = declare(hp, default, prefix=path)
        elif isinstance(default, dict):
            chosen[name] = {
                key: declare(hp, part, prefix=f"{path}.{key}") for key, part in default.items()
            }
        else:
            chosen[name] = _declare_scalar(hp, path, field, default)
    return type(base).model_validate(chosen)


def values(settings: Settings, *, prefix: str = "model") -> dict[str, Scalar]:
    """Return the scalars of `settings` by path, with the names that `declare` uses."""
    scalars: dict[str, Scalar] = {}
    for name in type(settings).model_fields:
        path, value = f"{prefix}.{name}", getattr(settings, name)
        if _is_fixed(settings, name):
            continue
        if isinstance(value, Settings):
            scalars |= values(value, prefix=path)
        elif isinstance(value, dict):
            for key, part in value.items():
                scalars |= values(part, prefix=f"{path}.{key}")
        else:
            scalars[path] = value
    return scalars


def _is_fixed(settings: Settings, name: str) -> bool:
    """Return whether a field is not searched: a tower's `widths`, or what `widths` replace."""
    if not isinstance(settings, Tower):
        return False
    return name == "widths" or (name in PYRAMID and bool(settings.widths))


def _declare_scalar(hp: HyperParameters, path: str, field: FieldInfo, default: Scalar) -> Scalar:
    kind: Any = field.annotation
    if typing.get_origin(kind) is Literal:
        choices = list(typing.get_args(kind))
        chosen = default if len(choices) == 1 else hp.Choice(path, choices, default=default)
    elif kind is bool:
        chosen = hp.Boolean(path, default=default)
    elif kind is str:
        chosen = hp.Fixed(path, default)  # any text is allowed; a value that `hp` holds is kept
    elif kind is int:
        low, high = _bounds(path, field)
        chosen = hp.Int(path, int(low), int(high), default=default)
    elif kind is float:
        low, high = _bounds(path, field)
        chosen = hp.Float(path, low, high, default=default)
    else:
        raise TypeError(
            f"{path}: expected a bool, int, float, text, choice or settings, got {kind}"
        )
    return typing.cast(Scalar, chosen)


def _bounds(path: str, field: FieldInfo) -> tuple[float, float]:
    low = [item.ge for item in field.metadata if isinstance(item, annotated_types.Ge)]
    high = [item.le for item in field.metadata if isinstance(item, annotated_types.Le)]
    if not low or not high:
        raise TypeError(f"{path}: expected bounds ge and le, got {field.metadata}")
    return typing.cast(float, low[0]), typing.cast(float, high[0])
