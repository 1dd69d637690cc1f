"""One thing that a promotion gate asks of a model: what was found, and whether it will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tauopt.metrics.estimate import equation, shown_chance


@dataclass(frozen=True)
class GateCheck:
    """A number with its error against a limit; plain values, JSON through `as_json`."""

    name: str
    """For instance `floor of auc/1p` or `rejection@0.75 in pt 20 to 40`."""
    found: str
    """Of the model in words, with errors."""
    asked: str
    """In words."""
    passed: bool
    against: str = ""
    """Of the champion on the same candidates, in words; empty where it is not compared."""
    change: str = ""
    """From that to the model's, in words."""
    value: tuple[float, ...] = ()
    """[value, low, high] of the model; empty where it is no number, or can't be measured."""
    champion: tuple[float, ...] = ()
    """Likewise of the champion."""
    limit: float | None = None
    """Least or largest value, or the part of the champion's that may be lost."""
    p: float | None = None
    """Chance that the limit holds all the same, of a comparison with the champion."""
    p_limit: bool = False
    """Whether that is an upper bound: no replica of the bootstrap says that it holds."""

    def __str__(self) -> str:
        champion = f", champion {self.against}, {self.change}" if self.against else ""
        chance = f", {equation(self.p, bound=self.p_limit)}" if self.p is not None else ""
        return f"{self.name}: {self.found}{champion}{chance}; asked: {self.asked}"

    @property
    def row(self) -> tuple[str, ...]:
        """Name, found, champion, change, p, asked, answer: a row of a table."""
        chance = "" if self.p is None else shown_chance(self.p, bound=self.p_limit)
        answer = "yes" if self.passed else "NO"
        return self.name, self.found, self.against, self.change, chance, self.asked, answer

    def as_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> GateCheck:
        """Return the check that `as_json` gave."""
        lists = {name: tuple(content.get(name, ())) for name in ("value", "champion")}
        return cls(**{**content, **lists})
