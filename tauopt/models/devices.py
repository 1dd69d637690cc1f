"""Processors, threads and GPUs of a process: the one place that sets them or lists them.

`limit_process` works by the environment and must come before TensorFlow is imported, so this
module imports it in the functions that need it.
"""

from __future__ import annotations

import logging
import math
import os

logger = logging.getLogger(__name__)

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def limit_process(cpus: float, gpus: float) -> None:
    """Give this process as many threads as a trial has CPUs, and no GPU if the trial has none.

    Must come before the libraries are imported. TensorFlow's own threads and its GPU memory are
    limited by `limit_devices`.
    """
    threads = str(max(1, round(cpus)))
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, threads))
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def limit_devices(*, cpus: float | None = None) -> int:
    """Limit TensorFlow to some threads, and let it take GPU memory only as it needs it.

    Two trials of one thread each are faster than one of two threads, and several trials may share
    a GPU. The first caller's choice stays, and what TensorFlow has begun to use can't be changed.

    Args:
        cpus: of the trial; None means all that the process may use.
    Returns:
        the number of threads.
    """
    import tensorflow as tf

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
        logger.debug("TensorFlow keeps the devices that it has initialised: %s", error)
    return threads


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow sees, in TensorFlow's order."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [str(detail.get("device_name", "GPU")) for detail in details]


def hide_gpus() -> None:
    """Hide all GPUs from TensorFlow in this process, which trains nothing and needs none."""
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        logger.debug("TensorFlow keeps the devices that it has initialised: %s", error)
