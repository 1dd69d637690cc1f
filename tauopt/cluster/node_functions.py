"""Run a function on chosen nodes of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from tauopt.errors import ServiceError

WAIT_S = 180.0
"""How long a node may take to answer: its first task imports TensorFlow and the rest."""

R = TypeVar("R")


class RayNode(NamedTuple):
    """A node of the cluster that can run trials."""

    id: str
    name: str
    """`host (address)`, for messages."""


def training_nodes() -> list[RayNode]:
    """Return the live nodes of the running Ray that offer CPUs."""
    import ray

    return [
        RayNode(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})")
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) > 0
    ]


def start_on_node(node: RayNode, function: Callable[..., Any], *arguments: Any) -> Any:
    """Start a function on a node, and return Ray's reference to the result.

    Args:
        node: from `training_nodes`.
        function: function of a module that is installed on the node, too.
        *arguments: arguments of the function; they are pickled.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    on_node = NodeAffinitySchedulingStrategy(node.id, soft=False)
    # No CPU is claimed: the node runs it at once, beside its trials.
    remote = ray.remote(num_cpus=0, max_retries=1)(function)
    return remote.options(scheduling_strategy=on_node).remote(*arguments)


def results_within(wait_s: float, tasks: Mapping[RayNode, Any]) -> dict[RayNode, Any]:
    """Return the results of the nodes that finish within a time; the others are left out.

    Args:
        wait_s: longest wait.
        tasks: node -> reference from `start_on_node`.
    Raises:
        ServiceError: a node can't run its function; the message names the node and the cause.
    """
    import ray

    references = list(tasks.values())
    ready, _ = ray.wait(references, num_returns=len(references), timeout=wait_s)
    return {node: _result(node, task) for node, task in tasks.items() if task in ready}


def on_every_node(function: Callable[..., R], *arguments: Any) -> dict[RayNode, R]:
    """Run a function once on each node that can run trials.

    Returns:
        node -> result; without nodes that died meanwhile.
    Raises:
        ServiceError: a node can't run the function or does not answer; the message names it.
    """
    tasks = {node: start_on_node(node, function, *arguments) for node in training_nodes()}
    results: dict[RayNode, R] = {}
    deadline = time.monotonic() + WAIT_S
    for node, task in tasks.items():
        try:
            results |= results_within(max(0.0, deadline - time.monotonic()), {node: task})
            if node not in results:
                raise ServiceError(
                    f"Ray's node {node.name} has not answered within {WAIT_S:g} s; remove it from "
                    "the cluster"
                )
        except ServiceError:
            # Ray takes half a minute to notice that a node has died: leave such a node out.
            if node in training_nodes():
                raise
    return results


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
