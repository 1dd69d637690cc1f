"""A function on every node of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tauopt.errors import ServiceError

WAIT_S = 180.0
"""How long a node may take: its first task imports what it needs."""

R = TypeVar("R")


def on_every_node(
    function: Callable[..., R], *arguments: Any, wait_s: float = WAIT_S
) -> dict[str, R]:
    """Run a function of a module once on each node that trains, in the Ray that is running.

    Args:
        function: of a module that the nodes have too; it travels by its name.
        arguments: of it.
        wait_s: how long they may take together.
    Returns:
        node, as `host (address)` -> what the function returned there.
    Raises:
        ServiceError: a node can't run it; says which, and why.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(num_cpus=0, max_retries=1)(function)
    asked = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) > 0:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            asked[name] = remote.options(scheduling_strategy=here).remote(*arguments)
    ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=wait_s)
    return {name: _result(name, task, task in ready) for name, task in asked.items()}


def _result(name: str, task: Any, is_ready: bool) -> Any:
    import ray

    if not is_ready:
        raise ServiceError(f"Ray's node {name} does not answer; take it out of the cluster")
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[-1]
        raise ServiceError(
            f"Ray's node {name} can't run tauopt: {cause}; install the same tauopt on every node"
        ) from error
