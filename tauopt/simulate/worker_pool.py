"""Simulate files side by side in worker processes."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tauopt import errors
from tauopt.errors import TauoptError
from tauopt.simulate.sample_plan import FilePlan
from tauopt.simulate.simulate_file import FileCounts
from tauopt.simulate.worker import encode

STOP_WAIT_S = 5.0


@dataclass(frozen=True)
class FileProgress:
    """Selected candidates that were made since the last message."""

    name: str
    amount: int


@dataclass(frozen=True)
class FinishedFile:
    """A file is finished and in its place."""

    plan: FilePlan
    counts: FileCounts


def make_files(
    tasks: Sequence[tuple[FilePlan, Path]], *, processes: int
) -> Iterator[FileProgress | FinishedFile]:
    """Make files, each in one of several worker processes, and tell as they come.

    Whatever ends the iteration ends the workers; their unfinished files leave no trace.

    Args:
        tasks: files to make and where.
        processes: workers, at least 1; no more are started than there are files.
    Raises:
        TauoptError: a worker failed (its own error) or died.
    """
    waiting = list(tasks)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(min(processes, len(waiting))):
            worker = stack.enter_context(_worker())
            selector.register(worker.answers, selectors.EVENT_READ, worker)
            worker.ask(*waiting.pop(0))
        while selector.get_map():
            for key, _ in selector.select():
                worker = key.data
                for message in worker.hear():
                    yield message
                    if isinstance(message, FinishedFile) and waiting:
                        worker.ask(*waiting.pop(0))
                    elif isinstance(message, FinishedFile):
                        selector.unregister(worker.answers)


class _Worker:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise TauoptError("a worker was started without pipes")
        self._process, self._requests, self.answers = process, process.stdin, process.stdout
        self._plan: FilePlan | None = None
        self._rest = b""

    def ask(self, plan: FilePlan, path: Path) -> None:
        self._plan = plan
        with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed when it is heard
            self._requests.write(encode(plan, path).encode() + b"\n")
            self._requests.flush()

    def hear(self) -> list[FileProgress | FinishedFile]:
        """Read what has come, at least one byte; whole lines become messages."""
        came = os.read(self.answers.fileno(), 1 << 16)
        if not came:
            code = self._process.wait()
            name = self._plan.name if self._plan else "nothing"
            raise TauoptError(f"a simulation worker died with code {code} while making {name}")
        *lines, self._rest = (self._rest + came).split(b"\n")
        return [self._message(json.loads(line)) for line in lines]

    def _message(self, message: dict[str, Any]) -> FileProgress | FinishedFile:
        if message["kind"] == "advance" and self._plan:
            return FileProgress(self._plan.name, message["amount"])
        if message["kind"] == "done" and self._plan:
            return FinishedFile(self._plan, FileCounts(**message["counts"]))
        kind = getattr(errors, message.get("type", ""), TauoptError)
        raise kind(message["message"])


@contextlib.contextmanager
def _worker() -> Iterator[_Worker]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tauopt.simulate.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield _Worker(process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
