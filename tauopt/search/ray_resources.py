"""Ray's settings for a search, and how many trials run at a time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tauopt.cluster import start_ray
from tauopt.cluster.start_ray import machine_cpus
from tauopt.config.settings.experiment import Resources
from tauopt.errors import ServiceError, UsageError

_DRIVER = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TQDM": "0",
    # Its CSV, JSON and TensorBoard loggers cost time, and MLflow has their content.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The driver handles signals itself: see `driver`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
    # The study holds the state: Ray's own snapshots would never be read.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
}
_WORKER = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONWARNINGS": "ignore",
}

_SLOTS_S = 2.0
"""How often Ray's resources are read."""


def environment() -> contextlib.AbstractContextManager[None]:
    """Set Ray's environment variables for the length of the block."""
    return start_ray.environment({**_DRIVER, **_WORKER})


@contextlib.contextmanager
def running_ray(resources: Resources) -> Iterator[Callable[[], int]]:
    """Run Ray for the length of the block; yield a function that returns how many trials may run.

    A Ray that runs in this process already is used and left running.

    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined, or is too small for a trial.
        UsageError: the file requests GPUs and Ray has none.
    """
    with start_ray.running(cpus=cpus_offered(resources), variables=_WORKER) as offered:
        check_fits(resources, offered)
        yield Slots(resources)


class Slots:
    """Number of trials that Ray can run now, which changes as nodes join and leave."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._read_at = float("-inf")
        self._number = 0

    def __call__(self) -> int:
        """Return the number as of `_SLOTS_S` ago at most."""
        import ray

        now = time.monotonic()
        if now >= self._read_at + _SLOTS_S:
            self._read_at = now
            self._number = fitting(self._resources, ray.cluster_resources())
        return self._number


def cpus_offered(resources: Resources) -> int:
    """Return the CPUs that Ray may use: the machine's, or more if the concurrency needs more.

    So a requested concurrency is always reached, with trials that share cores.
    """
    return max(machine_cpus(), math.ceil(max(resources.concurrent, 1) * resources.cpus))


def check_fits(resources: Resources, offered: Mapping[str, Any]) -> None:
    """Check that a trial fits; arguments as for `fitting`.

    Raises:
        ServiceError: not even one trial fits.
        UsageError: the file requests GPUs and Ray has none.
    """
    cpus, gpus = float(offered.get("CPU", 0)), float(offered.get("GPU", 0))
    if resources.gpus and not gpus:
        raise UsageError(
            f"search.resources.gpus: {resources.gpus:g} a trial asked for, but Ray sees no GPU; "
            "set it to 0, or check `tauopt doctor`"
        )
    if fitting(resources, offered) < 1:
        raise ServiceError(
            f"a trial takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, but Ray has "
            f"{cpus:g} and {gpus:g}: lower search.resources"
        )


def fitting(resources: Resources, offered: Mapping[str, Any]) -> int:
    """Return how many trials fit at a time, at most the requested concurrency.

    Args:
        resources: CPUs and GPUs of a trial, and the requested concurrency (0: as many as fit).
        offered: Ray's resources: `CPU`, `GPU`.
    """
    cpus, gpus = float(offered.get("CPU", 0)), float(offered.get("GPU", 0))
    fits = math.floor(cpus / resources.cpus + 1e-9)  # 0.3 / 0.1 is 2.999... in floating point
    if resources.gpus >= 1:
        fits = min(fits, int(gpus // resources.gpus))
    elif resources.gpus:  # fractions of one GPU: a trial is never spread over two
        fits = min(fits, int(gpus * math.floor(1 / resources.gpus + 1e-9)))
    return min(resources.concurrent, fits) if resources.concurrent else fits
