"""How long a call takes for a candidate, on one core and whatever else the machine does.

What is measured is the processor's time of the whole process, while all its threads are bound to
one core: a call that has to wait for other processes is not slower for it. It holds TensorFlow's
overhead of a call, some 0.1 ms, the same for all networks. A process with several threads also
pays for handing work from one to the other, so compare what had as many.
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
"""Calls that are not counted: memory is taken, and caches are filled."""
REPEATS = (7, 500)
"""Calls that are counted: at least, and at most."""
BUDGET_S = 0.15
"""Between the two, calls are repeated for so long."""
_ONE_SIGMA = (0.16, 0.84)
_THREADS = Path("/proc/self/task")


def latencies(
    costs: Sequence[CostName],
    network: keras.Model,
    inputs: Mapping[str, npt.NDArray[Any]],
    *,
    predictor: Predictor | None = None,
) -> dict[str, Estimate]:
    """Measure the latencies among some costs; the network runs on the processor, never on a GPU.

    Args:
        costs: those that are no latencies are passed over.
        network: with its weights.
        inputs: candidates, (candidate, ...) each; repeated where a batch needs more of them.
        predictor: of the network, if it is traced already.
    Returns:
        microseconds a candidate by the cost's name.
    """
    batches = {str(cost): cost.batch for cost in costs if cost.quantity == "latency_us"}
    if not batches:
        return {}
    with tf.device("/CPU:0"):
        if predictor is None or tf.config.list_logical_devices("GPU"):
            predictor = Predictor(copy_of(network))
        return {
            name: latency(predictor.calling(_first(inputs, batch)), candidates=batch)
            for name, batch in batches.items()
        }


def copy_of(network: keras.Model) -> keras.Model:
    """Return the network with its weights, anew: its variables lie where it is called."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def _first(inputs: Mapping[str, npt.NDArray[Any]], candidates: int) -> dict[str, Any]:
    return {name: x[np.arange(candidates) % len(x)] for name, x in inputs.items()}


def latency(call: Callable[[], object], *, candidates: int) -> Estimate:
    """Return the microseconds that a call takes for each of its candidates.

    Args:
        call: runs the network on so many candidates and waits for the result.
        candidates: in a call.
    Returns:
        The median of many calls, and between which two values 68 % of them lie.
    """
    with one_core():
        for _ in range(WARM_UP):
            call()
        seconds = np.array(_repeated(call))
    low, value, high = np.quantile(seconds, (_ONE_SIGMA[0], 0.5, _ONE_SIGMA[1]))
    unit = 1e6 / candidates
    return Estimate(float(value * unit), float(low * unit), float(high * unit))


def _repeated(call: Callable[[], object]) -> list[float]:
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

    Processes that measure at the same time take different cores, by their ids. On a system
    without affinities nothing is bound.
    """
    before = {thread: _cores(thread) for thread in _threads()}
    ours = sorted(before.get(os.getpid(), ()))
    try:
        for thread in before:
            _bind(thread, {ours[os.getpid() % len(ours)]})
        yield
    finally:
        for thread in _threads():  # those that began in the block too
            _bind(thread, before.get(thread) or set(ours))


def _threads() -> list[int]:
    return [int(entry.name) for entry in _THREADS.iterdir()] if _THREADS.is_dir() else []


def _cores(thread: int) -> set[int]:
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        return set(os.sched_getaffinity(thread))
    return set()


def _bind(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if cores:
            os.sched_setaffinity(thread, cores)
