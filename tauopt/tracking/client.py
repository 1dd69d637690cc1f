"""The door to MLflow: where its store is, and a client that can't hang.

Without an address everything is embedded: SQLite and a folder of artifacts under the output
folder. With `MLFLOW_TRACKING_URI` the same calls go to that server or database.
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
from tauopt.tracking.addresses import ROOT, follow_artifacts
from tauopt.tracking.sqlite_schema import is_current

if TYPE_CHECKING:
    from mlflow import MlflowClient

WAIT_S = 10.0
"""How long `connect` waits for a service that is starting up."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # Ours is the retrying: only we know to search by unique tag before creating again.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # It would print the address of each run that ends between our own results.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")


def store_uri(uri: str | None, *, output: Path) -> str:
    """Return the address of the store: `uri`, else `MLFLOW_TRACKING_URI`, else SQLite.

    Args:
        uri: given address; None or empty means the environment's.
        output: output folder, in which the embedded store lies.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    return given or f"sqlite:///{Path(output).resolve()}/mlflow.db"


def artifact_folder(uri: str) -> Path | None:
    """Return where a SQLite store keeps its artifacts (beside it); None for other stores."""
    file = sqlite_file(uri)
    return file.parent / ROOT if file else None


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a `sqlite:///` address; None for other addresses."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def shown(uri: str) -> str:
    """Return an address that may be printed: its password starred."""
    return re.sub(r"(://[^/:@]*:)[^/@]*@", r"\1***@", uri)


def set_environment() -> None:
    """Bound MLflow's requests and turn its telemetry off, before it is first imported.

    What the user has set stays.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def connect(uri: str | None, *, output: Path, wait_s: float = WAIT_S) -> MlflowClient:
    """Return a client of a store that answered once.

    Args:
        uri: address of the store; None means `MLFLOW_TRACKING_URI` or the embedded store.
        output: output folder; made where the embedded store needs it.
        wait_s: how long to wait for a service that does not answer yet.
    Raises:
        ServiceError: it does not answer, refuses us, or its schema is another one's.
        UsageError: the address is of a kind that MLflow does not know.
    """
    set_environment()
    address = store_uri(uri, output=output)
    _check_scheme(address)
    file = sqlite_file(address)
    if file is None:
        return _answering(address, wait_s)
    if not file.is_absolute():
        raise UsageError(f"{address}: expected an absolute path, as sqlite:////path/to/mlflow.db")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.with_name(".mlflow.lock"), what=str(file), wait=True):
            follow(file)
            return _answering(address, wait_s)
    except OSError as error:
        raise ServiceError(
            f"the MLflow store {file} can't be written ({error}); "
            "choose another output folder with -o or make this one writable"
        ) from error


def follow(file: Path) -> None:
    """Let a SQLite store find its artifacts where it was moved to.

    Raises:
        ServiceError: another program holds it, or it can't be written.
    """
    try:
        follow_artifacts(file)
    except sqlite3.DatabaseError as error:
        if _is_locked(error):
            raise _locked(file) from error
        if isinstance(error, sqlite3.OperationalError):
            raise ServiceError(f"the MLflow store {file} can't be used: {error}") from error
        # No database: what MLflow says of it is told as of any other.


def _locked(file: Path) -> ServiceError:
    held = holders(file)
    who = f", it is open in {', '.join(held)}" if held else ""
    return ServiceError(
        f"the MLflow store {file} is locked: another program is writing to it{who}; "
        "wait for it, or stop it"
    )


def _is_locked(error: BaseException) -> bool:
    """Tell whether SQLite, below all that wraps it, waited in vain for another's lock."""
    cause: BaseException | None = error
    while cause is not None:
        cause_of = getattr(cause, "orig", None) or cause
        if isinstance(cause_of, sqlite3.Error):
            code = getattr(cause_of, "sqlite_errorcode", None)
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
    """Refuse a database whose schema is not the installed MLflow's.

    MLflow itself would migrate some older ones without asking.

    Raises:
        ServiceError: it is older or newer; says how to back up and which command migrates.
    """
    file = sqlite_file(address)
    if file is not None and (not file.exists() or file.stat().st_size == 0 or is_current(file)):
        return
    from mlflow.store.db.utils import _get_latest_schema_revision  # no public name for it

    found, tables = _revision(address)
    expected = _get_latest_schema_revision()
    if found == expected or not tables:
        return
    where = shown(address)
    backup = f"cp {file} {file}.bak" if file else "pg_dump or its like"
    remedy = (
        f"back it up ({backup}), then run: mlflow db upgrade {where}"
        if found and _is_known_revision(found)
        else "it belongs to a newer MLflow or to another program: upgrade MLflow, "
        "or choose another database or output folder"
    )
    raise ServiceError(
        f"the MLflow store {where} has schema {found or 'none'}, expected {expected}; {remedy}"
    )


def _revision(address: str) -> tuple[str | None, list[str]]:
    """Return the schema's revision and the tables of a database, without changing it."""
    import sqlalchemy
    from mlflow.store.db.utils import _get_schema_version

    timeout = {"timeout": 5} if address.startswith("sqlite") else {"connect_timeout": 5}
    engine = sqlalchemy.create_engine(address, connect_args=timeout)
    try:
        return _get_schema_version(engine), sqlalchemy.inspect(engine).get_table_names()
    except sqlalchemy.exc.DatabaseError as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise ServiceError(
                f"{shown(address)} is no whole SQLite database ({error.orig}); "
                "restore its backup or choose another output folder with -o"
            ) from error
        raise
    finally:
        engine.dispose()


def _is_known_revision(revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    script = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    return any(revision == known.revision for known in script.walk_revisions())


def _answering(address: str, wait_s: float) -> MlflowClient:
    deadline = time.monotonic() + wait_s
    pause = 0.2
    while True:
        try:
            return _try(address)
        except ServiceError:
            raise
        except Exception as error:
            if not is_transient(error) or time.monotonic() + pause > deadline:
                raise _refusal(address, error) from error
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, 2.0)


def _try(address: str) -> MlflowClient:
    from mlflow import MlflowClient

    if not address.startswith(("http", "databricks")):
        check_schema(address)
    client = MlflowClient(tracking_uri=address)
    client.search_experiments(max_results=1)
    return client


def is_transient(error: BaseException) -> bool:
    """Tell whether trying again later can help: the service is away, slow, busy or failing."""
    if status_of(error) in (400, 401, 403, 404, 409):
        return False
    text = str(error)
    return not any(mark in text for mark in ("Invalid Host header", "out-of-date database schema"))


def is_rejected(error: BaseException) -> bool:
    """Tell whether MLflow itself says no to what was sent, however often it is sent."""
    if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
        return not str(error).startswith("API request to")  # a proxy's 404 is no verdict
    return getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE"


def status_of(error: BaseException) -> int:
    """Return the HTTP status that MLflow gives an error; 0 where it has none."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    status: Any = getattr(error, "get_http_status_code", lambda: 0)()
    return int(status)


def _refusal(address: str, error: Exception) -> ServiceError:
    where, text = shown(address), shown(_innermost(str(error)))
    status = status_of(error)
    host = urlsplit(address).netloc.rpartition("@")[2]
    if "Invalid Host header" in str(error) or (status == 403 and "DNS rebinding" in str(error)):
        return ServiceError(
            f"the MLflow server at {where} answers 403 to its name {host!r}; "
            f"start it with: mlflow server --allowed-hosts {host} ..."
        )
    if status in (401, 403):
        return ServiceError(
            f"the MLflow server at {where} refuses us ({status}); set MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    file = sqlite_file(address)
    if file is not None and _is_locked(error):
        return _locked(file)
    if "No module named" in text:
        return ServiceError(
            f"MLflow at {where} needs a database driver ({text}); "
            "install it: pip install 'tauopt[postgres]'"
        )
    return ServiceError(
        f"MLflow at {where} does not answer: {text}; start it, or correct MLFLOW_TRACKING_URI, "
        "or unset it for the embedded store"
    )


def _innermost(text: str) -> str:
    """Leave of urllib3's nested message its cause."""
    cause = re.search(r"Caused by \w+\(.*?: (.*?)[\"')]*$", text.strip().splitlines()[0])
    return (cause[1] if cause else text.strip().splitlines()[0])[:300]
