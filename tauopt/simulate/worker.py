"""A worker process, `python -m tauopt.simulate.worker`, which simulates files one after another.

It reads tasks from stdin and writes messages to stdout, one JSON object a line each: a task names a
file to simulate, a message reports progress, the end of a file, or an error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tauopt.errors import TauoptError
from tauopt.simulate.sample_plan import FilePlan, Slice

PROGRESS_INTERVAL_S = 0.3
"""Shortest time between two progress messages."""


def encode_task(plan: FilePlan, path: Path) -> str:
    """Return the task of a file as a line of JSON."""
    return json.dumps({"plan": asdict(plan), "path": str(path)})


def decode_task(line: str) -> tuple[FilePlan, Path]:
    """Return the plan and the path of a line that `encode_task` returned."""
    task = json.loads(line)
    plan = dict(task["plan"])
    return FilePlan(**{**plan, "slice": Slice(**plan["slice"])}), Path(task["path"])


def main() -> None:
    """Simulate the files of all tasks, until stdin ends."""
    # Ctrl-C reaches all processes of the terminal; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary files are removed
    # Pythia and FastJet print to stdout: the messages keep the pipe, and stdout becomes /dev/null.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1) as messages:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())

        def send(**message: Any) -> None:
            messages.write(json.dumps(message) + "\n")

        for line in sys.stdin:
            _run_task(line, send)


def _run_task(line: str, send: Callable[..., None]) -> None:
    try:
        from tauopt.simulate.simulate_file import produce

        plan, path = decode_task(line)
        counts = produce(plan, path, advance=_ProgressSender(send))
    except TauoptError as error:
        send(kind="error", message=str(error), type=type(error).__name__)
    except Exception:  # noqa: BLE001 - sent to the parent, which raises it
        send(kind="error", message=traceback.format_exc(), type="")
    else:
        send(kind="done", counts=asdict(counts))


class _ProgressSender:
    """Adds up the progress of a file, and sends it a few times a second."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send, self._sum, self._last = send, 0, time.monotonic()

    def __call__(self, amount: int) -> None:
        self._sum += amount
        if time.monotonic() - self._last > PROGRESS_INTERVAL_S:
            self._send(kind="advance", amount=self._sum)
            self._sum, self._last = 0, time.monotonic()


if __name__ == "__main__":
    main()
