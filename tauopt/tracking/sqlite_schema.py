"""The schema of MLflow's SQLite stores, without importing MLflow, which takes seconds."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from contextlib import closing
from pathlib import Path

_MIGRATIONS = "store/db_migrations/versions"
_REVISION = re.compile(r'^(down_)?revision = "(\w+)"', re.MULTILINE)


def is_current(database: Path) -> bool:
    """Say whether a store surely has the schema of the installed MLflow; False where in doubt."""
    try:
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            found = [
                row[0] for row in connection.execute("SELECT version_num FROM alembic_version")
            ]
    except sqlite3.Error:
        return False
    return bool(found) and found == newest_revisions()


def newest_revisions() -> list[str]:
    """Return the migrations of the installed MLflow that no other one follows: the newest."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        return []
    known, followed = set[str](), set[str]()
    for file in (Path(spec.origin).parent / _MIGRATIONS).glob("*.py"):
        for is_down, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
            (followed if is_down else known).add(revision)
    return sorted(known - followed)
