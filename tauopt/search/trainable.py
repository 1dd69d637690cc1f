"""One warm worker: a Ray Tune class trainable that trains trial after trial.

A step trains to the next report. What goes wrong inside a trial comes back as a result, so
that only what is worth it is tried again: a worker that died. The retry, like a resumed search,
finds the checkpoint in the trial's own folder; Ray keeps none.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import os
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from tauopt.durable import locked
from tauopt.errors import Interrupted, LockedError, TrialFailed
from tauopt.models.devices import limit_process
from tauopt.search.out_of_memory import ADVICE, is_out_of_memory
from tauopt.study.provenance import code_version
from tauopt.training.trial_plan import read_plan

if TYPE_CHECKING:
    from tauopt.training.trial_report import TrialReport

FOLDER, AFTER, STOP, CPUS, GPUS, CODE = "folder", "after", "stop", "cpus", "gpus", "code"
"""Keys of the configuration that Ray hands to a worker."""
FAILED, TRACEBACK = "failed", "traceback"
"""Keys of a result that ends a failed trial."""
REFUSED = "refused"
"""Key of a result that ends the search: a full disk or a strange node is not the trial's fault."""
INTERRUPTED = "interrupted"
"""Key of a result without a report: the search stops, and its next driver has the trial."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LOCK_WAIT_S, _COPY_WAIT_S = 60.0, 600.0
_POLL_S = 0.2


class TrialWorker(tune.Trainable):
    """Trains the trial whose folder it is told, and then the next one."""

    _reports: Iterator[TrialReport] | None

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the life of a worker with its first trial."""
        limit_process(config[CPUS], config[GPUS])
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial, keeping the process and what it imported."""
        self.cleanup()
        self._open(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the present trial; its lock is free then."""
        self._held.close()

    def _leave(self) -> None:
        """Drop the training that there is; the next step begins from the folder."""
        self._held.close()
        self._reports = None
        gc.collect()

    def _open(self, config: dict[str, Any]) -> None:
        self._folder = Path(config[FOLDER])
        self.after: int = config[AFTER]
        self._stop = Path(config[STOP])
        self._code: str = config[CODE]
        self._looked = 0.0
        self._interrupted = ""
        self._held = contextlib.ExitStack()
        self._reports = None

    def step(self) -> dict[str, Any]:
        """Train to the next report."""
        if self._interrupted:  # to begin the training anew would only hold up the stop
            return self._stopped()
        try:
            if reason := self._unfit():
                return {REFUSED: reason, "done": True}
            report = next(self._begun())
        except TrialFailed as error:
            return self._failed(str(error))
        except Interrupted as error:
            self._interrupted = f"{error}" or "the search stops"
            return self._stopped()
        except StopIteration:
            return self._failed("training ended without its last report")
        except Exception as error:  # noqa: BLE001 - a trial's bug ends that trial, not the worker
            traced = traceback.format_exc()
            if is_out_of_memory(error):
                self._leave()
                size = read_plan(self._folder).experiment.training.batch_size
                what = str(error).partition("\n")[0][:300] or type(error).__name__
                reason = f"out of memory with batches of {size}: {what}; {ADVICE}"
                return self._failed(reason, traced)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                self._leave()
                where = error.filename or self._folder
                return {REFUSED: f"{where}: {error.strerror}: make room", "done": True}
            return self._failed(f"{type(error).__name__}: {error}", traced)
        return {
            "number": report.number,
            "value": report.value,
            "best": report.best,
            "others": list(report.others),
            # No mapping: Ray flattens those of results into keys of their own.
            "intervals": [(name, *ends) for name, ends in report.intervals.items()],
            "candidates_seen": report.candidates_seen,
            "done": report.done,
        }

    def _stopped(self) -> dict[str, Any]:
        return {INTERRUPTED: self._interrupted, "done": False}

    def _failed(self, reason: str, traced: str = "") -> dict[str, Any]:
        return {FAILED: reason, TRACEBACK: traced, "done": True}

    def _unfit(self) -> str:
        """Say why this node can't train the trial; empty if it can.

        Ray gives trials to a node as soon as it joins: it may be getting its copy of the dataset.
        """
        if self._reports is not None:
            return ""
        if self._code and (ours := _own_code()) != self._code:
            return f"node {os.uname().nodename} has tauopt {ours}, the search {self._code}"
        dataset = read_plan(self._folder).dataset
        give_up = time.monotonic() + _COPY_WAIT_S
        while not dataset.is_dir():
            if self.stops():
                raise Interrupted("the search stops")
            if time.monotonic() > give_up:
                return f"node {os.uname().nodename} does not see {dataset}"
            time.sleep(_POLL_S)
        return ""

    def _begun(self) -> Iterator[TrialReport]:
        if self._reports is None:
            self._held.enter_context(held(self._folder, wait_s=_LOCK_WAIT_S))
            reports = self.train_trial(self._folder)
            self._held.callback(_close, reports)
            self._reports = reports
        return self._reports

    def train_trial(self, folder: Path) -> Iterator[TrialReport]:
        """Train the trial planned in `folder`, from its checkpoint if there is one."""
        from tauopt.tracking.spool import SpoolTracker
        from tauopt.training.train_trial import run_trial

        tracker = SpoolTracker(folder)
        return run_trial(read_plan(folder), tracker=tracker, stop=self.stops, after=self.after)

    def stops(self) -> bool:
        """Say whether the driver wants all trials to stop; asked after each batch."""
        now = time.monotonic()
        if now < self._looked + _POLL_S:
            return False
        self._looked = now
        return self._stop.exists()


@functools.cache
def _own_code() -> str:
    """Return the code version that this process began with: a worker reads its source once."""
    return code_version()


def _close(reports: Iterator[TrialReport]) -> None:
    close = getattr(reports, "close", None)
    if close is not None:
        close()


@contextlib.contextmanager
def held(folder: Path, *, wait_s: float) -> Iterator[None]:
    """Hold a trial's folder, waiting for a worker of a dead driver to be gone.

    Raises:
        LockedError: it is still held after `wait_s`.
    """
    give_up = time.monotonic() + wait_s
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(folder / "lock", what=f"trial {folder.name}"))
                break
            except LockedError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(_POLL_S)
        yield
