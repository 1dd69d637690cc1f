"""Checks that each node of a cluster can train trials, before the search and when a node joins."""

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

_COUNT_EVERY_S = 5.0
"""How often the cluster's list of nodes is read."""


@dataclass(frozen=True)
class NodeInfo:
    """Code, Python and missing folders of a node."""

    code: str
    """tauopt's version with a digest of its source."""
    python: str
    missing: tuple[str, ...]
    """Those folders that the node does not see."""


def node_info(folders: Sequence[str]) -> NodeInfo:
    """Return code and Python versions of this node, and which folders it does not see."""
    missing = tuple(folder for folder in folders if not Path(folder).is_dir())
    return NodeInfo(code_version(), platform.python_version(), missing)


def check_nodes(folders: Sequence[Path]) -> dict[str, NodeInfo]:
    """Check that each node of the running Ray has the driver's code and sees some folders.

    Args:
        folders: folders that trials read and write.
    Returns:
        node's name -> its code, Python and missing folders.
    Raises:
        ServiceError: a node can't train; names it and says what to do.
    """
    answers = on_every_node(node_info, [str(folder) for folder in folders])
    infos = {node.name: info for node, info in answers.items()}
    check_node_infos(infos, node_info([]))
    return infos


def check_node_infos(infos: Mapping[str, NodeInfo], here: NodeInfo) -> None:
    """Raise a ServiceError for the first node that differs from `here` or misses a folder."""
    for name, info in infos.items():
        if info.code != here.code:
            raise ServiceError(
                f"Ray's node {name} has tauopt {info.code}, this driver {here.code}: install the "
                "same on every node"
            )
        if info.python.rpartition(".")[0] != here.python.rpartition(".")[0]:
            raise ServiceError(
                f"Ray's node {name} has Python {info.python}, this driver {here.python}: Ray "
                "needs the same on every node"
            )
        if info.missing:
            raise ServiceError(
                f"Ray's node {name} does not see {', '.join(info.missing)}: the output folder "
                "(-o) must lie where all nodes share it under one path"
            )


class NodeWatch:
    """Nodes of a cluster while a search runs: each is checked, and gets a copy of the dataset."""

    def __init__(self, *, shared: Path, dataset: Path, on_message: Callable[[str], None]) -> None:
        """Take the folders that trials need.

        Args:
            shared: folder of the search, which all nodes must see.
            dataset: folder of the prepared dataset, named by its digest; a node that does not see
                it gets a copy at the same path, once.
            on_message: called with messages about copies and nodes that join, in the calling
                thread.
        """
        self._shared, self._dataset = shared, dataset
        self._on_message = on_message
        self._driver_info = node_info([])
        self._known: set[str] = set()
        self._pending: dict[RayNode, Any] = {}
        self._copying: threading.Thread | None = None
        self._counted_at = 0.0
        self.fault: ServiceError | None = None
        """The error of a node that joined and can't train; None if there is none."""

    def check(self) -> None:
        """Check all present nodes, and wait until each has the dataset.

        Raises:
            ServiceError: a node can't train; names it and says what to do.
        """
        for node, info in on_every_node(node_info, self._folders()).items():
            self._known.add(node.id)
            if self._lacks_data(node, info):
                self._on_message(f"copying {self._dataset.name} to node {node.name}")
                copy_to_node(self._dataset, node.id)

    def watch(self) -> str:
        """Check nodes that have joined; return the fault of one that can't train, else empty.

        Never blocks: answers are collected when they have come, and a thread copies the dataset.
        """
        now = time.monotonic()
        if self.fault is None and now >= self._counted_at + _COUNT_EVERY_S:
            self._counted_at = now
            self._check_new_nodes()
        return str(self.fault or "")

    def _folders(self) -> list[str]:
        return [str(self._shared), str(self._dataset)]

    def _check_new_nodes(self) -> None:
        for node in training_nodes():
            if node.id not in self._known:
                self._known.add(node.id)
                self._pending[node] = start_on_node(node, node_info, self._folders())
        for node, task in list(self._pending.items()):
            if self._copying and self._copying.is_alive():
                return  # one copy after another
            self._try(node, partial(self._take_answer, node, task))

    def _take_answer(self, node: RayNode, task: Any) -> None:
        info = results_within(0, {node: task}).get(node)
        if info is None:
            return
        del self._pending[node]
        self._on_message(f"node {node.name} has joined")
        if self._lacks_data(node, info):
            self._on_message(f"copying {self._dataset.name} to it")
            copy = partial(self._try, node, partial(copy_to_node, self._dataset, node.id))
            self._copying = threading.Thread(target=copy, daemon=True)
            self._copying.start()

    def _try(self, node: RayNode, step: Callable[[], None]) -> None:
        """Run a step and keep its error as the fault, unless the node has left the cluster."""
        try:
            step()
        except ServiceError as error:
            self._pending.pop(node, None)
            if node in training_nodes():
                self.fault = error

    def _lacks_data(self, node: RayNode, info: NodeInfo) -> bool:
        """Return whether a node lacks the dataset; raise if it can't train for another reason."""
        data = str(self._dataset)
        others = tuple(folder for folder in info.missing if folder != data)
        check_node_infos({node.name: replace(info, missing=others)}, self._driver_info)
        return data in info.missing
