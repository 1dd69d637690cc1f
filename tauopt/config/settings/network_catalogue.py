"""Catalogue of the built-in networks and their settings, for `tauopt models`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import annotated_types
from pydantic.fields import FieldInfo

from tauopt.config.settings.base import Settings
from tauopt.config.settings.networks import AnyNetwork, NetworkSettings
from tauopt.config.settings.networks.network_base import ANY_GROUP
from tauopt.errors import UsageError, nearest


@dataclass(frozen=True)
class CatalogueEntry:
    """One built-in network."""

    type: str
    what: str
    """Description in one line."""
    groups: dict[str, int]
    """Default groups, each with the objects kept per candidate."""
    parameters: int
    """Number of parameters with default settings, for two classes and the demo sample."""
    source: str
    """Publication that it follows."""


@dataclass(frozen=True)
class Knob:
    """One setting of a network."""

    path: str
    """Dotted path in an experiment file, beginning with `model`."""
    values: str
    """Allowed values, in words; a range must lie within them."""
    default: Any
    usual: str
    """The usual search range, as a file writes it; empty if it is usually not searched."""
    what: str
    """Description, the field's docstring."""


def catalogue() -> list[CatalogueEntry]:
    """Return all built-in networks."""
    return [_entry(network) for network in get_args(AnyNetwork)]


def network_class(type_: str) -> type[NetworkSettings]:
    """Return the settings class of a built-in network.

    Raises:
        UsageError: there is no network `type_`; the message has the nearest name.
    """
    known: dict[str, type[NetworkSettings]] = {
        _type(network): network for network in get_args(AnyNetwork)
    }
    if type_ not in known:
        raise UsageError(
            f"no network {type_!r}{nearest(type_, known)}; there are {', '.join(known)}"
        )
    return known[type_]


def knobs(type_: str) -> list[Knob]:
    """Return the settings of a network in order; those of a group once, with `<group>` as its name.

    Raises:
        UsageError: there is no network `type_`.
    """
    network = network_class(type_)
    usual = {f"model.{path}": range_ for path, range_ in network.usual.items()}
    usual[f"model.groups.{ANY_GROUP}.length"] = network.usual_length(ANY_GROUP)
    return [
        replace(knob, usual=usual.get(knob.path, "")) for knob in _knobs(network, prefix="model")
    ]


def _type(network: type[NetworkSettings]) -> str:
    return str(get_args(network.model_fields["type"].annotation)[0])


def _entry(network: type[NetworkSettings]) -> CatalogueEntry:
    groups = network.model_fields["groups"].default
    description = inspect.getdoc(network) or ""
    return CatalogueEntry(
        type=_type(network),
        what=description.partition("\n")[0],
        groups={name: group.length for name, group in groups.items()},
        parameters=network.parameters,
        source=network.source,
    )


def _knobs(settings: type[Settings], *, prefix: str) -> Iterator[Knob]:
    for name, field in settings.model_fields.items():
        path, default = f"{prefix}.{name}", field.default
        if name == "type":
            continue
        if isinstance(default, Settings):
            yield from _with_defaults(_knobs(type(default), prefix=path), default, prefix=path)
        elif isinstance(default, dict):
            first_group = next(iter(default.values()), None)
            if isinstance(first_group, Settings):
                yield from _knobs(type(first_group), prefix=f"{path}.{ANY_GROUP}")
        else:
            what = " ".join((field.description or "").split())
            yield Knob(path, _values(field), default, "", what)


def _with_defaults(knobs: Iterator[Knob], settings: Settings, *, prefix: str) -> Iterator[Knob]:
    """Yield the knobs of a part with the values in `settings` as their defaults."""
    for knob in knobs:
        value: Any = settings
        for name in knob.path.removeprefix(f"{prefix}.").split("."):
            value = getattr(value, name)
        yield replace(knob, default=value)


def _values(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if typing.get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if kind is bool:
        return "true, false"
    if kind in (int, float):
        low = [item.ge for item in field.metadata if isinstance(item, annotated_types.Ge)]
        high = [item.le for item in field.metadata if isinstance(item, annotated_types.Le)]
        return f"{'whole numbers ' if kind is int else ''}{low[0]} to {high[0]}"
    return "text" if kind is str else "a list of whole numbers"
