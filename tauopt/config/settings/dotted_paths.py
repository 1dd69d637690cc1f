"""Nested settings as dotted paths, for comparison and display line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(plain: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted path -> value.

    Everything but a mapping is a value, a list too. Empty mappings leave no entry.

    Args:
        plain: nested mappings, as from `model_dump(mode="json")`.
        path: dotted path of `plain` itself; empty at the top.
    """
    if not isinstance(plain, Mapping):
        return {path: plain}
    values: dict[str, Any] = {}
    for name, part in plain.items():
        values |= flat(part, f"{path}.{name}" if path else str(name))
    return values
