"""Can every node of a cluster train this search's trials?"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tauopt.cluster.nodes import on_every_node
from tauopt.errors import ServiceError
from tauopt.search.origin import code_version


@dataclass(frozen=True)
class Sight:
    """What a node has and sees."""

    code: str
    """tauopt's version with a digest of its source."""
    python: str
    missing: tuple[str, ...]
    """Of the folders that it was asked for."""


def look(folders: Sequence[str]) -> Sight:
    """Say what this node has, and which folders it does not see."""
    missing = tuple(folder for folder in folders if not Path(folder).is_dir())
    return Sight(code_version(), platform.python_version(), missing)


def check_nodes(folders: Sequence[Path]) -> dict[str, Sight]:
    """Check that each node of the Ray that is running has our code and sees some folders.

    Args:
        folders: that trials read and write.
    Returns:
        node -> what it has.
    Raises:
        ServiceError: one has not; names it and says what to do.
    """
    found = on_every_node(look, [str(folder) for folder in folders])
    check_sights(found, look([]))
    return found


def check_sights(found: Mapping[str, Sight], here: Sight) -> None:
    """Raise a ServiceError for the first node that differs from `here` or misses a folder."""
    for name, sight in found.items():
        if sight.code != here.code:
            raise ServiceError(
                f"Ray's node {name} has tauopt {sight.code}, this driver {here.code}: install the "
                "same on every node"
            )
        if sight.python.rpartition(".")[0] != here.python.rpartition(".")[0]:
            raise ServiceError(
                f"Ray's node {name} has Python {sight.python}, this driver {here.python}: Ray "
                "needs the same on every node"
            )
        if sight.missing:
            raise ServiceError(
                f"Ray's node {name} does not see {', '.join(sight.missing)}: output folder (-o) "
                "and cache (TAUOPT_CACHE) must lie where all nodes share them under one path"
            )
