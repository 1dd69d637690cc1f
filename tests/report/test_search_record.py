"""What a report says of time and cost is what records say, second by second."""

import numpy as np
import pytest
from optuna.trial import TrialState

from tauopt.report.compute_cost import LOST, ledger_of, spent_hours, spent_of
from tauopt.report.figure_inputs import rungs_of, tried_of
from tauopt.report.search_record import gather
from tauopt.report.sessions import HALVED
from tests.report.studies import Told, eventful, seconds_at, trained

CPUS, GPUS = 2.0, 0.5


def facts_of(told, *, now=1000, driver="none"):
    return gather(told.study, told.folder, now=seconds_at(now), driver=driver)


def entries(told, **kwargs):
    ledger = ledger_of(facts_of(told, **kwargs))
    return {entry.name: entry for entry in ledger.entries} | {"total": ledger.total}


def slow_held(facts, *, until=None):
    """Seconds of cores held, counted in steps of a tenth of a second."""
    every = [(s, t.cpus) for t in facts.trials for s in t.past.stretches]
    steps = np.arange(seconds_at(0), seconds_at(500 if until is None else until), 0.1) + 0.05
    return sum(0.1 * cpus * ((steps > s.begin) & (steps < s.end)).sum() for s, cpus in every)


def test_each_second_of_a_killed_and_a_stopped_search_is_counted_once(tmp_path):
    found = entries(eventful(tmp_path))
    # t000: 1 to 35. t001: 36 to 50. t002: 51 to 70. t003: 40 to its report at 60, the kill at 70;
    # 110 to the stop at 200; 310 to 340.
    hours = {"complete": 34 + 20 + 90 + 30, "pruned": 14, "failed": 19, LOST: 10}
    for name, seconds in hours.items():
        assert found[name].cpu_hours == pytest.approx(CPUS * seconds / 3600), name
        assert found[name].gpu_hours == pytest.approx(GPUS * seconds / 3600), name
    passes = {name: entry.passes for name, entry in found.items()}
    assert passes["complete"] == 300 + 300
    assert passes["pruned"] == 100
    assert passes[LOST] == 10 * 10  # seconds, times candidates a second
    trials = {name: entry.trials for name, entry in found.items()}
    assert trials == {
        "complete": 2, "pruned": 1, "failed": 1, "unfinished": 0, "repeated": 1, LOST: 1,
        "total": 5,
    }  # fmt: skip


def test_the_ledger_s_total_is_all_that_was_held(tmp_path):
    told = eventful(tmp_path)
    facts = facts_of(told)
    assert entries(told)["total"].cpu_hours == pytest.approx(slow_held(facts) / 3600, rel=1e-3)
    ledger = ledger_of(facts)
    assert ledger.interruptions == 2
    assert ledger.wall_hours == pytest.approx((70 + 100 + 100) / 3600)
    assert ledger.passes_spared == 300
    assert ledger.waiting_cpu_hours == pytest.approx(CPUS * (4 + 4 + 4 + 5) / 3600)


def test_stretches_say_what_cut_them_off(tmp_path):
    cut = facts_of(eventful(tmp_path)).trials[3]
    assert [s.ending for s in cut.past.stretches] == ["killed", "stopped", "complete"]
    assert cut.past.seen == (100, 200, 300)
    assert cut.past.intervals[1] == (pytest.approx(36), pytest.approx(48))


def test_a_worker_that_died_under_a_living_driver_is_told_apart(tmp_path):
    told = Told(tmp_path)
    told.driver(0, 100)
    number = told.trial(TrialState.COMPLETE, [1, 2], ask=0, end=60)
    told.begins(number, 5)
    told.reports(number, 20, 100, 1)
    told.begins(number, 40)
    told.reports(number, 60, 200, 2)
    (trial,) = facts_of(told).trials
    first, second = trial.past.stretches
    assert (first.ending, second.ending) == ("died", "complete")
    assert first.end == second.begin
    assert first.lost_s == pytest.approx(20)


def test_a_trial_that_began_anew_with_half_its_batches_lost_what_it_had_seen(tmp_path):
    told = Told(tmp_path)
    told.driver(0, 100)
    number = told.trial(TrialState.COMPLETE, [1, 2], ask=0, end=60)
    told.begins(number, 5)
    told.reports(number, 20, 128, 1)
    told.begins(number, 21, **{HALVED: "64"})
    told.reports(number, 40, 64, 1)
    told.reports(number, 60, 192, 2)
    facts = facts_of(told)
    assert facts.trials[0].past.seen == (64, 192)
    assert facts.trials[0].past.discarded == 128
    assert entries(told)["complete"].passes == 192
    assert entries(told)[LOST].passes == 128 + 10  # a second more at ten candidates a second


def test_of_a_running_search_trials_end_now_and_nothing_is_lost(tmp_path):
    told = Told(tmp_path)
    told.driver(0)
    number = told.trial(TrialState.RUNNING, [1], ask=1)
    told.begins(number, 5)
    told.reports(number, 20, 100, 1)
    found = {driver: facts_of(told, now=50, driver=driver) for driver in ("runs", "ends", "none")}
    (running,), (ending,), (killed,) = (facts.trials[0].past.stretches for facts in found.values())
    assert (running.ending, ending.ending, killed.ending) == ("running", "stopped", "killed")
    assert running.end == ending.end == seconds_at(50)
    assert killed.end == seconds_at(20)
    assert running.lost_s == ending.lost_s == killed.lost_s == 0
    assert spent_of(found["runs"]) == {}


def test_a_study_without_records_still_tells_its_trials_times(tmp_path):
    told = Told(tmp_path)
    told.trial(TrialState.COMPLETE, [1, 2], ask=0, end=3600, plan=False)
    told.trial(TrialState.FAIL, [], ask=5, end=5, plan=False)
    facts = facts_of(told)
    assert entries(told)["total"].cpu_hours == pytest.approx(1.0)
    assert entries(told)["total"].passes == 0
    assert [list(t.seen) for t in tried_of(facts)] == [[1, 2], []]
    assert rungs_of(facts) == [1.0, 2.0]
    assert facts.sessions == ()


def test_waiting_trials_are_none_and_an_empty_study_has_facts_too(tmp_path):
    told = Told(tmp_path)
    told.study.enqueue_trial({"model.units": 4})
    facts = facts_of(told)
    assert facts.trials == facts.board == ()
    assert ledger_of(facts).total.cpu_hours == 0


def test_rungs_stand_where_the_pruner_decided(tmp_path):
    told = Told(tmp_path)
    told.driver(0, 900)
    trained(told, TrialState.COMPLETE, [1.0] * 9, ask=0, ready=5, size=100)
    trained(told, TrialState.PRUNED, [0.5, 0.5], ask=0, ready=5, size=104)
    assert rungs_of(facts_of(told)) == [102.0, 204.0, 400.0, 800.0]


def test_compute_spent_is_the_sum_over_stretches_up_to_then(tmp_path):
    rng = np.random.default_rng(3)
    begins = rng.uniform(0, 900, 30)
    ends, rates = begins + rng.uniform(0, 200, 30), rng.choice([0.25, 1.0, 2.0], 30)
    times = rng.uniform(-50, 1200, 20)
    slow = []
    for time in times:
        spent = 0.0
        for begin, end, rate in zip(begins, ends, rates, strict=True):
            if time > begin:
                spent += rate * (min(time, end) - begin)
        slow.append(spent / 3600)
    np.testing.assert_allclose(spent_hours(times, begins=begins, ends=ends, rates=rates), slow)
    facts = facts_of(eventful(tmp_path))
    gpu_hours = spent_of(facts)
    assert gpu_hours[3] == pytest.approx(GPUS / CPUS * slow_held(facts, until=340) / 3600, rel=1e-3)
