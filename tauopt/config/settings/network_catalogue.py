"""What there is to choose from: the built-in networks, and the settings of each."""

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
    """One network."""

    type: str
    what: str
    """In a line."""
    groups: dict[str, int]
    """Groups that it sees by default, with the objects of each that are kept."""
    parameters: int
    """Of its defaults, for two classes and the features of the demo sample."""
    source: str


@dataclass(frozen=True)
class Knob:
    """One setting of a network, as an experiment file names it below `model`."""

    path: str
    values: str
    """What it may be: a value of these, or a range within."""
    default: Any
    usual: str
    """The range that people search, as a file writes it; empty if they leave it alone."""
    what: str


def catalogue() -> list[CatalogueEntry]:
    """Return all built-in networks."""
    return [_entry(network) for network in get_args(AnyNetwork)]


def network_class(type_: str) -> type[NetworkSettings]:
    """Return the settings class of a network; UsageError names the nearest if there is none."""
    known: dict[str, type[NetworkSettings]] = {_type(one): one for one in get_args(AnyNetwork)}
    if type_ not in known:
        raise UsageError(
            f"no network {type_!r}{nearest(type_, known)}; there are {', '.join(known)}"
        )
    return known[type_]


def knobs(type_: str) -> list[Knob]:
    """Return the settings of a network in order, those of a group once, for any `<group>`.

    Raises:
        UsageError: there is no such network.
    """
    network = network_class(type_)
    usual = {f"model.{path}": range_ for path, range_ in network.usual.items()}
    usual[f"model.groups.{ANY_GROUP}.length"] = network.usual_length(ANY_GROUP)
    found = _knobs(network, prefix="model")
    return [replace(knob, usual=usual.get(knob.path, "")) for knob in found]


def _type(network: type[NetworkSettings]) -> str:
    return str(get_args(network.model_fields["type"].annotation)[0])


def _entry(network: type[NetworkSettings]) -> CatalogueEntry:
    groups = network.model_fields["groups"].default
    what = inspect.getdoc(network) or ""
    return CatalogueEntry(
        type=_type(network),
        what=what.partition("\n")[0],
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
            some = next(iter(default.values()), None)
            if isinstance(some, Settings):
                yield from _knobs(type(some), prefix=f"{path}.{ANY_GROUP}")
        else:
            what = " ".join((field.description or "").split())
            yield Knob(path, _values(field), default, "", what)


def _with_defaults(found: Iterator[Knob], settings: Settings, *, prefix: str) -> Iterator[Knob]:
    """Give the knobs of a part the values that this part has by default."""
    for knob in found:
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
