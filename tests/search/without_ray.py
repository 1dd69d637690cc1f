"""Ray Tune's part of a search, in this process: no worker process has to start.

For tests of the driver, the study and MLflow, and of trainings where the process does not matter.
Searcher, scheduler and workers are the real ones. Only processes can be killed, run at the same
time, or be on another node: this is tested with Ray, and so is that a search with Ray and one
without have the same outcome; see test_driver.
"""

import contextlib
from itertools import count
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from tauopt.report import write_report
from tauopt.search import execution, ray_resources, trainable
from tauopt.search.tune_adapters import FINISHED
from tests.search.fake_worker import FakeWorker


class WorkerDied(BaseException):
    """Passes all handlers of a worker, as SIGKILL does."""


@contextlib.contextmanager
def without_ray():
    """Let searches train in this process for the length of the block.

    Workflows draw no reports meanwhile: their figures cost as much as all the rest.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_report, "draw_search", lambda *_: ())
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setattr(ray_resources, "running_ray", _running)
        patch.setattr(execution, "_tuner", Tuner)
        patch.setattr(trainable, "limit_process", lambda cpus, gpus: None)
        patch.setattr(FakeWorker, "die", _die)
        yield


@contextlib.contextmanager
def _running(resources):
    yield lambda: resources.concurrent


def _die(self):
    raise WorkerDied


class Tuner:
    """Trials in turns, a report each, in warm workers."""

    def __init__(self, searcher, halting, resources, scratch, worker):
        self.searcher, self.halting, self.worker = searcher, halting, worker
        self.scheduler = execution.StudyScheduler(searcher)
        self.error_file = scratch / "error.txt"
        self.running, self.idle = {}, []

    def fit(self):
        """Train until the searcher has nothing left, or the search must stop."""
        names = (f"trial {number}" for number in count())
        try:
            while not self.halting.stop_all():
                name = next(names)
                config = self.searcher.suggest(name)
                if isinstance(config, dict):
                    self._begin(name, config)
                elif config == FINISHED and not self.running:
                    return
                for trial in list(self.running):
                    if self.halting.stop_all():
                        return
                    self._step(trial)
        finally:
            for worker in (*self.running.values(), *self.idle):
                worker.stop()

    def _begin(self, trial, config):
        try:
            if self.idle:
                self.running[trial] = self.idle.pop()
                self.running[trial].reset(config)
            else:
                self.running[trial] = self.worker(config=config)
        except WorkerDied:
            self._died(trial)

    def _step(self, trial):
        try:
            result = self.running[trial].train()
        except WorkerDied:
            self._died(trial)
            return
        known = SimpleNamespace(trial_id=trial)
        # As Ray does: the last result ends the trial, without the scheduler.
        if not result["done"]:
            decision = self.scheduler.on_trial_result(None, known, result)
            if decision == TrialScheduler.CONTINUE:
                return
        self.idle.append(self.running.pop(trial))
        self.searcher.on_trial_complete(trial, result)

    def _died(self, trial):
        self.running.pop(trial).cleanup()  # a process that dies lets go of its lock
        self.error_file.write_text("The worker died unexpectedly")
        known = SimpleNamespace(trial_id=trial, error_file=str(self.error_file))
        self.scheduler.on_trial_error(None, known)
        self.searcher.on_trial_complete(trial, error=True)
