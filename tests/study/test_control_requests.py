import optuna
import pytest

from tauopt.config.settings.experiment import Budget, Search
from tauopt.study import budget, control_requests
from tauopt.study.budget import BudgetClock
from tauopt.study.control_requests import (
    ControlRequests,
    current_request,
    extend,
    send_request,
    with_extensions,
)


@pytest.fixture
def study():
    return optuna.create_study(direction="maximize")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Hand:
        now = 1000.0

        def monotonic(self):
            return self.now

    hand = Hand()
    monkeypatch.setattr(budget, "time", hand)
    monkeypatch.setattr(control_requests, "time", hand)
    return hand


def test_a_request_reaches_a_driver_within_a_second_and_the_study_is_read_no_more_often(
    study, clock
):
    requests = ControlRequests(study, Search())
    send_request(study, "stop")
    assert requests.current() == ""
    clock.now += 1.5
    assert requests.current() == "stop"


def test_a_new_driver_drops_a_request_to_the_one_before(study):
    send_request(study, "stop")
    assert ControlRequests(study, Search()).current() == ""
    assert current_request(study) == ""


def test_raised_limits_outlive_a_resume_and_none_becomes_smaller(study):
    settings = Search(trials=10, budget=Budget(hours=5.0))
    extend(study, trials=20)
    extend(study, hours=2.0, gpu_hours=3.0)
    raised = ControlRequests(study, settings).settings
    assert (raised.trials, raised.budget.hours, raised.budget.gpu_hours) == (20, 5.0, None)
    assert with_extensions(settings.model_copy(update={"trials": 30}), study).trials == 30
    extend(study, hours=9.0)
    assert with_extensions(settings, study).budget.hours == 9.0


def test_the_clock_counts_gpus_that_are_held_and_goes_on_after_a_resume(study, clock):
    first = BudgetClock(study)
    for gpus, seconds in ((0.0, 100), (0.5, 600), (2.0, 300)):
        clock.now += seconds
        first.note(gpus=gpus)
    first.note(now=True)
    clock.now += 5000
    again = BudgetClock(study)
    assert again.gpu_seconds == 0.5 * 600 + 2.0 * 300
    assert again.seconds == 1000
    clock.now += 10
    again.note(gpus=1.0)
    assert again.gpu_seconds == 910
    assert again.beyond(Budget()) == ""
    assert "0.2 h" in again.beyond(Budget(hours=0.2))
    assert "0.25 GPU h" in again.beyond(Budget(gpu_hours=0.25, hours=1))
    assert again.beyond(Budget(gpu_hours=0.26)) == ""
