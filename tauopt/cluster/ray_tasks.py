"""Parallel map: a function on many inputs in Ray's worker processes, here or on a cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from tauopt.cluster import start_ray
from tauopt.errors import ServiceError

RETRIES = 3
"""How often a task is started again after its process was killed."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""Environment of a task's process: numeric libraries use the one core that the task has."""
PAYS_FROM = 2 * 10**9
"""Bytes of files from which Ray is started unasked: it takes 10 s until its workers read, in which
one process reads about 0.8 GB."""

T = TypeVar("T")
R = TypeVar("R")


class MapOnRay(Protocol):
    """A parallel map over Ray's worker processes."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[R]:
        """Yield results as they finish; see `run_tasks`."""


@contextlib.contextmanager
def workers(most: int | None = None) -> Iterator[MapOnRay]:
    """Start or join Ray for the length of the block, and yield a parallel map over its processes.

    Args:
        most: largest number of tasks at a time; None means the number of CPUs.
    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined.
    """
    cpus = most or start_ray.machine_cpus()
    with start_ray.environment(ONE_THREAD), start_ray.running(cpus=cpus, variables=ONE_THREAD):
        yield partial(run_tasks, most=most)


def readers(
    most: int | None = None,
) -> Callable[[Sequence[int]], AbstractContextManager[MapOnRay | None]]:
    """Return the function that chooses who reads files, by their sizes in bytes.

    It returns a context manager, of a parallel map over Ray's processes or of None: this process
    reads.

    Args:
        most: processes that read; 1 means this one. None means as many of Ray's as there are CPUs
            where `RAY_ADDRESS` names a cluster or the files are large, and else this one.
    """

    def choose(sizes: Sequence[int]) -> AbstractContextManager[MapOnRay | None]:
        return workers(most) if is_worth_it(most, sizes) else nullcontext()

    return choose


def is_worth_it(most: int | None, sizes: Sequence[int]) -> bool:
    """Return whether Ray reads files of these sizes in bytes; `most` as in `readers`."""
    if len(sizes) < 2 or most == 1:
        return False
    has_cluster = bool(os.environ.get(start_ray.ADDRESS))
    is_large = sum(sizes) >= PAYS_FROM and len(os.sched_getaffinity(0)) > 1
    return most is not None or has_cluster or is_large


def run_tasks(
    function: Callable[[T], R], tasks: Sequence[T], *, most: int | None = None
) -> Iterator[R]:
    """Apply a function to each task in Ray's worker processes.

    Args:
        function: function of a module.
        tasks: one argument of the function each; arguments and results are pickled.
        most: largest number of tasks at a time; None means as many as Ray can run.
    Yields:
        results as they finish, in any order.
    Raises:
        ServiceError: the process of a task died at every attempt.
        Exception: the first exception of `function`; other running tasks are cancelled.
    """
    import ray

    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
    remaining = iter(tasks)
    running = [remote.remote(task) for task in islice(remaining, most)]
    try:
        while running:
            finished, running = ray.wait(running)
            running += [remote.remote(task) for task in islice(remaining, len(finished))]
            yield from map(_result, finished)
    finally:
        for reference in running:
            ray.cancel(reference)


def _result(finished: object) -> object:
    import ray

    try:
        return ray.get(finished)
    except ray.exceptions.RayTaskError as error:  # raised by `function`: pass on the original
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise ServiceError(
            f"a worker of Ray died {RETRIES + 1} times at the same task: "
            f"{' '.join(str(error).split())[:300]}; if it ran out of memory, use fewer workers"
        ) from error
