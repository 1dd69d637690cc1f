"""Handlers of Ctrl-C and SIGTERM: trials stop at a checkpoint, and the command ends in order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """The signal that came, if any; a second one acts at once, by the handlers from before."""

    def __init__(self) -> None:
        self.number = 0
        self._command = ""
        self._before: dict[int, Any] = {}

    @property
    def why(self) -> str:
        """Name of the signal or of the command that requested the stop; empty if none came."""
        if self._command:
            return self._command
        if not self.number:
            return ""
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """Exit code of a process that the signal ended: 130 or 143."""
        return 128 + self.number

    def request_stop(self, command: str) -> None:
        """Stop as if Ctrl-C had come, because of a command such as `tauopt stop`."""
        if not self.number:
            self.number, self._command = int(signal.SIGINT), command

    def listen(self) -> None:
        """Install the handlers, again if a library has replaced them; in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            before = signal.signal(number, self._note)
            self._before.setdefault(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.restore()

    def restore(self) -> None:
        """Restore the handlers from before; in the main thread only."""
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                signal.signal(number, before)


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Handle Ctrl-C and SIGTERM for the length of the block."""
    signals = Interrupts()
    signals.listen()
    try:
        yield signals
    finally:
        signals.restore()
