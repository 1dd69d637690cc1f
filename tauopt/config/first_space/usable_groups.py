"""Groups of a dataset that a network can use, and the features that hold their coordinates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tauopt.config.settings.dataset import Dataset, Group
from tauopt.config.settings.networks import NetworkSettings

_FEATURE_NAMES: Mapping[str, re.Pattern[str]] = {
    "eta": re.compile(r"(.*_)?d(elta)?_?eta(_?rel)?", re.IGNORECASE),
    "phi": re.compile(r"(.*_)?d(elta)?_?phi(_?rel)?", re.IGNORECASE),
    "pt": re.compile(r"(.*_)?[pe]t", re.IGNORECASE),
}
"""Coordinate -> usual names of features that hold it."""


@dataclass(frozen=True)
class UsableGroups:
    """The groups of a dataset that a network can use."""

    groups: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Groups that lack a coordinate."""
    coordinates: Mapping[str, str] = field(default_factory=dict)
    """Coordinate -> names of features, where the default names are not enough."""


def usable_groups(network: type[NetworkSettings], dataset: Dataset) -> UsableGroups:
    """Find the groups that a network can use: those with coordinates, or all if it needs none.

    A network with optional coordinates (`pairwise`) can use all groups too; those that lack a
    coordinate are then in both `groups` and `without`.
    """
    coordinates = network.model_fields.get("coordinates")
    if coordinates is None:
        return UsableGroups(tuple(dataset.groups))
    default: Mapping[str, str] = coordinates.default.model_dump()
    features = {
        name: {key: _feature(key, names, group) for key, names in default.items()}
        for name, group in dataset.groups.items()
    }
    without = tuple(name for name, keys in features.items() if not all(keys.values()))
    complete = [keys for name, keys in features.items() if name not in without]
    optional = "pairwise" in network.model_fields
    needed = {}
    # `pairwise` is not searched if a group lacks a coordinate, so none has to be named then.
    if complete and not (optional and without):
        for key, names in default.items():
            present = dict.fromkeys(keys[key] for keys in complete)
            if not set(present) <= set(names.split()):
                needed[key] = " ".join(present)
    return UsableGroups(
        groups=tuple(name for name in features if optional or name not in without),
        without=without,
        coordinates=needed,
    )


def _feature(coordinate: str, names: str, group: Group) -> str:
    """Return the feature of a group that holds a coordinate; empty if no name matches."""
    known = [name for name in names.split() if name in group.features]
    similar = [name for name in group.features if _FEATURE_NAMES[coordinate].fullmatch(name)]
    return next(iter([*known, *similar]), "")
