"""Connect to MLflow: the address of its store, and a client whose requests can't hang.

Without an address the store is embedded: SQLite and a folder of artifacts in the output folder.
With `MLFLOW_TRACKING_URI` the same calls go to that server or database.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tauopt.durable import holders, locked
from tauopt.errors import ServiceError, UsageError
from tauopt.tracking._mlflow_internals import (
    is_known_revision,
    latest_revision,
    schema_revision,
)
from tauopt.tracking.sqlite_store import ROOT, follow_artifacts, is_current

if TYPE_CHECKING:
    from mlflow import MlflowClient

WAIT_S = 10.0
"""How long `connect` waits for a service that is starting up."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # We retry ourselves: a repeated creation must first search for the run by its unique tag.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Else MLflow prints the address of each run that ends, between our own results.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")


def store_uri(uri: str | None, *, output: Path) -> str:
    """Return the address of the store: `uri`, else `MLFLOW_TRACKING_URI`, else SQLite.

    Args:
        uri: address; None or empty means `MLFLOW_TRACKING_URI`, else the embedded store.
        output: output folder, in which the embedded store lies.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    return given or f"sqlite:///{Path(output).resolve()}/mlflow.db"


def artifact_folder(uri: str) -> Path | None:
    """Return the folder of artifacts beside a SQLite store; None for other stores."""
    file = sqlite_file(uri)
    return file.parent / ROOT if file else None


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a `sqlite:///` address; None for other addresses."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def shown(uri: str) -> str:
    """Return an address, or text with addresses, for display: passwords become `***`."""
    return re.sub(r"(://[^/:@]*:)[^/@]*@", r"\1***@", uri)


def set_environment() -> None:
    """Limit the time of MLflow's requests and turn its telemetry off; the user's values stay.

    Call it before MLflow is first imported.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def connect(uri: str | None, *, output: Path, wait_s: float | None = None) -> MlflowClient:
    """Connect to a store, and return a client once the store has answered.

    Args:
        uri: address of the store; None means `MLFLOW_TRACKING_URI` or the embedded store.
        output: output folder; made if the embedded store needs it.
        wait_s: how long to wait for a service that does not answer yet; None means `WAIT_S`.
    Raises:
        ServiceError: the store does not answer, refuses access, or has the schema of another
            MLflow.
        UsageError: MLflow does not support this kind of address.
    """
    set_environment()
    wait_s = WAIT_S if wait_s is None else wait_s
    address = store_uri(uri, output=output)
    _check_scheme(address)
    file = sqlite_file(address)
    if file is None:
        return _connect(address, wait_s)
    if not file.is_absolute():
        raise UsageError(f"{address}: expected an absolute path, as sqlite:////path/to/mlflow.db")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # MLflow creates a new database at the first connection: one process at a time.
        with locked(file.with_name(".mlflow.lock"), what=str(file), wait=True):
            follow_moved_store(file)
            return _connect(address, wait_s)
    except OSError as error:
        raise ServiceError(
            f"the MLflow store {file} can't be written ({error}); "
            "choose another output folder with -o or make this one writable"
        ) from error


def follow_moved_store(file: Path) -> None:
    """Correct the addresses of artifacts in a SQLite store that was moved.

    Raises:
        ServiceError: another program holds the database, or it can't be written.
    """
    try:
        follow_artifacts(file)
    except sqlite3.DatabaseError as error:
        if _is_locked(error):
            raise _locked_error(file) from error
        if isinstance(error, sqlite3.OperationalError):
            raise ServiceError(f"the MLflow store {file} can't be used: {error}") from error
        # Else the file is no database: `check_schema` reports it.


def _locked_error(file: Path) -> ServiceError:
    processes = holders(file)
    who = f", it is open in {', '.join(processes)}" if processes else ""
    return ServiceError(
        f"the MLflow store {file} is locked: another program is writing to it{who}; "
        "wait for it, or stop it"
    )


def _is_locked(error: BaseException) -> bool:
    """Return whether the first SQLite error in a chain of causes is a lock of another program."""
    cause: BaseException | None = error
    while cause is not None:
        original = getattr(cause, "orig", None) or cause  # SQLAlchemy keeps the driver's error
        if isinstance(original, sqlite3.Error):
            code = getattr(original, "sqlite_errorcode", None)
            # The low byte is the primary code of an extended one, such as SQLITE_BUSY_SNAPSHOT.
            return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        cause = cause.__cause__ or cause.__context__
    return False


def _check_scheme(address: str) -> None:
    scheme = urlsplit(address).scheme.partition("+")[0]
    if scheme not in _SCHEMES:
        raise UsageError(
            f"MLFLOW_TRACKING_URI={shown(address)}: expected {'://, '.join(_SCHEMES)}://; "
            "unset it for the embedded store"
        )


def check_schema(address: str) -> None:
    """Check that a database has the schema of the installed MLflow.

    Raises:
        ServiceError: the schema is older or newer; the message names the commands that back up and
            migrate.
    """
    # Checked before MLflow opens the database: it would migrate some older schemas unasked.
    file = sqlite_file(address)
    if file is not None and (not file.exists() or file.stat().st_size == 0 or is_current(file)):
        return
    revision, tables = _revision_and_tables(address)
    expected = latest_revision()
    if revision == expected or not tables:
        return
    where = shown(address)
    backup = f"cp {file} {file}.bak" if file else "pg_dump or similar"
    remedy = (
        f"back it up ({backup}), then run: mlflow db upgrade {where}"
        if revision and is_known_revision(revision)
        else "it belongs to a newer MLflow or to another program: upgrade MLflow, "
        "or choose another database or output folder"
    )
    raise ServiceError(
        f"the MLflow store {where} has schema {revision or 'none'}, expected {expected}; {remedy}"
    )


def _revision_and_tables(address: str) -> tuple[str | None, list[str]]:
    """Read the revision of a database's schema and the names of its tables."""
    import sqlalchemy

    timeout = {"timeout": 5} if address.startswith("sqlite") else {"connect_timeout": 5}
    engine = sqlalchemy.create_engine(address, connect_args=timeout)
    try:
        return schema_revision(engine), sqlalchemy.inspect(engine).get_table_names()
    except sqlalchemy.exc.DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) in _DAMAGED:
            raise ServiceError(
                f"{shown(address)} is no intact SQLite database ({error.orig}); "
                "restore its backup or choose another output folder with -o"
            ) from error
        raise
    finally:
        engine.dispose()


def _connect(address: str, wait_s: float) -> MlflowClient:
    """Connect with exponential back-off until the store answers or `wait_s` is over."""
    deadline = time.monotonic() + wait_s
    pause = 0.2
    while True:
        try:
            return _try(address)
        except ServiceError:
            raise
        except Exception as error:
            if not is_transient(error) or time.monotonic() + pause > deadline:
                raise _connection_error(address, error) from error
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, 2.0)


def _try(address: str) -> MlflowClient:
    """Connect once, without retries."""
    from mlflow import MlflowClient

    if not address.startswith(("http", "databricks")):
        check_schema(address)
    client = MlflowClient(tracking_uri=address)
    client.search_experiments(max_results=1)
    return client


def is_transient(error: BaseException) -> bool:
    """Return whether a later attempt can succeed: the service is away, slow, busy or failing."""
    if status_of(error) in (400, 401, 403, 404, 409):
        return False
    text = str(error)
    return not any(mark in text for mark in ("Invalid Host header", "out-of-date database schema"))


def is_rejected(error: BaseException) -> bool:
    """Return whether MLflow itself rejects the request, so that repeating it can't succeed."""
    if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
        return not str(error).startswith("API request to")  # a 404 of a proxy is not from MLflow
    return getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE"


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error of MLflow; 0 if it has none."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    status: Any = getattr(error, "get_http_status_code", lambda: 0)()
    return int(status)


def _connection_error(address: str, error: Exception) -> ServiceError:
    """Return the error for the user: what failed, and the remedy."""
    where, text = shown(address), shown(_innermost_cause(str(error)))
    status = status_of(error)
    host = urlsplit(address).netloc.rpartition("@")[2]
    if "Invalid Host header" in str(error) or (status == 403 and "DNS rebinding" in str(error)):
        return ServiceError(
            f"the MLflow server at {where} does not accept the host name {host!r} (403); "
            f"start it with: mlflow server --allowed-hosts {host} ..."
        )
    if status in (401, 403):
        return ServiceError(
            f"the MLflow server at {where} refuses access ({status}); set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    file = sqlite_file(address)
    if file is not None and _is_locked(error):
        return _locked_error(file)
    if "No module named" in text:
        return ServiceError(
            f"MLflow at {where} needs a database driver ({text}); "
            "install it: pip install 'tauopt[postgres]'"
        )
    return ServiceError(
        f"MLflow at {where} does not answer: {text}; start it, or correct MLFLOW_TRACKING_URI, "
        "or unset it for the embedded store"
    )


def _innermost_cause(text: str) -> str:
    """Return the cause in a nested message of urllib3; else the first line."""
    cause = re.search(r"Caused by \w+\(.*?: (.*?)[\"')]*$", text.strip().splitlines()[0])
    return (cause[1] if cause else text.strip().splitlines()[0])[:300]
