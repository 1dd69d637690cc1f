"""Ray: started in-process on the loopback, or joined where `RAY_ADDRESS` says."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tauopt.cluster._internals import loopback_only, nodes_not_printed
from tauopt.errors import ServiceError

ADDRESS = "RAY_ADDRESS"
NICENESS = "RAY_worker_niceness"
logger = logging.getLogger(__name__)
_LOOPBACK = "127.0.0.1"
_OBJECT_STORE_BYTES = 100 * 2**20
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
_DEFAULTS = {NICENESS: "0"}
"""What anybody may set otherwise. Ray's own 15 comes on top of the caller's niceness: beside other
work its processes would starve, also those that are to stop."""
_SHARED_MEMORY = Path("/dev/shm")
_SHORT = (Path("/tmp"), Path("/var/tmp"), _SHARED_MEMORY)
_LONGEST = 107 - 67
"""Bytes of a Unix socket's path, less those that Ray takes below its folder."""
_UNWANTED = ("PYTHONDONTWRITEBYTECODE",)
"""Makes each fresh worker import TensorFlow in twice the time."""


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set what Ray and its workers read from the environment for the length of the block."""
    defaults = {name: os.environ.get(name, value) for name, value in _DEFAULTS.items()}
    wanted = {**_QUIET, **defaults, **variables}
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
def running(*, cpus: int, variables: Mapping[str, str]) -> Iterator[dict[str, float]]:
    """Give Ray for the length of the block, and what it offers: `CPU`, `GPU`.

    A Ray that runs in this process already is used and left running.

    Args:
        cpus: that Ray is told of if it is started here.
        variables: environment of the workers; of a Ray started here it is this process's.
    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined, Ray does not start here, or it
            can't be kept on the loopback.
    """
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    with nodes_not_printed():
        if ray.is_initialized():
            yield ray.cluster_resources()
            return
        own, before = contextlib.ExitStack(), signal.getsignal(signal.SIGTERM)
        try:
            if os.environ.get(ADDRESS):
                _join(variables)
            else:
                session = _start(cpus, own.enter_context(own_place()))
                own.callback(shutil.rmtree, session, ignore_errors=True)
            _on_sigterm(before)  # Ray takes it for itself when it starts, and would exit with 15
            yield ray.cluster_resources()
        finally:
            ray.shutdown()
            _on_sigterm(before)  # Ray leaves it to the system in the end, unknown to Python
            own.close()


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


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


def _join(variables: Mapping[str, str]) -> None:
    import ray

    address = os.environ[ADDRESS]
    _check_address(address)
    try:
        ray.init(
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": dict(variables)},
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ServiceError(
            f"can't join the Ray cluster at {ADDRESS}={address}: {error}; start it, or unset "
            f"{ADDRESS} to use this machine alone"
        ) from None


@contextlib.contextmanager
def own_place() -> Iterator[Path | None]:
    """Give a short folder for Ray's files where it can't use that of the environment, else None.

    Ray puts Unix sockets below `RAY_TMPDIR` or `TMPDIR`, whose paths the system limits; batch
    jobs are often given longer ones. The folder is removed in the end.

    Raises:
        ServiceError: there is no such folder on this machine.
    """
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "")
    given = Path(os.environ[name]) if name else _SHORT[0]
    why = _unfit(given)
    if not why:
        yield None
        return
    place = next((place for place in _SHORT if not _unfit(place)), None)
    if place is None:
        raise ServiceError(
            f"Ray has no place for its files: {given} {why}, nor can it use "
            f"{', '.join(map(str, _SHORT[1:]))}; name a short folder in RAY_TMPDIR"
        )
    with tempfile.TemporaryDirectory(prefix="ray-", dir=place, ignore_cleanup_errors=True) as made:
        logger.info("Ray's files are in %s: %s=%s %s", made, name, given, why)
        yield Path(made) / "r"  # Ray opens it to everybody; nobody else gets that far


def _unfit(place: Path) -> str:
    """Say why Ray can't put its files below a folder; empty if it can."""
    if not place.is_absolute():
        return "is no absolute path"
    if len(os.fsencode(place)) > _LONGEST:
        return f"is longer than the {_LONGEST} bytes that leave room for a Unix socket's name"
    return "" if os.access(place, os.W_OK | os.X_OK) else "does not exist or can't be written"


def _start(cpus: int, place: Path | None) -> Path:
    """Start Ray on this machine alone; returns its session's folder.

    Args:
        cpus: that Ray is told of.
        place: folder for its files; None leaves it to Ray.
    Raises:
        ServiceError: it does not start.
    """
    import ray

    # Ray lets in only who knows a token (unless RAY_AUTH_MODE says otherwise), and would write
    # a new one into the home folder: one of our own in the environment is enough.
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with loopback_only():
        try:
            context = ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=str(place) if place else None,
            )
        except Exception as error:
            first = str(error).strip().partition("\n")[0]
            raise ServiceError(
                f"Ray does not start on this machine: {type(error).__name__}: {first}; it needs a "
                f"short, writable folder (RAY_TMPDIR), room in {_SHARED_MEMORY} and processes "
                "(ulimit -u)"
            ) from error
        if (address := ray.util.get_node_ip_address()) != _LOOPBACK:
            raise ServiceError(
                f"Ray {ray.__version__} listens at {address}, which others may reach, not "
                f"{_LOOPBACK} alone; pip install --upgrade tauopt brings one that is known not to"
            )
    return Path(context.address_info["session_dir"])


def machine_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0))
