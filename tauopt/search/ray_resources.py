"""Ray as a search needs it: how many trials run at a time, and quiet."""

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
    # Its CSV, JSON and TensorBoard loggers cost time, and MLflow has it all.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Signals are ours: see `driver`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
    # The study is the state: Ray's own snapshots would be read by nobody.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
}
_WORKER = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONWARNINGS": "ignore",
}

_SLOTS_S = 2.0


def environment() -> contextlib.AbstractContextManager[None]:
    """Set what Ray reads from the environment for the length of the block."""
    return start_ray.environment({**_DRIVER, **_WORKER})


@contextlib.contextmanager
def running_ray(resources: Resources) -> Iterator[Callable[[], int]]:
    """Give Ray for the length of the block, and a function that says how many trials may run now.

    A Ray that runs in this process already is used and left running.

    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined, or is too small for a trial.
        UsageError: GPUs are asked for and there are none.
    """
    with start_ray.running(cpus=cpus_offered(resources), variables=_WORKER) as offered:
        check_fits(resources, offered)
        yield Slots(resources)


class Slots:
    """How many trials Ray can run now: nodes come and go."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._asked = float("-inf")
        self._number = 0

    def __call__(self) -> int:
        """Return the number, of a few seconds ago at most."""
        import ray

        now = time.monotonic()
        if now >= self._asked + _SLOTS_S:
            self._asked = now
            self._number = fitting(self._resources, ray.cluster_resources())
        return self._number


def cpus_offered(resources: Resources) -> int:
    """Return the CPUs that Ray is told of: the machine's, or as many as are asked for.

    A concurrency that was asked for is given, at the price of sharing cores.
    """
    return max(machine_cpus(), math.ceil(max(resources.concurrent, 1) * resources.cpus))


def check_fits(resources: Resources, offered: Mapping[str, Any]) -> None:
    """Check that a trial fits; arguments as of `fitting`.

    Raises:
        ServiceError: not even one trial fits.
        UsageError: GPUs are asked for and there are none.
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
    """Return how many trials fit, and not more than were asked for.

    Args:
        resources: what a trial takes, and the concurrency asked for.
        offered: what Ray has: `CPU`, `GPU`.
    """
    cpus, gpus = float(offered.get("CPU", 0)), float(offered.get("GPU", 0))
    fits = math.floor(cpus / resources.cpus + 1e-9)
    if resources.gpus:
        whole = resources.gpus >= 1
        a_gpu = 1 / resources.gpus if not whole else 0.0
        on_gpus = gpus // resources.gpus if whole else gpus * math.floor(a_gpu + 1e-9)
        fits = min(fits, int(on_gpus))
    return min(resources.concurrent, fits) if resources.concurrent else fits
