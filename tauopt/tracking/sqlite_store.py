"""MLflow's SQLite store, read and corrected without MLflow, whose import takes seconds.

MLflow writes absolute addresses of artifacts into its database. After an output folder was moved,
copied or mounted elsewhere it would look for old artifacts in the old folder, and put new ones
there. So the addresses are rewritten before the store is opened.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = "mlartifacts"
"""Name of the folder of artifacts, beside the database."""
_WAIT_S = 10.0
_MIGRATIONS = "store/db_migrations/versions"
_REVISION = re.compile(r'^(down_)?revision = "(\w+)"', re.MULTILINE)

logger = logging.getLogger(__name__)


def follow_artifacts(database: Path) -> None:
    """Rewrite the addresses of artifacts in a store that was moved, if the artifacts moved too.

    Artifacts that stayed in the old folder keep their addresses, and a warning is logged. Addresses
    of other kinds, or in folders of other names, are not tauopt's and stay.

    Args:
        database: SQLite file of the store; may be missing.
    Raises:
        sqlite3.Error: the database can't be read or written.
    """
    root = database.parent / ROOT
    for old, names in _artifact_folders(database).items():
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
            logger.warning(
                "add what was written to the old folder since: cp -rn %s/. %s", old, root
            )


def _artifact_folders(database: Path) -> dict[Path, list[str]]:
    """Return the folders of artifacts that experiments refer to, with the names used in each."""
    if not database.exists():
        return {}
    folders: dict[Path, list[str]] = {}
    with closing(sqlite3.connect(database, timeout=_WAIT_S)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'experiments'"
        if not connection.execute(query).fetchall():
            return {}
        for (address,) in connection.execute("SELECT artifact_location FROM experiments"):
            parts = urlsplit(address or "")
            location = Path(unquote(parts.path))
            if parts.scheme == "file" and location.parent.name == ROOT:
                folders.setdefault(location.parent, []).append(location.name)
    return folders


def move_addresses(database: Path, old: Path, new: Path) -> None:
    """Replace `old` by `new` at the beginning of every address, in all tables of a store.

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


def is_current(database: Path) -> bool:
    """Return whether a store has the schema of the installed MLflow; False where in doubt."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return False
    return bool(rows) and [row[0] for row in rows] == newest_revisions()


def newest_revisions() -> list[str]:
    """Return the newest schema revisions of the installed MLflow: those that no other follows."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        return []
    known, followed = set[str](), set[str]()
    for file in (Path(spec.origin).parent / _MIGRATIONS).glob("*.py"):
        for is_down, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
            (followed if is_down else known).add(revision)
    return sorted(known - followed)
