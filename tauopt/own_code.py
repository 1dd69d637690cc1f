"""Functions and classes of the user's own, named `package.module:name` in an experiment file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from pathlib import Path
from typing import Any

from tauopt.errors import UsageError, nearest


class OwnCodeError(UsageError):
    """The user's own code can't be found."""


def import_own(name: str) -> Any:
    """Import `package.module:name`.

    Raises:
        OwnCodeError: there is no such module, or nothing of that name in it.
        Exception: the module raised it.
    """
    module, _, attribute = name.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module exists, but one that it imports does not
        raise OwnCodeError(
            f"there is no module {error.name!r}: install its package, or put the folder that "
            "holds it on PYTHONPATH"
        ) from None
    if not hasattr(imported, attribute):
        known = [key for key in vars(imported) if not key.startswith("_")]
        raise OwnCodeError(f"module {module!r} has no {attribute!r}{nearest(attribute, known)}")
    return getattr(imported, attribute)


def source_digest(name: str) -> str:
    """Return the SHA-256 of the Python files of the top-level package or module of a name.

    Args:
        name: `package.module:name`; the digest of a missing package is that of no files.
    """
    module = importlib.util.find_spec(name.partition(":")[0].partition(".")[0])
    folders = list(module.submodule_search_locations or []) if module else []
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    if module is not None and module.origin and not files:
        files = [Path(module.origin)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
