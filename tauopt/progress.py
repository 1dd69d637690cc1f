"""How long work tells of itself, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a workflow calls while it works; the command line draws it."""

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Start a stage of `total` units; an earlier stage is over."""

    def advance(self, amount: int = 1) -> None:
        """Add finished units to the present stage."""

    def say(self, message: str) -> None:
        """Tell one event in a line."""


class Silent:
    """A `Progress` that nobody listens to: the default of the Python API."""

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Do nothing."""

    def advance(self, amount: int = 1) -> None:
        """Do nothing."""

    def say(self, message: str) -> None:
        """Do nothing."""
