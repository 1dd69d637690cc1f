"""Declare a network's knobs to KerasTuner from its settings class: bounds and defaults stand there.

A knob is named by its path in an experiment file, for instance `model.groups.tracks.units`.
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

Knobs = TypeVar("Knobs", bound=Settings)


def declare(hp: HyperParameters, base: Knobs, *, prefix: str = "model") -> Knobs:
    """Declare each scalar of `base` to `hp`, and return the settings that `hp` chose.

    Args:
        hp: asked for every knob; its own value, where it has one, else the default.
        base: gives the defaults, and what is no knob: the type and the names of groups.
        prefix: path of `base` in the experiment file.
    Raises:
        TypeError: a field is neither scalar, nor settings, nor settings by name.
        pydantic.ValidationError: `hp` chose a value out of bounds.
    """
    chosen: dict[str, Any] = {}
    for name, field in type(base).model_fields.items():
        path, default = f"{prefix}.{name}", getattr(base, name)
        if _is_settled(base, name):
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
    """Return the scalars of `settings` by path, as `declare` names them."""
    found: dict[str, Scalar] = {}
    for name in type(settings).model_fields:
        path, value = f"{prefix}.{name}", getattr(settings, name)
        if _is_settled(settings, name):
            continue
        if isinstance(value, Settings):
            found |= values(value, prefix=path)
        elif isinstance(value, dict):
            for key, part in value.items():
                found |= values(part, prefix=f"{path}.{key}")
        else:
            found[path] = value
    return found


def _is_settled(settings: Settings, name: str) -> bool:
    """Say whether a field is no knob: a tower's list of widths, or what it takes the place of."""
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
        chosen = hp.Fixed(path, default)  # a text is one of any; its own value, where `hp` has one
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
