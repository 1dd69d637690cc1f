"""Private parts of MLflow 3.17 that tracking needs; an upgrade checks them by their contract test.

MLflow has public commands that migrate a database, but none that only looks at it, and public
functions that store an example only together with a model that they save themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.models import Model
    from sqlalchemy import Engine


def latest_revision() -> str:
    """Return the revision of the database schema that the installed MLflow needs."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def schema_revision(engine: Engine) -> str | None:
    """Return the revision of a database's schema; None if it has none."""
    from mlflow.store.db.utils import _get_schema_version

    revision: str | None = _get_schema_version(engine)
    return revision


def is_known_revision(revision: str) -> bool:
    """Return whether the installed MLflow knows a revision, and so can migrate from it."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    script = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    return any(revision == known.revision for known in script.walk_revisions())


def save_example(model: Model, example: dict[str, Any], folder: Path) -> None:
    """Write an input example into the folder of an MLflow model, and name it in its metadata."""
    from mlflow.models.utils import _save_example

    _save_example(model, example, str(folder))
