"""Where a SQLite store says that its artifacts are, and where they are: folders move.

MLflow writes absolute addresses into its database. Of an output folder that was moved, copied or
mounted elsewhere it would look for old artifacts in the old place, and put new ones there.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = "mlartifacts"
"""Name of the folder of artifacts, beside the database."""
_WAIT_S = 10.0

logger = logging.getLogger(__name__)


def follow_artifacts(database: Path) -> None:
    """Let a store that was moved say that its artifacts lie beside it, where they do.

    Artifacts that are still in another place, and not beside the database, stay where they are;
    this is said. Addresses of other kinds, or in folders of other names, are somebody's own.

    Args:
        database: SQLite file of the store; may be missing.
    Raises:
        sqlite3.Error: it can't be read or written.
    """
    root = database.parent / ROOT
    for old, names in _recorded(database).items():
        if old.resolve() == root.resolve():
            continue
        if old.exists() and not any((root / name).exists() for name in names):
            logger.warning(
                "the MLflow store %s keeps its artifacts in %s, new ones too: move that folder to "
                "%s if they belong together", database, old, root,
            )  # fmt: skip
            continue
        move_addresses(database, old, root)
        logger.warning("the MLflow store was in %s: its artifacts are now found in %s", old, root)
        if old.exists() and not (old.parent / database.name).exists():
            logger.warning("what was written to the old place since: cp -rn %s/. %s", old, root)


def _recorded(database: Path) -> dict[Path, list[str]]:
    """Return the folders of artifacts that experiments name, each with the names in it."""
    if not database.exists():
        return {}
    found: dict[Path, list[str]] = {}
    with closing(sqlite3.connect(database, timeout=_WAIT_S)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'experiments'"
        if not connection.execute(query).fetchall():
            return {}
        for (address,) in connection.execute("SELECT artifact_location FROM experiments"):
            parts = urlsplit(address or "")
            place = Path(unquote(parts.path))
            if parts.scheme == "file" and place.parent.name == ROOT:
                found.setdefault(place.parent, []).append(place.name)
    return found


def move_addresses(database: Path, old: Path, new: Path) -> None:
    """Let all addresses of files under `old` be those under `new`, in whatever table they are.

    Args:
        database: SQLite file of an MLflow store.
        old, new: absolute folders.
    """
    changes = [(f"{old}/", f"{new}/"), (f"{old.as_uri()}/", f"{new.as_uri()}/")]
    with closing(sqlite3.connect(database, timeout=_WAIT_S)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for column in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                for before, after in changes:
                    connection.execute(
                        f'UPDATE "{table}" SET "{column[1]}" = ? || substr("{column[1]}", ?) '
                        f'WHERE substr("{column[1]}", 1, ?) = ?',
                        (after, len(before) + 1, len(before), before),
                    )
