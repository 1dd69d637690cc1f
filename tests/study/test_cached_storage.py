"""A study cached in its driver, over a database that is slow, goes away, or fails."""

import threading

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from tauopt.config.settings.experiment import Pruner
from tauopt.errors import ServiceError
from tauopt.study import study_storage
from tauopt.study.cached_storage import CachedStorage
from tauopt.study.pruners import make_pruner
from tests.study.test_trial_queue import make_study


class Counting:
    """A storage that counts calls, and delays writes of reports until `go_on` is set."""

    def __init__(self, inner):
        self.inner = inner
        self.calls = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.broken = False

    def __getattr__(self, name):
        attribute = getattr(self.inner, name)
        if not callable(attribute):
            return attribute

        def call(*args, **kwargs):
            self.calls.append(name)
            if name == "set_trial_intermediate_value":
                self.go_on.wait(30)
                if self.broken:
                    raise OperationalError("insert", {}, Exception("server closed the connection"))
            return attribute(*args, **kwargs)

        return call


@pytest.fixture
def slow(tmp_path):
    """A study of two running trials over a storage that counts."""
    study = make_study(tmp_path, make_pruner(Pruner(type="asha", reduction_factor=2), reports=8))
    counting = Counting(study._storage)
    study._storage = counting
    cached = CachedStorage(study)
    trials = [cached.study.ask() for _ in range(2)]
    return cached, counting, trials


def report(cached, trial, step, value):
    cached.study._storage.set_trial_intermediate_value(trial._trial_id, step, value)


def in_database(tmp_path):
    return make_study(tmp_path).trials


def test_reports_are_seen_at_once_and_written_behind_in_their_order(slow, tmp_path):
    cached, counting, (first, second) = slow
    counting.go_on.clear()
    for step in (1, 2, 3):
        report(cached, first, step, step / 10)
    report(cached, second, 1, 0.7)
    seen = [t.intermediate_values for t in cached.study.get_trials()]
    assert seen == [{1: 0.1, 2: 0.2, 3: 0.3}, {1: 0.7}]
    assert [t.intermediate_values for t in in_database(tmp_path)] == [{}, {}]
    counting.go_on.set()
    cached.settle()
    assert [t.intermediate_values for t in in_database(tmp_path)] == seen


def test_a_trial_that_was_read_before_a_write_stays_as_it_was(slow):
    """As with a database: a pruner compares a trial with its state before the write."""
    cached, _, (first, _) = slow
    before = cached.study.get_trials(deepcopy=False)[0]
    report(cached, first, 1, 0.5)
    cached.study._storage.set_trial_user_attr(first._trial_id, "mark", 1)
    cached.study._storage.set_trial_system_attr(first._trial_id, "rung", 2)
    assert (before.intermediate_values, before.user_attrs, before.system_attrs) == ({}, {}, {})
    now = cached.study.get_trials()[0]
    assert (now.intermediate_values, now.user_attrs) == ({1: 0.5}, {"mark": 1})
    assert now.system_attrs == {"rung": 2}


def test_attributes_are_read_as_they_were_set_though_the_database_has_them_later(slow):
    cached, counting, (first, _) = slow
    storage = cached.study._storage
    counting.go_on.clear()
    report(cached, first, 1, 0.5)  # holds up what is written behind it
    storage.set_trial_user_attr(first._trial_id, "mark", 1)
    storage.set_trial_system_attr(first._trial_id, "rung", 2)
    marks = storage.get_trial_user_attrs(first._trial_id)
    rungs = storage.get_trial_system_attrs(first._trial_id)
    counting.go_on.set()
    assert (marks, rungs) == ({"mark": 1}, {"rung": 2})


def random_life(study, seed):
    """Change trials of a study at random; yield its trials after some of the steps."""
    rng, live = np.random.default_rng(seed), []
    for _ in range(120):
        action = rng.choice(["ask", "report", "attribute", "enqueue", "tell"])
        trial = live[rng.integers(len(live))] if live else None
        if action == "ask" or trial is None:
            live.append(study.ask())
            live[-1].suggest_float("x", 0.0, 1.0)
            live[-1].suggest_categorical("kind", ["a", "b"])
        elif action == "report":
            trial.report(rng.random(), int(rng.integers(1, 9)))
        elif action == "attribute":
            trial.set_user_attr(str(rng.integers(3)), float(rng.random()))
        elif action == "enqueue":
            study.enqueue_trial({"x": rng.random()})
        else:
            live.remove(trial)
            state = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL][rng.integers(3)]
            study.tell(trial, rng.random() if state is TrialState.COMPLETE else None, state=state)
        if rng.random() < 0.6:
            continue  # several trials change before they are looked at
        yield [
            (t.number, t.state, t.values, t.params, t.distributions, t.intermediate_values,
             t.user_attrs, t.system_attrs)
            for t in study.get_trials()
        ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The reported value is ignored")
@pytest.mark.parametrize("seed", range(4))
def test_the_cache_always_shows_what_optuna_s_own_storage_does(seed):
    sampler = optuna.samplers.RandomSampler
    plain = optuna.create_study(direction="maximize", sampler=sampler(seed=seed))
    database_study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed))
    cached = CachedStorage(database_study)
    for expected, shown in zip(
        random_life(plain, seed), random_life(cached.study, seed), strict=True
    ):
        assert shown == expected
    cached.settle()
    assert [t.user_attrs for t in database_study.trials] == [t.user_attrs for t in plain.trials]
    assert cached.study.best_trial.params == plain.best_trial.params


def test_what_follows_a_report_is_written_after_it(slow, tmp_path):
    cached, counting, (first, _) = slow
    counting.go_on.clear()
    report(cached, first, 1, 0.5)
    threading.Timer(0.3, counting.go_on.set).start()
    cached.study.tell(first, 0.5)
    (trial, _) = in_database(tmp_path)
    assert trial.state is TrialState.COMPLETE
    assert trial.intermediate_values == {1: 0.5}
    writes = [name for name in counting.calls if name.startswith("set_trial_")]
    assert writes == ["set_trial_intermediate_value", "set_trial_state_values"]


def test_a_report_reads_nothing_from_the_database_also_at_a_rung(slow, tmp_path):
    cached, counting, (first, second) = slow
    pruner = cached.study.pruner

    def judge(trial):
        return pruner.prune(cached.study, cached.study._storage.get_trial(trial._trial_id))

    for trial in (first, second):
        report(cached, trial, 1, 0.5)
        assert not judge(trial)
    cached.settle()
    counting.calls.clear()
    for step in (3, 5, 6, 7):  # rungs lie at 1, 2, 4 and 8, and each is passed once
        for trial in (first, second):
            report(cached, trial, step, 0.5)
            assert not judge(trial)
    cached.settle()
    assert not [name for name in counting.calls if name.startswith("get_")]
    assert counting.calls.count("set_trial_system_attr") == 2 * 2
    stored = [t.system_attrs for t in in_database(tmp_path)]
    assert stored == [{f"completed_rung_{n}": 0.5 for n in range(3)}] * 2


def test_earlier_trials_are_known_and_new_ones_come_after_them(slow, tmp_path):
    cached, _, (first, _) = slow
    first.suggest_float("x", 0.0, 1.0)
    first.set_user_attr("mark", 3)
    again = CachedStorage(make_study(tmp_path))
    seen = again.study.get_trials()
    assert [t.number for t in seen] == [0, 1]
    assert seen[0].params == cached.study.get_trials()[0].params != {}
    assert seen[0].user_attrs == {"mark": 3}
    again.study.enqueue_trial({"x": 0.25})
    assert again.study.ask().suggest_float("x", 0.0, 1.0) == 0.25
    assert [t.number for t in again.study.get_trials()] == [0, 1, 2]


def test_a_database_that_goes_away_is_waited_for(slow, monkeypatch, tmp_path):
    cached, counting, (first, _) = slow
    monkeypatch.setattr(study_storage, "_PAUSE_S", 0.01)
    counting.broken = True
    report(cached, first, 1, 0.5)
    threading.Timer(0.3, lambda: setattr(counting, "broken", False)).start()
    cached.settle()
    assert in_database(tmp_path)[0].intermediate_values == {1: 0.5}


def test_a_database_that_stays_away_is_an_error_of_the_next_report(slow, monkeypatch):
    cached, counting, (first, _) = slow
    monkeypatch.setattr(study_storage, "_PAUSE_S", 0.01)
    monkeypatch.setattr(study_storage.with_retries, "__kwdefaults__", {"wait_s": 0.2})
    counting.broken = True
    for step in (1, 2, 3):
        report(cached, first, step, 0.5)
    with pytest.raises(ServiceError, match="the study storage went away: server closed"):
        cached.settle()
    calls = counting.calls.count("set_trial_intermediate_value")
    cached.settle()  # nothing waits any more, and nothing is tried again
    assert counting.calls.count("set_trial_intermediate_value") == calls
