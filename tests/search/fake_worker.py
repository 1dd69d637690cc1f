"""A worker without TensorFlow: its curve depends on the parameters, its checkpoint is a file."""

import errno
import json
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from tauopt.durable import write_json
from tauopt.errors import TrialFailed
from tauopt.metrics.constraint_values import constraint_value
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.influence import PairedValue
from tauopt.search.trainable import FOLDER, TrialWorker
from tauopt.tracking.spool import SpoolTracker
from tauopt.training.trial_plan import read_plan
from tauopt.training.trial_report import TrialReport


class FakeWorker(TrialWorker):
    """Reports `reports` times, then is done; `trouble.json` beside the trials makes some fail."""

    reports = 3
    pause_s = 0.0
    seed_deviation = 0.0
    """Standard deviation of the objective from seed to seed."""
    error = 0.0
    """Error of a value from the sample of candidates, independent of other trials'."""

    def reset_config(self, new_config):
        folder = Path(new_config[FOLDER])
        if _trouble(folder).get(str(read_plan(folder).number)) == "die warm" and not died(folder):
            self.die()
        return super().reset_config(new_config)

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def train_trial(self, folder):
        plan = read_plan(folder)
        trouble = _trouble(folder).get(str(plan.number), "")
        tracker = SpoolTracker(folder)
        tracker.start(params=plan.params, tags=plan.tags)
        state = folder / "state.json"
        history = json.loads(state.read_text()) if state.exists() else []
        for number in range(self.after + 1, min(len(history), self.reports - 1) + 1):
            yield self._report(number, history)
        for number in range(len(history) + 1, self.reports + 1):
            time.sleep(self.pause_s)
            if trouble == "die" or (trouble == "die once" and number == 2 and not died(folder)):
                self.die()
            if trouble == "diverge":
                raise TrialFailed("the loss is not finite at report 1")
            if trouble == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "state.json"))
            if trouble == "bug":
                raise ZeroDivisionError("a bug in the model")
            value = 1.0 - abs(plan.params["training.learning_rate"] - 0.003) - 0.5**number
            value += self.seed_deviation * np.random.default_rng(plan.seed).normal()
            history.append(value)
            tracker.metrics({"objective": history[-1]}, step=number)
            with (folder / "trained.txt").open("a") as stream:
                stream.write(f"{number}\n")
            write_json(state, history)
            if number < self.reports:
                yield self._report(number, history)
        best, influence = max(history), np.random.default_rng(plan.number).normal(size=64) / 8
        interval = (best - 0.01, best + 0.02)
        yield replace(
            self._report(self.reports, history),
            best_paired_value=str(PairedValue(best, (self.error * influence).astype(np.float32))),
            best_log_loss=1.0 - best,
            parameters=int(plan.params.get("model.units", 0)),
            constraints=_constraints(plan),
            others=_others(plan, trouble),
            intervals={plan.experiment.objective.first: interval},
        )

    def _report(self, number, history):
        value, best = history[number - 1], max(history[:number])
        return TrialReport(number, 1000 * number, {}, value, best, number == self.reports)


def _others(plan, trouble):
    """Return the objectives after the first: costs that grow with the units."""
    costs = plan.experiment.objective.minimize
    units = float("nan") if trouble == "no cost" else float(plan.params.get("model.units", 0))
    return tuple(units * 10**n for n, _ in enumerate(costs))


def _constraints(plan):
    """Return the number of units as what `parameters` is constrained to."""
    units = float(plan.params.get("model.units", 0))
    return {
        name: asdict(constraint_value(name, Estimate(units, units, units), limit))
        for name, limit in plan.experiment.objective.constraints.items()
    }


def died(folder):
    """Return whether it was called before in this trial."""
    mark = folder / "died"
    before = mark.exists()
    mark.touch()
    return before


def _trouble(folder):
    path = folder.parents[3] / "trouble.json"
    return json.loads(path.read_text()) if path.exists() else {}
