"""Run MLflow's server with its web UI on the embedded store, as a child process."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import IO

from tauopt.errors import ServiceError
from tauopt.tracking.client import (
    artifact_folder,
    follow_moved_store,
    set_environment,
    shown,
    sqlite_file,
)

WAIT_S = 180.0
"""How long the server may take to answer; its imports take some 10 s on a quiet machine."""
_SWITCHED_OFF = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    # MLflow's assistant runs shell commands for every local user who reaches the port, and many
    # users may share this machine. In its sandbox it can't run commands on the host.
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
}
"""Services of the server that tauopt does not need, switched off for security."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@contextlib.contextmanager
def serving(uri: str, *, host: str, port: int, wait_s: float = WAIT_S) -> Iterator[str]:
    """Serve a store for the length of the block, and yield the address of the UI.

    Args:
        uri: address of a database, from `store_uri`.
        host: address to listen on; 127.0.0.1 accepts connections from this machine alone.
        port: port to listen on.
        wait_s: how long the server may take to answer.
    Raises:
        ServiceError: the port is taken, or the server ends or does not answer.
    """
    check_port(host, port)
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    address = f"http://{name}:{port}"
    with tempfile.TemporaryFile() as log:
        process = _start(uri, host, port, log)
        try:
            _wait(process, address, log, wait_s)
            yield address
        finally:
            _stop(process)


def check_port(host: str, port: int) -> None:
    """Raise a ServiceError if no server can listen on `port` of `host`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServiceError(
                f"can't listen on {host}:{port} ({error.strerror or error}); "
                "choose another port with --port, or stop the program that listens there"
            ) from error


def _start(uri: str, host: str, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    set_environment()
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
        "--host", host, "--port", str(port), "--workers", "1",
        "--uvicorn-opts", "--log-level warning",
    ]  # fmt: skip
    artifacts, file = artifact_folder(uri), sqlite_file(uri)
    if artifacts and file:
        follow_moved_store(file)
        command += ["--artifacts-destination", str(artifacts)]
    if host not in _LOOPBACK:
        command += ["--allowed-hosts", ",".join(_allowed_hosts(host, port))]
    environment = dict(os.environ, **_SWITCHED_OFF)
    environment.pop("MLFLOW_TRACKING_URI", None)
    # A new session: Ctrl-C reaches tauopt alone, which then ends the server with its workers.
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _allowed_hosts(host: str, port: int) -> list[str]:
    """Return the host names that requests may use; MLflow answers 403 to others."""
    from mlflow.server.security_utils import get_default_allowed_hosts

    names = {host, socket.gethostname(), socket.getfqdn()}
    return [*get_default_allowed_hosts(), *(f"{name}:{port}" for name in sorted(names))]


def _wait(process: subprocess.Popen[bytes], address: str, log: IO[bytes], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(address):
            return
        time.sleep(0.2)
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()[-8:]
    raise ServiceError(
        f"the MLflow server at {address} did not start"
        + (f" (exit code {process.returncode})" if process.poll() is not None else "")
        + (":\n  " + "\n  ".join(shown(line) for line in lines) if lines else "")
    )


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except (OSError, http.client.HTTPException):  # the latter if another program listens there
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return


def store_exists(uri: str) -> bool:
    """Return whether the file of an embedded store exists; True for other stores."""
    file = sqlite_file(uri)
    return file is None or file.exists()
