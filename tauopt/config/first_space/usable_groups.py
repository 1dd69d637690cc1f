"""Which groups of a dataset a network can use, and the features that it finds its way by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tauopt.config.settings.dataset import Dataset, Group
from tauopt.config.settings.networks import Coordinates, NetworkSettings

_CALLED: Mapping[str, re.Pattern[str]] = {
    "eta": re.compile(r"(.*_)?d(elta)?_?eta(_?rel)?", re.IGNORECASE),
    "phi": re.compile(r"(.*_)?d(elta)?_?phi(_?rel)?", re.IGNORECASE),
    "pt": re.compile(r"(.*_)?[pe]t", re.IGNORECASE),
}
"""Coordinate -> what features are called that hold it."""


@dataclass(frozen=True)
class UsableGroups:
    """What a network sees of a dataset's objects."""

    groups: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Groups that lack a coordinate."""
    coordinates: Mapping[str, str] = field(default_factory=dict)
    """Coordinate -> names of features, where the default ones are not enough."""


def sight(network: type[NetworkSettings], dataset: Dataset) -> UsableGroups:
    """Find the groups that a network can use; all of them, if it needs no coordinates.

    One that looks at coordinates on request only (`pairwise`) can use all groups too: those that
    lack one are in both lists.
    """
    field_ = network.model_fields.get("coordinates")
    if field_ is None:
        return UsableGroups(tuple(dataset.groups))
    default: Coordinates = field_.default
    found = {
        name: {axis: _named(axis, names, group) for axis, names in default.model_dump().items()}
        for name, group in dataset.groups.items()
    }
    without = tuple(name for name, axes in found.items() if not all(axes.values()))
    whole = [axes for name, axes in found.items() if name not in without]
    names = {axis: _joined(axes[axis] for axes in whole) for axis in default.model_dump()}
    optional = "pairwise" in network.model_fields
    looks = whole if not (optional and without) else []
    return UsableGroups(
        groups=tuple(name for name in found if optional or name not in without),
        without=without,
        coordinates={
            axis: names[axis]
            for axis, usual in default.model_dump().items()
            if looks and not set(names[axis].split()) <= set(usual.split())
        },
    )


def _named(axis: str, names: str, group: Group) -> str:
    """Return the feature of a group that holds a coordinate; empty if none is called so."""
    known = [name for name in names.split() if name in group.features]
    alike = [name for name in group.features if _CALLED[axis].fullmatch(name)]
    return next(iter([*known, *alike]), "")


def _joined(names: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(names))
