"""Worker: a Ray Tune class trainable whose process trains trial after trial.

A step trains to the next report. Errors of a trial are returned as results, because a retry would
repeat them: only a trial whose worker died is tried again. The retry, like a resumed search, finds
the checkpoint in the trial's own folder; Ray keeps none.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import os
import time
import traceback
from collections.abc import Generator, Iterator
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
"""Keys of the configuration that a worker gets from Ray."""
FAILED, TRACEBACK = "failed", "traceback"
"""Keys of a result that ends a failed trial."""
REFUSED = "refused"
"""Key of a result that ends the search: a full disk or an unfit node is not the trial's fault."""
INTERRUPTED = "interrupted"
"""Key of a result without a report: the search stops, and its next driver resumes the trial."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LOCK_WAIT_S, _COPY_WAIT_S = 60.0, 600.0
_POLL_S = 0.2


class TrialWorker(tune.Trainable):
    """Trains the trial in the configured folder, then the next one in the same process."""

    _reports: Iterator[TrialReport] | None

    def setup(self, config: dict[str, Any]) -> None:
        """Limit the process to its CPUs and GPUs, and take the first trial."""
        limit_process(config[CPUS], config[GPUS])
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial, keeping the process and what it imported."""
        self.cleanup()
        self._open(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the present trial and release its lock."""
        self._locks.close()

    def _drop_training(self) -> None:
        """Drop the training and free its memory; a next step would begin from the checkpoint."""
        self._locks.close()
        self._reports = None
        gc.collect()

    def _open(self, config: dict[str, Any]) -> None:
        self._folder = Path(config[FOLDER])
        self.after: int = config[AFTER]
        self._stop = Path(config[STOP])
        self._code: str = config[CODE]
        self._checked_at = 0.0
        self._interrupted = ""
        self._locks = contextlib.ExitStack()
        self._reports = None

    def step(self) -> dict[str, Any]:
        """Train to the next report."""
        if self._interrupted:  # beginning the training again would delay the stop
            return self._interrupted_result()
        try:
            if reason := self._node_fault():
                return {REFUSED: reason, "done": True}
            report = next(self._report_iterator())
        except TrialFailed as error:
            return self._failure_result(str(error))
        except Interrupted as error:
            self._interrupted = f"{error}" or "the search stops"
            return self._interrupted_result()
        except StopIteration:
            return self._failure_result("training ended without its last report")
        except Exception as error:  # noqa: BLE001 - a trial's bug ends that trial, not the worker
            traced = traceback.format_exc()
            if is_out_of_memory(error):
                self._drop_training()
                size = read_plan(self._folder).experiment.training.batch_size
                message = str(error).partition("\n")[0][:300] or type(error).__name__
                reason = f"out of memory with batches of {size}: {message}; {ADVICE}"
                return self._failure_result(reason, traced)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                self._drop_training()
                path = error.filename or self._folder
                return {REFUSED: f"{path}: {error.strerror}: make room", "done": True}
            return self._failure_result(f"{type(error).__name__}: {error}", traced)
        return {
            "number": report.number,
            "value": report.value,
            "paired_value": report.paired_value,
            "best": report.best,
            "best_number": report.best_number,
            "best_paired_value": report.best_paired_value,
            "best_log_loss": report.best_log_loss,
            "others": list(report.others),
            # No mapping: Ray flattens mappings in results into separate keys.
            "intervals": [(name, *ends) for name, ends in report.intervals.items()],
            "parameters": report.parameters,
            "constraints": [dict(each) for each in report.constraints.values()],
            "candidates_seen": report.candidates_seen,
            "done": report.done,
        }

    def _interrupted_result(self) -> dict[str, Any]:
        return {INTERRUPTED: self._interrupted, "done": False}

    def _failure_result(self, reason: str, traced: str = "") -> dict[str, Any]:
        return {FAILED: reason, TRACEBACK: traced, "done": True}

    def _node_fault(self) -> str:
        """Return why this node can't train the trial; empty if it can."""
        if self._reports is not None:
            return ""
        if self._code and (here := _process_code()) != self._code:
            return f"node {os.uname().nodename} has tauopt {here}, the search {self._code}"
        dataset = read_plan(self._folder).dataset
        # Ray gives trials to a node as soon as it joins: its copy of the dataset may be on its way.
        give_up = time.monotonic() + _COPY_WAIT_S
        while not dataset.is_dir():
            if self.should_stop():
                raise Interrupted("the search stops")
            if time.monotonic() > give_up:
                return f"node {os.uname().nodename} does not see {dataset}"
            time.sleep(_POLL_S)
        return ""

    def _report_iterator(self) -> Iterator[TrialReport]:
        if self._reports is None:
            self._locks.enter_context(locked_trial(self._folder, wait_s=_LOCK_WAIT_S))
            reports = self.train_trial(self._folder)
            if isinstance(reports, Generator):
                self._locks.callback(reports.close)
            self._reports = reports
        return self._reports

    def train_trial(self, folder: Path) -> Iterator[TrialReport]:
        """Train the trial planned in `folder`, from its checkpoint if there is one."""
        from tauopt.tracking.spool import SpoolTracker
        from tauopt.training.train_trial import run_trial

        plan, tracker = read_plan(folder), SpoolTracker(folder)
        return run_trial(plan, tracker=tracker, stop=self.should_stop, after=self.after)

    def should_stop(self) -> bool:
        """Return whether the driver stops all trials; called after each batch."""
        now = time.monotonic()
        if now < self._checked_at + _POLL_S:
            return False
        self._checked_at = now
        return self._stop.exists()


@functools.cache
def _process_code() -> str:
    """Return the code version that this process began with, although the source may change."""
    return code_version()


@contextlib.contextmanager
def locked_trial(folder: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock of a trial's folder; wait for a worker of a killed driver to release it.

    Raises:
        LockedError: another process still holds the lock after `wait_s` seconds.
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
