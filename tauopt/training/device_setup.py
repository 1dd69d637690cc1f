"""Give TensorFlow its threads and GPU memory, before its first operation."""

from __future__ import annotations

import logging
import math
import os

import tensorflow as tf

logger = logging.getLogger(__name__)


def limit_devices(*, cpus: float | None = None) -> int:
    """Limit TensorFlow to some threads, and let it take GPU memory only as it needs it.

    Two trials of one thread each are faster than one of two threads, and several trials may share
    a GPU. The first caller's choice stays, and what TensorFlow has begun to use can't be changed.

    Args:
        cpus: of the trial; None means all that the process may use.
    Returns:
        the number of threads.
    """
    chosen = int(tf.config.threading.get_intra_op_parallelism_threads())
    if chosen:
        return chosen
    threads = len(os.sched_getaffinity(0)) if cpus is None else max(1, math.ceil(cpus))
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        logger.debug("devices stay as they are: %s", error)
    return threads
