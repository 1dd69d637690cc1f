"""A function on the nodes of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from tauopt.errors import ServiceError

WAIT_S = 180.0
"""How long a node may take: its first task imports what it needs."""


R = TypeVar("R")


class RayNode(NamedTuple):
    """A node that trains."""

    id: str
    name: str
    """`host (address)`."""


def training_nodes() -> list[RayNode]:
    """Return the nodes with a CPU of the Ray that is running."""
    import ray

    return [
        RayNode(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})")
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) > 0
    ]


def ask(node: RayNode, function: Callable[..., Any], *arguments: Any) -> Any:
    """Let a node run a function of a module that it has too; returns Ray's promise of a result."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node.id, soft=False)
    remote = ray.remote(num_cpus=0, max_retries=1)(function)
    return remote.options(scheduling_strategy=here).remote(*arguments)


def answers(asked: Mapping[RayNode, Any], *, wait_s: float) -> dict[RayNode, Any]:
    """Return what nodes have answered within a time; those that have not are left out.

    Raises:
        ServiceError: a node can't run it; says which, and why.
    """
    import ray

    promises = list(asked.values())
    ready, _ = ray.wait(promises, num_returns=len(promises), timeout=wait_s)
    return {node: _result(node, task) for node, task in asked.items() if task in ready}


def on_every_node(function: Callable[..., R], *arguments: Any) -> dict[RayNode, R]:
    """Run a function once on each node that trains.

    Ray takes half a minute to see that a node has died: one that is gone by then is left out.

    Raises:
        ServiceError: a node can't run it, or does not answer; says which.
    """
    asked = {node: ask(node, function, *arguments) for node in training_nodes()}
    found: dict[RayNode, R] = {}
    give_up = time.monotonic() + WAIT_S
    for node, task in asked.items():
        try:
            found |= answers({node: task}, wait_s=max(0.0, give_up - time.monotonic()))
            if node not in found:
                raise ServiceError(
                    f"Ray's node {node.name} does not answer; take it out of the cluster"
                )
        except ServiceError:
            if node in training_nodes():
                raise
    return found


def _result(node: RayNode, task: Any) -> Any:
    import ray

    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[-1]
        raise ServiceError(
            f"Ray's node {node.name} can't run tauopt: {cause}; install the same tauopt on every "
            "node"
        ) from error
