"""Start Ray on this machine's loopback, or join the cluster at `RAY_ADDRESS`."""

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

from tauopt.cluster._ray_internals import loopback_only, nodes_not_printed
from tauopt.errors import ServiceError

ADDRESS = "RAY_ADDRESS"
NICENESS = "RAY_worker_niceness"
logger = logging.getLogger(__name__)
_LOOPBACK = "127.0.0.1"
_OBJECT_STORE_BYTES = 100 * 2**20
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
_DEFAULTS = {NICENESS: "0"}
"""Defaults that the user's environment overrides. Ray would add 15 to the caller's niceness: beside
other work its processes would starve, also those that are to stop."""
_SHARED_MEMORY = Path("/dev/shm")
_SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"), _SHARED_MEMORY)
_LONGEST_BYTES = 107 - 67
"""Longest path of a Unix socket, less what Ray appends to the path of its folder."""
_REMOVED = ("PYTHONDONTWRITEBYTECODE",)
"""Variables that workers must not have: with this one each new worker needs twice the time to
import TensorFlow."""


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set the environment variables of Ray and its workers for the length of the block."""
    defaults = {name: os.environ.get(name, value) for name, value in _DEFAULTS.items()}
    changes = {**_QUIET, **defaults, **variables}
    before = {name: os.environ.get(name) for name in (*changes, *_REMOVED)}
    os.environ.update(changes)
    for name in _REMOVED:
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
    """Run Ray for the length of the block, and yield its resources: counts of `CPU`, `GPU`, ...

    A Ray that runs in this process already is used and left running.

    Args:
        cpus: CPUs that Ray may use if it is started here.
        variables: environment of the workers on a cluster; workers of a Ray that is started here
            inherit this process's environment.
    Raises:
        ServiceError: the cluster at `RAY_ADDRESS` can't be joined, Ray does not start here, or it
            listens beyond the loopback.
    """
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    with nodes_not_printed():
        if ray.is_initialized():
            yield ray.cluster_resources()
            return
        folders, before = contextlib.ExitStack(), signal.getsignal(signal.SIGTERM)
        try:
            if os.environ.get(ADDRESS):
                _join(variables)
            else:
                session = _start(cpus, folders.enter_context(short_folder()))
                folders.callback(shutil.rmtree, session, ignore_errors=True)
            _on_sigterm(before)  # Ray's start installs a handler that would exit with 15
            yield ray.cluster_resources()
        finally:
            ray.shutdown()
            _on_sigterm(before)  # Ray's end resets the handler to the system's default
            folders.close()


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
        signal.signal(signal.SIGTERM, handler)


def _check_address(address: str) -> None:
    """Raise a ServiceError if nothing listens at a cluster's address."""
    # Checked before Ray connects: Ray itself would retry for minutes.
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    if not parts.hostname or not parts.port:
        return
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except OSError as error:
        raise ServiceError(
            f"no cluster answers at {ADDRESS}={address} ({error.strerror or error}); start "
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
def short_folder() -> Iterator[Path | None]:
    """Make a short temporary folder for Ray's files; yield None if Ray can use the default one.

    Ray puts Unix sockets below `RAY_TMPDIR` or `TMPDIR`. The system limits the length of a socket's
    path, and the folders of batch jobs are often too long. The folder is removed after the block.

    Raises:
        ServiceError: no folder on this machine is short enough and writable.
    """
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "")
    default = Path(os.environ[name]) if name else _SHORT_FOLDERS[0]
    problem = _folder_problem(default)
    if not problem:
        yield None
        return
    parent = next((folder for folder in _SHORT_FOLDERS if not _folder_problem(folder)), None)
    if parent is None:
        raise ServiceError(
            f"Ray has no folder for its files: {default} {problem}, and "
            f"{', '.join(map(str, _SHORT_FOLDERS[1:]))} can't be used either; name a short, "
            "writable folder in RAY_TMPDIR"
        )
    with tempfile.TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True) as top:
        logger.info("Ray's files are in %s: %s=%s %s", top, name, default, problem)
        # A subfolder: Ray opens it to all users, but only we may enter the folder above it.
        yield Path(top) / "r"


def _folder_problem(folder: Path) -> str:
    """Return why Ray can't put its files below a folder; empty if it can."""
    if not folder.is_absolute():
        return "is no absolute path"
    if len(os.fsencode(folder)) > _LONGEST_BYTES:
        return f"is longer than the {_LONGEST_BYTES} bytes that leave room for a Unix socket's name"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "does not exist or can't be written"


def _start(cpus: int, folder: Path | None) -> Path:
    """Start Ray on this machine alone, and return the folder of its session.

    Args:
        cpus: CPUs that Ray may use.
        folder: folder for its files; None means Ray's default.
    Raises:
        ServiceError: Ray does not start, or listens beyond the loopback.
    """
    import ray

    # Ray's processes accept only clients with a token (unless RAY_AUTH_MODE turns this off). Ray
    # would write a new token into the home folder; a random one in the environment is enough.
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
                _temp_dir=str(folder) if folder else None,
            )
        except Exception as error:
            line = str(error).strip().partition("\n")[0]
            raise ServiceError(
                f"Ray does not start on this machine: {type(error).__name__}: {line}; it needs a "
                f"short, writable folder (RAY_TMPDIR), room in {_SHARED_MEMORY} and processes "
                "(ulimit -u)"
            ) from error
        if (address := ray.util.get_node_ip_address()) != _LOOPBACK:
            raise ServiceError(
                f"Ray {ray.__version__} listens at {address}, which other machines may reach; "
                f"expected {_LOOPBACK}; pip install --upgrade tauopt installs a Ray that does so"
            )
    return Path(context.address_info["session_dir"])


def machine_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0))
