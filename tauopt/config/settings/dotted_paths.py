"""Nested settings by dotted path, to be compared and shown line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(plain: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings as path -> value; what is no mapping is a value, a list too.

    Empty mappings leave no trace.

    Args:
        plain: of `model_dump(mode="json")`.
        path: of it; empty at the top.
    """
    if not isinstance(plain, Mapping):
        return {path: plain}
    found: dict[str, Any] = {}
    for name, part in plain.items():
        found |= flat(part, f"{path}.{name}" if path else str(name))
    return found
