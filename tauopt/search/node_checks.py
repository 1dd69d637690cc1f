"""Can every node of a cluster train this search's trials? Asked before, and of each that joins."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tauopt.cluster.folder_copies import copy_to_node
from tauopt.cluster.node_functions import (
    RayNode,
    on_every_node,
    results_within,
    start_on_node,
    training_nodes,
)
from tauopt.errors import ServiceError
from tauopt.study.provenance import code_version

_LOOK_S = 5.0
"""How often nodes are counted."""


@dataclass(frozen=True)
class NodeInfo:
    """What a node has and sees."""

    code: str
    """tauopt's version with a digest of its source."""
    python: str
    missing: tuple[str, ...]
    """Of the folders that it was asked for."""


def look(folders: Sequence[str]) -> NodeInfo:
    """Say what this node has, and which folders it does not see."""
    missing = tuple(folder for folder in folders if not Path(folder).is_dir())
    return NodeInfo(code_version(), platform.python_version(), missing)


def check_nodes(folders: Sequence[Path]) -> dict[str, NodeInfo]:
    """Check that each node of the Ray that is running has our code and sees some folders.

    Args:
        folders: that trials read and write.
    Returns:
        node -> what it has.
    Raises:
        ServiceError: one has not; names it and says what to do.
    """
    found = on_every_node(look, [str(folder) for folder in folders])
    sights = {node.name: sight for node, sight in found.items()}
    check_sights(sights, look([]))
    return sights


def check_sights(found: Mapping[str, NodeInfo], here: NodeInfo) -> None:
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
                f"Ray's node {name} does not see {', '.join(sight.missing)}: the output folder "
                "(-o) must lie where all nodes share it under one path"
            )


class NodeWatch:
    """The nodes of a cluster while a search runs: each is checked, and given the dataset."""

    def __init__(self, *, shared: Path, dataset: Path, say: Callable[[str], None]) -> None:
        """Take what trials need.

        Args:
            shared: folder of the search, which all nodes must see.
            dataset: finished folder, named by its content; a node that does not see it gets a
                copy at the same path, once.
            say: is told of copies and of nodes that join, in the thread that asks.
        """
        self._shared, self._dataset = shared, dataset
        self._say = say
        self._here = look([])
        self._known: set[str] = set()
        self._asked: dict[RayNode, Any] = {}
        self._copying: threading.Thread | None = None
        self._looked = 0.0
        self.fault: ServiceError | None = None
        """What is wrong with a node that joined."""

    def check(self) -> None:
        """Check all that are there now, and wait until each has the dataset.

        Raises:
            ServiceError: one can't train; names it and says what to do.
        """
        for node, sight in on_every_node(look, self._folders()).items():
            self._known.add(node.id)
            if self._lacks_data(node, sight):
                self._say(f"copying {self._dataset.name} to node {node.name}")
                copy_to_node(self._dataset, node.id)

    def watch(self) -> str:
        """Look for nodes that have joined; returns what is wrong with one, else nothing.

        Waits for nobody: a node answers in its time, and a copy is made beside.
        """
        now = time.monotonic()
        if self.fault is None and now >= self._looked + _LOOK_S:
            self._looked = now
            self._see_new()
        return str(self.fault or "")

    def _folders(self) -> list[str]:
        return [str(self._shared), str(self._dataset)]

    def _see_new(self) -> None:
        for node in training_nodes():
            if node.id not in self._known:
                self._known.add(node.id)
                self._asked[node] = start_on_node(node, look, self._folders())
        for node, task in list(self._asked.items()):
            if self._copying and self._copying.is_alive():
                return  # one copy after another
            self._try(node, partial(self._hear, node, task))

    def _hear(self, node: RayNode, task: Any) -> None:
        sight = results_within(0, {node: task}).get(node)
        if sight is None:
            return
        del self._asked[node]
        self._say(f"node {node.name} has joined")
        if self._lacks_data(node, sight):
            self._say(f"copying {self._dataset.name} to it")
            copy = partial(self._try, node, partial(copy_to_node, self._dataset, node.id))
            self._copying = threading.Thread(target=copy, daemon=True)
            self._copying.start()

    def _try(self, node: RayNode, step: Callable[[], None]) -> None:
        """Take a step; that a node is gone again is no fault."""
        try:
            step()
        except ServiceError as error:
            self._asked.pop(node, None)
            if node in training_nodes():
                self.fault = error

    def _lacks_data(self, node: RayNode, sight: NodeInfo) -> bool:
        """Say whether a node that else can train does not see the dataset."""
        data = str(self._dataset)
        others = tuple(folder for folder in sight.missing if folder != data)
        check_sights({node.name: replace(sight, missing=others)}, self._here)
        return data in sight.missing
