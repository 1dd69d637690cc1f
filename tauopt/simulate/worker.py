"""One worker process: `python -m tauopt.simulate.worker` simulates the files it is told to.

A line of JSON on stdin is a file to make; lines of JSON on stdout tell how it goes. Pythia and
FastJet print to stdout as they please, so theirs goes to stderr's place and ours keeps the pipe.
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

TELL_EVERY_S = 0.3


def encode(plan: FilePlan, path: Path) -> str:
    """Return the line that asks for a file."""
    return json.dumps({"plan": asdict(plan), "path": str(path)})


def decode(line: str) -> tuple[FilePlan, Path]:
    """Read what `encode` wrote."""
    task = json.loads(line)
    plan = dict(task["plan"])
    return FilePlan(**{**plan, "slice": Slice(**plan["slice"])}), Path(task["path"])


def main() -> None:
    """Serve until stdin ends."""
    # Ctrl-C reaches the whole terminal group; the parent decides and ends us through the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary files are removed
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1) as answers:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, sys.stdout.fileno())

        def tell(**message: Any) -> None:
            answers.write(json.dumps(message) + "\n")

        for line in sys.stdin:
            _serve(line, tell)


def _serve(line: str, tell: Callable[..., None]) -> None:
    try:
        from tauopt.simulate.simulate_file import produce

        plan, path = decode(line)
        counts = produce(plan, path, advance=_Teller(tell))
    except TauoptError as error:
        tell(kind="error", message=str(error), type=type(error).__name__)
    except Exception:  # noqa: BLE001 - told to the parent, which raises it
        tell(kind="error", message=traceback.format_exc(), type="")
    else:
        tell(kind="done", counts=asdict(counts))


class _Teller:
    """Adds up advances and tells them a few times a second."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell, self._sum, self._last = tell, 0, time.monotonic()

    def __call__(self, amount: int) -> None:
        self._sum += amount
        if time.monotonic() - self._last > TELL_EVERY_S:
            self._tell(kind="advance", amount=self._sum)
            self._sum, self._last = 0, time.monotonic()


if __name__ == "__main__":
    main()
