"""Ctrl-C and SIGTERM while trials run: noticed, acted on in order, and told in the end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Which signal came, if any; a second one acts at once, as if nobody listened."""

    def __init__(self) -> None:
        self.number = 0
        self._asked = ""
        self._before: dict[int, Any] = {}

    @property
    def why(self) -> str:
        """Name the signal, or who asked; empty if none came."""
        if self._asked:
            return self._asked
        if not self.number:
            return ""
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """The code that a process ended by the signal has: 130 or 143."""
        return 128 + self.number

    def ask(self, who: str) -> None:
        """Stop as if Ctrl-C had come, because of `who`."""
        if not self.number:
            self.number, self._asked = int(signal.SIGINT), who

    def listen(self) -> None:
        """Take the signals, also from whoever took them since; in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            before = signal.signal(number, self._note)
            self._before.setdefault(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.ignore()

    def ignore(self) -> None:
        """Give the signals back to whoever had them."""
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                signal.signal(number, before)


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Listen to Ctrl-C and SIGTERM for the length of the block."""
    listening = Interrupts()
    listening.listen()
    try:
        yield listening
    finally:
        listening.ignore()
