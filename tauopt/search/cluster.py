"""Ray: started in-process on the loopback, or joined where `RAY_ADDRESS` says."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tauopt.config.experiment import Resources
from tauopt.errors import ServiceError, UsageError

ADDRESS = "RAY_ADDRESS"
_OBJECT_STORE_BYTES = 100 * 2**20

_DRIVER = {
    "RAY_USAGE_STATS_ENABLED": "0",
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
_UNWANTED = ("PYTHONDONTWRITEBYTECODE",)
"""Makes each fresh worker import TensorFlow in twice the time."""


@contextlib.contextmanager
def environment() -> Iterator[None]:
    """Set what Ray reads from the environment for the length of the block."""
    wanted = {**_DRIVER, **_WORKER}
    before = {name: os.environ.get(name) for name in (*wanted, *_UNWANTED)}
    os.environ.update(wanted)
    for name in _UNWANTED:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def running_ray(resources: Resources) -> Iterator[int]:
    """Give Ray for the length of the block, and how many trials it runs at a time.

    A Ray that runs in this process already is used and left running.

    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined, or is too small for a trial.
        UsageError: GPUs are asked for and there are none.
    """
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield slots(resources, ray.cluster_resources())
        return
    session = None
    if os.environ.get(ADDRESS):
        _join()
    else:
        session = _start(resources)
    try:
        yield slots(resources, ray.cluster_resources())
    finally:
        ray.shutdown()
        if session is not None:
            shutil.rmtree(session, ignore_errors=True)


def _check_address(address: str) -> None:
    """Knock at a cluster's address first: Ray itself would try it for minutes."""
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    if not parts.hostname or not parts.port:
        return
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except OSError as error:
        raise ServiceError(
            f"nobody answers at {ADDRESS}={address} ({error.strerror or error}); start "
            f"the cluster, or unset {ADDRESS} to use this machine alone"
        ) from error


def _join() -> None:
    import ray

    address = os.environ[ADDRESS]
    _check_address(address)
    try:
        ray.init(
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": dict(_WORKER)},
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ServiceError(
            f"can't join the Ray cluster at {ADDRESS}={address}: {error}; start it, or unset "
            f"{ADDRESS} to use this machine alone"
        ) from None


def _start(resources: Resources) -> Path | None:
    """Start Ray on this machine alone; returns its session's folder."""
    import ray
    from ray._private import ray_constants

    # Listen on the loopback only, as Ray does by itself on macOS and Windows.
    ray_constants.ENABLE_RAY_CLUSTER = False
    # Ray lets in only who knows a token (unless RAY_AUTH_MODE says otherwise), and would write
    # a new one into the home folder: one of our own in the environment is enough.
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    context = ray.init(
        address="local",
        num_cpus=cpus_offered(resources),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    folder = context.address_info.get("session_dir")
    return Path(folder) if folder else None


def machine_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def cpus_offered(resources: Resources) -> int:
    """Return the CPUs that Ray is told of: the machine's, or as many as are asked for.

    A concurrency that was asked for is given, at the price of sharing cores.
    """
    return max(machine_cpus(), math.ceil(max(resources.concurrent, 1) * resources.cpus))


def slots(resources: Resources, offered: Mapping[str, Any]) -> int:
    """Return how many trials run at a time.

    Args:
        resources: what a trial takes, and the concurrency asked for.
        offered: what Ray has: `CPU`, `GPU`.
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
    fits = math.floor(cpus / resources.cpus + 1e-9)
    if resources.gpus:
        whole = resources.gpus >= 1
        a_gpu = 1 / resources.gpus if not whole else 0.0
        on_gpus = gpus // resources.gpus if whole else gpus * math.floor(a_gpu + 1e-9)
        fits = min(fits, int(on_gpus))
    if fits < 1:
        raise ServiceError(
            f"a trial takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, but Ray has "
            f"{cpus:g} and {gpus:g}: lower search.resources"
        )
    return min(resources.concurrent, fits) if resources.concurrent else fits
