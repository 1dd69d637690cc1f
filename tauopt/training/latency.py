"""Inference latency a candidate, on one core.

Measured is the CPU time of the whole process while all its threads are bound to one core, so
waiting for other processes does not count. It includes TensorFlow's overhead of a call, some
0.1 ms, the same for all networks. Threads also cost time to pass work to each other, so compare
only latencies that were measured with the same number of threads.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tauopt.config.settings.objective import CostName
from tauopt.metrics.estimate import Estimate
from tauopt.training.prediction import Predictor

WARM_UP = 5
"""Calls before the measurement, which allocate memory and fill caches."""
REPEATS = (7, 500)
"""Smallest and largest number of measured calls."""
BUDGET_S = 0.15
"""CPU time after which calls are no longer repeated, if the smallest number is reached."""
_ONE_SIGMA = (0.16, 0.84)
"""Quantiles of the 68 % interval."""
_THREADS = Path("/proc/self/task")


def latencies(
    costs: Sequence[CostName],
    network: keras.Model,
    inputs: Mapping[str, npt.NDArray[Any]],
    *,
    predictor: Predictor | None = None,
) -> dict[str, Estimate]:
    """Measure the latencies among some costs; the network runs on the CPU, never on a GPU.

    Args:
        costs: names of costs; those that are no latencies are skipped.
        network: with its weights.
        inputs: arrays by input name, (candidate, ...) each; candidates are repeated where a batch
            needs more of them.
        predictor: predictor of the network, if one is traced already.
    Returns:
        cost's name -> latency in microseconds a candidate.
    """
    batches = {str(cost): cost.batch for cost in costs if cost.quantity == "latency_us"}
    if not batches:
        return {}
    with tf.device("/CPU:0"):
        if predictor is None or tf.config.list_logical_devices("GPU"):
            predictor = Predictor(copy_of(network))
        return {
            name: latency(
                predictor.calling({k: x[np.arange(batch) % len(x)] for k, x in inputs.items()}),
                candidates=batch,
            )
            for name, batch in batches.items()
        }


def copy_of(network: keras.Model) -> keras.Model:
    """Return a copy of the network with its weights, with variables on the present device."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def latency(call: Callable[[], object], *, candidates: int) -> Estimate:
    """Return the latency of a call in microseconds a candidate.

    Args:
        call: runs the network on `candidates` candidates and waits for the result.
        candidates: number of candidates in a call.
    Returns:
        the median of many calls, with the central interval of 68 % of them.
    """
    with one_core():
        for _ in range(WARM_UP):
            call()
        seconds = np.array(_call_times(call))
    low, value, high = np.quantile(seconds, (_ONE_SIGMA[0], 0.5, _ONE_SIGMA[1]))
    unit = 1e6 / candidates
    return Estimate(float(value * unit), float(low * unit), float(high * unit))


def _call_times(call: Callable[[], object]) -> list[float]:
    """Return the CPU times of repeated calls, in seconds."""
    least, most = REPEATS
    seconds: list[float] = []
    while len(seconds) < least or (len(seconds) < most and sum(seconds) < BUDGET_S):
        begun = time.process_time()
        call()
        seconds.append(time.process_time() - begun)
    return seconds


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Bind every thread of this process to one core for the length of the block.

    Processes that measure at the same time take different cores, by their process ids. On a system
    without CPU affinities nothing is bound.
    """
    before = {thread: _cores(thread) for thread in _threads()}
    cores = sorted(before.get(os.getpid(), ()))
    try:
        for thread in before:
            _bind(thread, {cores[os.getpid() % len(cores)]})
        yield
    finally:
        for thread in _threads():  # also those that were started in the block
            _bind(thread, before.get(thread) or set(cores))


def _threads() -> list[int]:
    return [int(entry.name) for entry in _THREADS.iterdir()] if _THREADS.is_dir() else []


def _cores(thread: int) -> set[int]:
    with contextlib.suppress(ProcessLookupError):  # the thread has ended meanwhile
        return set(os.sched_getaffinity(thread))
    return set()


def _bind(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if cores:
            os.sched_setaffinity(thread, cores)
