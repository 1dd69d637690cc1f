"""A driver killed between any two of its writes: the next one makes the same decisions."""

import random

import optuna
import pytest
from optuna.trial import TrialState

from tauopt.study.cached_storage import CachedStorage
from tauopt.study.decision_records import RECORD
from tauopt.study.pruners import make_pruner
from tauopt.study.storage_views import ForwardingStorage
from tauopt.study.trial_queue import TrialQueue
from tests.search.test_several_objectives import (
    PRUNERS,
    REPORTS,
    SPACE,
    curves,
    outcome,
    settings,
    stopped_by_optuna,
)

TRIALS = 6
REALLY_STOPPING = ["asha", "asha, two reports", "hyperband", "median"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is written after it."""


class Dying(ForwardingStorage):
    """A storage whose process is killed in place of one of its writes."""

    def __init__(self, storage, writes):
        super().__init__(storage)
        self.left = writes

    def _write(self, method, *args):
        if self.left == 0:
            raise Killed
        self.left -= 1
        return getattr(self._storage, method)(*args)

    def create_new_trial(self, *args):
        return self._write("create_new_trial", *args)

    def set_trial_param(self, *args):
        self._write("set_trial_param", *args)

    def set_trial_intermediate_value(self, *args):
        self._write("set_trial_intermediate_value", *args)

    def set_trial_system_attr(self, *args):
        self._write("set_trial_system_attr", *args)

    def set_trial_user_attr(self, *args):
        self._write("set_trial_user_attr", *args)

    def set_trial_state_values(self, *args):
        return self._write("set_trial_state_values", *args)


class Workers:
    """Trials that report in turns and, after a restart, repeat reports that the study lacks."""

    def __init__(self, pruner, some, *, directions, shuffled=None):
        self.storage = optuna.storages.InMemoryStorage()
        self.pruner, self.curves, self.directions = pruner, some, directions
        self.shuffled = shuffled
        self.round, self.filled = 0, -1
        self.begun = {}
        self.answers = {}
        """Decisions that workers have received, by trial and step."""

    def driver(self, writes=-1):
        """Return the trial queue of a new driver, killed after so many writes."""
        optuna.create_study(
            study_name="s", storage=self.storage, directions=self.directions, load_if_exists=True
        )
        study = optuna.load_study(
            study_name="s",
            storage=Dying(self.storage, writes),
            pruner=make_pruner(self.pruner, reports=REPORTS),
        )
        return TrialQueue(study, settings(TRIALS), space=SPACE)

    def run(self, queue, *, concurrent=3):
        """Train until nothing is left: in each round every live trial reports once."""
        live = []
        if self.filled == self.round:  # killed in mid-round: only those that ran go on
            running = [t for t in queue.study.get_trials() if t.state is TrialState.RUNNING]
            live = [queue.next_trial().number for _ in running]
        while True:
            if self.filled < self.round:
                while len(live) < concurrent and (proposal := queue.next_trial()) is not None:
                    live.append(proposal.number)
                    self.begun.setdefault(proposal.number, self.round)
                self.filled = self.round
            if not live and not queue.is_left():
                queue.settle()
                return
            if self.shuffled:
                self.shuffled.shuffle(live)
            live = [number for number in live if not self._ends(queue, number)]
            self.round += 1

    def _ends(self, queue, number):
        """Make the missing reports up to this round; return whether the trial ended."""
        now = self.round - self.begun[number] + 1
        first = min(queue.last_report(number) + 1, REPORTS)
        return any(self._report(queue, number, step) for step in range(first, now + 1))

    def _report(self, queue, number, step):
        value = self.curves[number][step - 1]
        if step == REPORTS:
            others = [0.0] * (len(self.directions) - 1)
            queue.complete(number, step, value, best=max(self.curves[number]), others=others)
            return True
        stop = queue.report(number, step, value)
        assert self.answers.setdefault((number, step), stop) == stop
        if stop:
            queue.prune(number)
        return stop


SELDOM = {("asha", 1), ("asha, two reports", 2), ("hyperband", 1), ("median", 2)}
"""Pruner and number of objectives of the slow cases: each pruner runs by default with the other."""


@pytest.mark.parametrize(
    ("name", "directions"),
    [
        pytest.param(
            name,
            ["maximize", "minimize"][:count],
            marks=pytest.mark.slow if (name, count) in SELDOM else (),
            id=f"{name}-{count}",
        )
        for name in REALLY_STOPPING
        for count in (1, 2)
    ],
)
def test_a_driver_killed_at_any_write_leaves_the_next_one_the_same_decisions(name, directions):
    pruner, some = PRUNERS[name], curves(TRIALS, seed=7)
    whole = Workers(pruner, some, directions=directions)
    whole.run(whole.driver())
    expected = outcome(optuna.load_study(study_name="s", storage=whole.storage))
    assert {state for state, *_ in expected} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert expected == outcome(stopped_by_optuna(pruner, some))
    writes = 0
    while True:
        workers = Workers(pruner, some, directions=directions)
        try:
            workers.run(workers.driver(writes))
            break
        except Killed:
            workers.run(workers.driver())
        states = outcome(optuna.load_study(study_name="s", storage=workers.storage))
        assert states == expected, f"killed in place of write {writes}"
        writes += 1
    assert writes > 50


@pytest.mark.parametrize("name", REALLY_STOPPING)
def test_decisions_stay_although_reports_come_in_another_order(name):
    """Each decision that a worker received holds in the study, over many kills of the driver."""
    pruner, some = PRUNERS[name], curves(TRIALS, seed=7)
    workers = Workers(pruner, some, directions=["maximize"], shuffled=random.Random(3))
    deaths = 0
    while True:
        try:
            workers.run(workers.driver(11))
            break
        except Killed:
            deaths += 1
    assert deaths > 3
    trials = optuna.load_study(study_name="s", storage=workers.storage).get_trials()
    for (number, step), stop in workers.answers.items():
        trial = trials[number]
        ended_here = trial.state is TrialState.PRUNED and trial.last_step == step
        assert ended_here == stop, (number, step)


def test_a_stop_that_a_killed_driver_decided_is_made_by_the_next_one_with_its_event():
    workers = Workers(PRUNERS["asha"], curves(TRIALS), directions=["maximize"])
    queue = workers.driver()
    first, second = (queue.next_trial().number for _ in range(2))
    assert not queue.report(first, 1, 0.9)
    assert queue.report(second, 1, 0.1)  # and the driver is gone
    events = []
    study = optuna.load_study(study_name="s", storage=workers.storage)
    again = TrialQueue(study, settings(2), space=SPACE, on_event=events.append)
    assert [t.state.name for t in study.trials] == ["RUNNING", "PRUNED"]
    assert [(e.kind, e.number, e.value) for e in events] == [("pruned", second, 0.1)]
    assert again.next_trial().number == first
    assert again.next_trial() is None


def test_reports_on_which_nothing_is_decided_have_no_record_and_wait_for_nothing():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, direction="maximize")
    cached = CachedStorage(study)
    trial = cached.study.ask()
    assert not cached.decide(trial._trial_id, 1, 0.5, lambda: False)
    cached.settle()
    assert RECORD not in study.trials[0].system_attrs
    assert study.trials[0].intermediate_values == {1: 0.5}


def test_a_judge_that_fails_leaves_neither_the_report_nor_its_rung():
    study = optuna.create_study(direction="maximize")
    cached = CachedStorage(study)
    trial = cached.study.ask()

    def judge():
        cached.set_trial_system_attr(trial._trial_id, "completed_rung_0", 0.5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cached.decide(trial._trial_id, 1, 0.5, judge)
    cached.settle()
    for shown in (study.trials[0], cached.study.trials[0]):
        assert (shown.intermediate_values, shown.system_attrs) == ({}, {})


@pytest.mark.parametrize("name", REALLY_STOPPING)
def test_no_report_reads_the_database(name, monkeypatch):
    workers = Workers(PRUNERS[name], curves(TRIALS), directions=["maximize", "minimize"])
    queue = workers.driver()
    numbers = [queue.next_trial().number for _ in range(3)]
    queue.study.get_trials()
    reads = [n for n in dir(ForwardingStorage) if n.startswith("get_")]

    def refuse(*args, **kwargs):
        raise AssertionError("read")

    for read in reads:
        monkeypatch.setattr(Dying, read, refuse)
    for step in range(1, 5):
        for number in numbers:
            queue.report(number, step, 0.5)
