"""Short names and values of hyperparameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

_SECTIONS = ("model.hyperparameters.", "model.", "training.")


def text_of(value: Any) -> str:
    """Return a value as text of at most 18 characters."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = '""' if value == "" else str(value)
        return text if len(text) <= 18 else text[:17] + "…"
    return f"{value:.10g}" if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.2g}"


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return short names by path: `model.groups.tracks.units` -> `tracks.units`.

    Where two would be the same, both keep their whole path.
    """
    shortened = {path: _short(path) for path in paths}
    counts = Counter(shortened.values())
    return {path: name if counts[name] == 1 else path for path, name in shortened.items()}


def _short(path: str) -> str:
    for section in _SECTIONS:
        if path.startswith(section):
            path = path.removeprefix(section)
            break
    return ".".join(part for part in path.split(".") if part != "groups")
