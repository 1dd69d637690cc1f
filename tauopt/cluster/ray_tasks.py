"""A function on many tasks, each in one of Ray's processes, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from tauopt.cluster import start_ray
from tauopt.errors import ServiceError

RETRIES = 3
"""Times that a task is begun again if its process is killed."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""A task has one core."""

T = TypeVar("T")
R = TypeVar("R")


class MapOnRay(Protocol):
    """Runs a function on tasks."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[R]:
        """Yield results as they come; see `run_tasks`."""


@contextlib.contextmanager
def workers(most: int | None = None) -> Iterator[MapOnRay]:
    """Give a map over Ray's processes for the length of the block.

    Args:
        most: tasks that run at a time [default: as many as there are CPUs].
    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined.
    """
    cpus = most or start_ray.machine_cpus()
    with start_ray.environment(ONE_THREAD), start_ray.running(cpus=cpus, variables=ONE_THREAD):
        yield partial(run_tasks, most=most)


def run_tasks(
    function: Callable[[T], R], tasks: Sequence[T], *, most: int | None = None
) -> Iterator[R]:
    """Run a function of a module on each of some tasks, which travel by pickle as results do.

    Yields:
        results as they come, in any order.
    Raises:
        ServiceError: a process died again and again.
        Exception: whatever `function` raises first; tasks that run then are cut short.
    """
    import ray

    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
    left = iter(tasks)
    running = [remote.remote(task) for task in islice(left, most)]
    try:
        while running:
            done, running = ray.wait(running)
            running += [remote.remote(task) for task in islice(left, len(done))]
            yield from map(_result, done)
    finally:
        for one in running:
            ray.cancel(one)


def _result(done: object) -> object:
    import ray

    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise ServiceError(
            f"a worker of Ray died {RETRIES + 1} times at the same task: "
            f"{' '.join(str(error).split())[:300]}; was it killed for its memory?"
        ) from error
