"""Progress reports of long work, independent of how they are shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a workflow; the command line draws it."""

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Begin a stage of `total` units; it ends the stage before."""

    def advance(self, amount: int = 1) -> None:
        """Add finished units to the present stage."""

    def say(self, message: str) -> None:
        """Show a message of one line."""


class Silent:
    """A `Progress` that shows nothing: the default of the Python API."""

    def begin(self, title: str, total: int, unit: str = "") -> None:
        """Do nothing."""

    def advance(self, amount: int = 1) -> None:
        """Do nothing."""

    def say(self, message: str) -> None:
        """Do nothing."""
