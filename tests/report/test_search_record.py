"""Time and compute cost in a report agree with the records, second by second."""

import numpy as np
import pytest
from optuna.trial import TrialState

from tauopt.report.compute_cost import LOST, compute_cost, cost_at_trial_ends, hours_used
from tauopt.report.figure_inputs import rung_positions, trial_points
from tauopt.report.search_record import gather
from tauopt.report.sessions import HALVED
from tests.report.studies import RecordedStudy, eventful, seconds_at, trained

CPUS, GPUS = 2.0, 0.5


def record_of(search, *, now=1000, driver="none"):
    return gather(search.study, search.folder, now=seconds_at(now), driver=driver)


def entries(search, **kwargs):
    cost = compute_cost(record_of(search, **kwargs))
    return {entry.name: entry for entry in cost.entries} | {"total": cost.total}


def slow_core_seconds(record, *, until=None):
    """Return the core-seconds held: a slow reference in steps of a tenth of a second."""
    every = [(s, t.cpus) for t in record.trials for s in t.history.sessions]
    steps = np.arange(seconds_at(0), seconds_at(500 if until is None else until), 0.1) + 0.05
    return sum(0.1 * cpus * ((steps > s.begin) & (steps < s.end)).sum() for s, cpus in every)


def test_each_second_of_a_killed_and_a_stopped_search_is_counted_once(tmp_path):
    by_name = entries(eventful(tmp_path))
    # t000: 1 to 35. t001: 36 to 50. t002: 51 to 70. t003: 40 to its report at 60, the kill at 70;
    # 110 to the stop at 200; 310 to 340.
    hours = {"complete": 34 + 20 + 90 + 30, "pruned": 14, "failed": 19, LOST: 10}
    for name, seconds in hours.items():
        assert by_name[name].cpu_hours == pytest.approx(CPUS * seconds / 3600), name
        assert by_name[name].gpu_hours == pytest.approx(GPUS * seconds / 3600), name
    passes = {name: entry.passes for name, entry in by_name.items()}
    assert passes["complete"] == 300 + 300
    assert passes["pruned"] == 100
    assert passes[LOST] == 10 * 10  # seconds, times candidates a second
    trials = {name: entry.trials for name, entry in by_name.items()}
    assert trials == {
        "complete": 2, "pruned": 1, "failed": 1, "unfinished": 0, "repeated": 1, LOST: 1,
        "total": 5,
    }  # fmt: skip


def test_the_total_cost_is_all_the_time_that_cores_were_held(tmp_path):
    search = eventful(tmp_path)
    record = record_of(search)
    assert entries(search)["total"].cpu_hours == pytest.approx(
        slow_core_seconds(record) / 3600, rel=1e-3
    )
    cost = compute_cost(record)
    assert cost.interruptions == 2
    assert cost.wall_hours == pytest.approx((70 + 100 + 100) / 3600)
    assert cost.passes_spared == 300
    assert cost.waiting_cpu_hours == pytest.approx(CPUS * (4 + 4 + 4 + 5) / 3600)


def test_worker_sessions_name_what_cut_them_off(tmp_path):
    cut = record_of(eventful(tmp_path)).trials[3]
    assert [s.ending for s in cut.history.sessions] == ["killed", "stopped", "complete"]
    assert cut.history.candidates_seen == (100, 200, 300)
    assert cut.history.intervals[1] == (pytest.approx(36), pytest.approx(48))


def test_a_worker_that_died_alone_is_distinguished_from_a_killed_driver(tmp_path):
    search = RecordedStudy(tmp_path)
    search.driver(0, 100)
    number = search.trial(TrialState.COMPLETE, [1, 2], ask=0, end=60)
    search.begins(number, 5)
    search.reports(number, 20, 100, 1)
    search.begins(number, 40)
    search.reports(number, 60, 200, 2)
    (trial,) = record_of(search).trials
    first, second = trial.history.sessions
    assert (first.ending, second.ending) == ("died", "complete")
    assert first.end == second.begin
    assert first.lost_s == pytest.approx(20)


def test_a_trial_that_restarted_with_half_its_batch_size_lost_the_candidates_it_had_seen(tmp_path):
    search = RecordedStudy(tmp_path)
    search.driver(0, 100)
    number = search.trial(TrialState.COMPLETE, [1, 2], ask=0, end=60)
    search.begins(number, 5)
    search.reports(number, 20, 128, 1)
    search.begins(number, 21, **{HALVED: "64"})
    search.reports(number, 40, 64, 1)
    search.reports(number, 60, 192, 2)
    record = record_of(search)
    assert record.trials[0].history.candidates_seen == (64, 192)
    assert record.trials[0].history.discarded_candidates == 128
    assert entries(search)["complete"].passes == 192
    assert entries(search)[LOST].passes == 128 + 10  # a second more at ten candidates a second


def test_trials_of_a_running_search_end_now_and_nothing_is_lost(tmp_path):
    search = RecordedStudy(tmp_path)
    search.driver(0)
    number = search.trial(TrialState.RUNNING, [1], ask=1)
    search.begins(number, 5)
    search.reports(number, 20, 100, 1)
    records = {
        driver: record_of(search, now=50, driver=driver) for driver in ("runs", "ends", "none")
    }
    (running,), (ending,), (killed,) = (
        record.trials[0].history.sessions for record in records.values()
    )
    assert (running.ending, ending.ending, killed.ending) == ("running", "stopped", "killed")
    assert running.end == ending.end == seconds_at(50)
    assert killed.end == seconds_at(20)
    assert running.lost_s == ending.lost_s == killed.lost_s == 0
    assert cost_at_trial_ends(records["runs"]) == {}


def test_a_study_without_records_still_has_the_times_of_its_trials(tmp_path):
    search = RecordedStudy(tmp_path)
    search.trial(TrialState.COMPLETE, [1, 2], ask=0, end=3600, plan=False)
    search.trial(TrialState.FAIL, [], ask=5, end=5, plan=False)
    record = record_of(search)
    assert entries(search)["total"].cpu_hours == pytest.approx(1.0)
    assert entries(search)["total"].passes == 0
    assert [list(t.seen) for t in trial_points(record)] == [[1, 2], []]
    assert rung_positions(record) == [1.0, 2.0]
    assert record.driver_sessions == ()


def test_waiting_trials_are_left_out_and_an_empty_study_has_a_record(tmp_path):
    search = RecordedStudy(tmp_path)
    search.study.enqueue_trial({"model.units": 4})
    record = record_of(search)
    assert record.trials == record.leaderboard == ()
    assert compute_cost(record).total.cpu_hours == 0


def test_rungs_are_at_the_median_of_candidates_seen_where_the_pruner_decided(tmp_path):
    search = RecordedStudy(tmp_path)
    search.driver(0, 900)
    trained(search, TrialState.COMPLETE, [1.0] * 9, ask=0, ready=5, size=100)
    trained(search, TrialState.PRUNED, [0.5, 0.5], ask=0, ready=5, size=104)
    assert rung_positions(record_of(search)) == [102.0, 204.0, 400.0, 800.0]


def test_hours_used_are_the_sum_over_worker_sessions_up_to_a_time(tmp_path):
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
    np.testing.assert_allclose(hours_used(times, begins=begins, ends=ends, held=rates), slow)
    record = record_of(eventful(tmp_path))
    gpu_hours = cost_at_trial_ends(record)
    assert gpu_hours[3] == pytest.approx(
        GPUS / CPUS * slow_core_seconds(record, until=340) / 3600, rel=1e-3
    )
