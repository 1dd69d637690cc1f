"""Simulate files in parallel, in worker processes."""

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
from tauopt.simulate.worker import encode_task

STOP_WAIT_S = 5.0
"""Time for a worker to end itself, before it is killed."""


@dataclass(frozen=True)
class FileProgress:
    """Message: selected candidates of a file since the message before."""

    name: str
    amount: int


@dataclass(frozen=True)
class FinishedFile:
    """Message: a file is written completely."""

    plan: FilePlan
    counts: FileCounts


def make_files(
    tasks: Sequence[tuple[FilePlan, Path]], *, processes: int
) -> Iterator[FileProgress | FinishedFile]:
    """Simulate files in several worker processes; yield progress and finished files.

    The end of the iteration, for whatever reason, ends the workers; unfinished files are removed.

    Args:
        tasks: plan and path of each file.
        processes: number of workers, at least 1; no more are started than there are files.
    Raises:
        TauoptError: a worker failed (its own error) or died.
    """
    waiting = list(tasks)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(min(processes, len(waiting))):
            worker = stack.enter_context(_worker())
            selector.register(worker.output, selectors.EVENT_READ, worker)
            worker.start(*waiting.pop(0))
        while selector.get_map():
            for key, _ in selector.select():
                worker = key.data
                for message in worker.read_messages():
                    yield message
                    if isinstance(message, FinishedFile) and waiting:
                        worker.start(*waiting.pop(0))
                    elif isinstance(message, FinishedFile):
                        selector.unregister(worker.output)


class _Worker:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise TauoptError("a simulation worker was started without pipes")
        self._process, self._input, self.output = process, process.stdin, process.stdout
        self._plan: FilePlan | None = None
        self._incomplete_line = b""

    def start(self, plan: FilePlan, path: Path) -> None:
        """Send the task of a file to the worker."""
        self._plan = plan
        with contextlib.suppress(BrokenPipeError):  # `read_messages` raises if the worker is dead
            self._input.write(encode_task(plan, path).encode() + b"\n")
            self._input.flush()

    def read_messages(self) -> list[FileProgress | FinishedFile]:
        """Read the available output, waiting for at least one byte; return complete messages."""
        data = os.read(self.output.fileno(), 1 << 16)
        if not data:
            code = self._process.wait()
            name = self._plan.name if self._plan else "nothing"
            raise TauoptError(f"a simulation worker died with code {code} while making {name}")
        *lines, self._incomplete_line = (self._incomplete_line + data).split(b"\n")
        return [self._parse(json.loads(line)) for line in lines]

    def _parse(self, message: dict[str, Any]) -> FileProgress | FinishedFile:
        """Return a message as an object, or raise the error that it holds."""
        if message["kind"] == "advance" and self._plan:
            return FileProgress(self._plan.name, message["amount"])
        if message["kind"] == "done" and self._plan:
            return FinishedFile(self._plan, FileCounts(**message["counts"]))
        error_class = getattr(errors, message.get("type", ""), TauoptError)
        raise error_class(message["message"])


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
