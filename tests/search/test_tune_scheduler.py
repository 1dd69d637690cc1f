"""Results that Ray passes to the scheduler and the searcher, in either order."""

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from tauopt.search.trainable import INTERRUPTED
from tauopt.search.tune_adapters import StudyScheduler
from tests.search.test_tune_searcher import make_searcher
from tests.study.test_trial_queue import make_study


@pytest.mark.parametrize("reports", [0, 2])
def test_an_interrupted_trial_is_neither_reported_nor_ended_and_the_next_driver_has_it(reports):
    study = make_study()
    searcher = make_searcher(study, 1)
    scheduler, trial = StudyScheduler(searcher), SimpleNamespace(trial_id="ray")
    searcher.suggest("ray")
    for number in range(1, reports + 1):
        report = {
            "number": number,
            "value": 0.5,
            "paired_value": "",
            "candidates_seen": number,
            "done": False,
        }
        scheduler.on_trial_result(None, trial, report)
    interrupted = {INTERRUPTED: "t000 stopped after 1500 candidates", "done": False}
    for _ in range(2):
        decision = scheduler.on_trial_result(None, trial, dict(interrupted))
        assert decision == TrialScheduler.CONTINUE
    searcher.on_trial_complete("ray", {**interrupted, "done": True})
    searcher.queue.settle()
    assert searcher.error is None
    (stored,) = study.trials
    assert stored.state.name == "RUNNING"
    assert len(stored.intermediate_values) == reports
    again = make_searcher(study, 1)
    assert again.suggest("next") == {"number": 0}
    assert again.queue.last_report(0) == reports


def test_any_other_result_without_a_report_ends_the_search_with_an_error():
    searcher = make_searcher(make_study(), 1)
    searcher.suggest("ray")
    StudyScheduler(searcher).on_trial_result(None, SimpleNamespace(trial_id="ray"), {"done": False})
    assert isinstance(searcher.error, KeyError)
