"""The split of a candidate: decided by expressions on its event number, or by the event's fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.manifest import SplitName
from tauopt.physics.folds import fold_of

EVENT_NUMBER = "event_number"
"""The name by which a split may always call the event number."""


class SplitRule(Protocol):
    """Which candidates are in a split: an expression on the event number, or its folds."""

    @property
    def text(self) -> str:
        """The rule in words, for messages."""

    def mask(self, columns: Mapping[str, Any], *, entries: int) -> NDArray[np.bool_]:
        """Return which of the entries are in the split, (entry), given their event numbers."""


@dataclass(frozen=True)
class InFolds:
    """The split that holds the events of some folds."""

    folds: int
    """Number of folds in all."""
    members: tuple[int, ...]
    """The folds of this split."""

    @property
    def text(self) -> str:
        """The rule in words, for messages."""
        return f"fold {', '.join(map(str, self.members))} of {self.folds}"

    def mask(self, columns: Mapping[str, Any], *, entries: int) -> NDArray[np.bool_]:
        """Return which of the entries are in these folds, (entry), given their event numbers."""
        return np.isin(fold_of(columns[EVENT_NUMBER], self.folds), self.members)


def fold_rules(folds: int, fold: int) -> dict[SplitName, SplitRule]:
    """Return the splits of one fold: it is test, the next one validation, the rest train."""
    validation = (fold + 1) % folds
    train = tuple(other for other in range(folds) if other not in (fold, validation))
    return {
        "train": InFolds(folds, train),
        "validation": InFolds(folds, (validation,)),
        "test": InFolds(folds, (fold,)),
    }
