"""One thing that a promotion gate asks of a model: what was found, and whether it will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """A number with its error against a limit; plain values, JSON through `as_json`."""

    name: str
    """For instance `floor of auc/1p` or `rejection@0.75 in pt 20 to 40`."""
    found: str
    """In words, with errors."""
    asked: str
    """In words."""
    passed: bool
    value: tuple[float, ...] = ()
    """[value, low, high] of the model; empty where it is no number, or can't be measured."""
    champion: tuple[float, ...] = ()
    """Likewise of the champion, on the same candidates."""
    limit: float | None = None
    """Least or largest value, or the part of the champion's that may be lost."""
    p: float | None = None
    """Chance that the limit holds all the same, of a comparison with the champion."""

    def __str__(self) -> str:
        return f"{self.name}: {self.found}; asked: {self.asked}"

    @property
    def answer(self) -> str:
        """Whether it passed, in a word."""
        return "yes" if self.passed else "NO"

    def as_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Check:
        """Return the check that `as_json` gave."""
        lists = {name: tuple(content.get(name, ())) for name in ("value", "champion")}
        return cls(**{**content, **lists})
