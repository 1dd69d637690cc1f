"""The studies' database: `TAUOPT_STORAGE`, or SQLite under the output folder."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from tauopt.errors import ServiceError, UsageError

VARIABLE = "TAUOPT_STORAGE"
"""Environment variable with the URL of a shared database."""
_LOCK_TIMEOUT_S = 30.0
PATIENCE_S = 60.0
"""How long a running search waits for a database that went away."""
_PAUSE_S = 1.0
DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError)
T = TypeVar("T")

logger = logging.getLogger(__name__)


def storage_url(output: Path) -> str:
    """Return the URL of the studies' database: `TAUOPT_STORAGE`, or SQLite under `output`."""
    return os.environ[VARIABLE] if is_shared() else f"sqlite:///{output.resolve()}/studies.db"


def is_shared() -> bool:
    """Return whether studies are in a shared database, apart from the output folder."""
    return bool(os.environ.get(VARIABLE))


def without_password(url: str) -> str:
    """Return a storage URL without its password, for messages."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "a URL that is not one"


def open_storage(output: Path, *, wait_s: float = 10.0, create: bool = True) -> BaseStorage:
    """Open the database that holds the studies.

    Args:
        output: output folder, for the default URL.
        wait_s: seconds to wait for a database server that can't be reached.
        create: make an SQLite file that is missing.
    Raises:
        UsageError: `TAUOPT_STORAGE` is no URL, its driver is not installed, or (without `create`)
            the SQLite file does not exist.
        ServiceError: the database can't be reached, or its tables are of another Optuna version.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = storage_url(output)
    file = _sqlite_file(url)
    if file is not None:
        if not create and not file.exists():
            raise UsageError(f"no searches yet: {file} does not exist (another -o/--output?)")
        file.parent.mkdir(parents=True, exist_ok=True)
    return _connect(url, give_up=time.monotonic() + wait_s)


def with_retries(call: Callable[[], T], *, wait_s: float = PATIENCE_S) -> T:
    """Call the database, and retry while it can't be reached: a server may be restarting.

    Args:
        call: function that uses the database; idempotent, since a call may have succeeded although
            its reply was lost.
        wait_s: seconds to retry for.
    Raises:
        ServiceError: the database can't be reached for longer.
    """
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return call()
        except DATABASE_ERRORS as error:
            if time.monotonic() > give_up:
                raise ServiceError(f"the study storage went away: {_cause(error)}") from None
            logger.warning("the study storage does not answer, waiting: %s", _cause(error))
        time.sleep(_PAUSE_S)


def _sqlite_file(url: str) -> Path | None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError(
            f"{VARIABLE}: expected a database URL like sqlite:///studies.db or "
            "postgresql://user@host/name"
        ) from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def _connect(url: str, *, give_up: float) -> BaseStorage:
    while True:
        try:
            return RDBStorage(url, engine_kwargs=_engine_options(url))
        except (NoSuchModuleError, ImportError) as error:
            raise UsageError(
                f"{VARIABLE}: the driver of {without_password(url)} is not installed: {error}; "
                "for PostgreSQL: pip install 'tauopt[postgres]'"
            ) from None
        except RuntimeError as error:
            raise _other_schema(url, error) from None
        except DATABASE_ERRORS as error:
            if time.monotonic() > give_up or _sqlite_file(url) is not None:
                raise _unreachable(url, error) from None
            logger.warning("waiting for the study storage %s", without_password(url))
            time.sleep(_PAUSE_S)


def _engine_options(url: str) -> dict[str, Any]:
    if _sqlite_file(url) is not None:
        return {"connect_args": {"timeout": _LOCK_TIMEOUT_S}}
    # A server that restarted has closed the pool's connections: test each before it is used.
    return {"pool_pre_ping": True}


def _other_schema(url: str, error: RuntimeError) -> ServiceError:
    shown = without_password(url)
    return ServiceError(
        f"the study storage {shown} has tables of another Optuna: {error} "
        f"Back the database up first; the command is: optuna storage upgrade --storage {shown}"
    )


def _unreachable(url: str, error: Exception) -> ServiceError:
    return ServiceError(
        f"can't use the study storage {without_password(url)}: {_cause(error)}; "
        f"is the database up, and {VARIABLE} right?"
    )


def _cause(error: Exception) -> str:
    """Return the first line of the database's own message, without SQLAlchemy's and Optuna's."""
    inner = error.__cause__ or error
    return str(getattr(inner, "orig", None) or inner).strip().splitlines()[0]
