"""Who reads the files of a dataset: this process, or workers of Ray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tauopt.cluster.ray_tasks import MapOnRay
    from tauopt.prepare.collect_extracts import Parallel

PAYS_FROM = 2 * 10**9
"""Bytes of files from which Ray is started by itself. It takes 10 s until its workers read, in
which one process reads about 0.8 GB."""


def readers(workers: int | None = None) -> Parallel:
    """Return who reads the files.

    Args:
        workers: processes that read; 1 is this one. By default Ray's, as many as there are CPUs,
            where `RAY_ADDRESS` names a cluster or the files are large, and else this one.
    """
    return partial(_choose, workers)


def _choose(workers: int | None, sizes: Sequence[int]) -> AbstractContextManager[MapOnRay | None]:
    if not is_worth_it(workers, sizes):
        return nullcontext()
    from tauopt.cluster import ray_tasks

    return ray_tasks.workers(workers)


def is_worth_it(workers: int | None, sizes: Sequence[int]) -> bool:
    """Say whether Ray reads files of some sizes, in bytes."""
    if len(sizes) < 2 or workers == 1:
        return False
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    large = sum(sizes) >= PAYS_FROM and len(os.sched_getaffinity(0)) > 1
    return workers is not None or cluster or large
