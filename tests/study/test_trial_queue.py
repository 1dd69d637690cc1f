import math

import optuna
import pytest
from optuna.trial import TrialState

from tauopt.config.settings.experiment import Pruner, Sampler, Search
from tauopt.config.settings.objective import Goal
from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange
from tauopt.errors import ServiceError
from tauopt.study.leaderboard_rows import rows
from tauopt.study.pruners import make_pruner
from tauopt.study.study_storage import with_retries
from tauopt.study.trial_queue import TrialQueue

SPACE = {"x": FloatRange(0.0, 1.0), "units": IntRange(8, 64, log=True)}


def make_study(tmp_path=None, pruner=None):
    storage = f"sqlite:///{tmp_path}/studies.db" if tmp_path else None
    return optuna.create_study(
        study_name="s",
        storage=storage,
        direction="maximize",
        load_if_exists=True,
        pruner=pruner or optuna.pruners.NopPruner(),
    )


def settings(trials, **kwargs):
    return Search(trials=trials, sampler=Sampler(type="random", seed=5), **kwargs)


def run_to_the_end(queue):
    while (proposal := queue.next_trial()) is not None:
        queue.complete(proposal.number, 1, proposal.params["x"], best=proposal.params["x"])


def test_a_search_has_the_requested_trials_and_more_after_the_number_is_raised():
    study = make_study()
    run_to_the_end(TrialQueue(study, settings(4), space=SPACE))
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 4
    run_to_the_end(TrialQueue(study, settings(7), space=SPACE))
    assert [t.number for t in study.trials] == list(range(7))


def test_orphans_come_first_with_number_and_parameters(tmp_path):
    study = make_study(tmp_path)
    first = TrialQueue(study, settings(5), space=SPACE)
    begun = [first.next_trial() for _ in range(3)]
    first.complete(begun[1].number, 1, 0.5, best=0.5)
    first.report(begun[0].number, 1, 0.25)

    second = TrialQueue(make_study(tmp_path), settings(5), space=SPACE)
    again = [second.next_trial() for _ in range(2)]
    assert [p.number for p in again] == [0, 2]
    assert [p.params for p in again] == [begun[0].params, begun[2].params]
    assert all(p.resumed for p in again)
    second.report(0, 1, 0.25)
    second.complete(0, 2, 0.5, best=0.5)
    second.complete(2, 1, 0.5, best=0.5)
    run_to_the_end(second)
    states = [t.state for t in make_study(tmp_path).trials]
    assert states == [TrialState.COMPLETE] * 5
    assert study.trials[0].intermediate_values == {1: 0.25, 2: 0.5}


def test_a_resumed_search_proposes_what_an_uninterrupted_one_proposes():
    whole = make_study()
    run_to_the_end(TrialQueue(whole, settings(6), space=SPACE))
    parts = make_study()
    run_to_the_end(TrialQueue(parts, settings(2), space=SPACE))
    run_to_the_end(TrialQueue(parts, settings(6), space=SPACE))
    assert [t.params for t in parts.trials] == [t.params for t in whole.trials]
    assert len({t.params["x"] for t in parts.trials}) == 6


def test_asha_stops_what_falls_behind_and_keeps_its_rungs_over_a_resume(tmp_path):
    pruner = make_pruner(Pruner(type="asha", reduction_factor=2), reports=8)
    queue = TrialQueue(make_study(tmp_path, pruner), settings(4), space=SPACE)
    numbers = [queue.next_trial().number for _ in range(2)]
    assert not queue.report(numbers[0], 1, 0.9)
    queue.complete(numbers[0], 2, 0.9, best=0.9)

    resumed = TrialQueue(make_study(tmp_path, pruner), settings(4), space=SPACE)
    number = resumed.next_trial().number
    assert resumed.report(number, 1, 0.1)
    resumed.prune(number)
    assert resumed.study.trials[number].state is TrialState.PRUNED
    assert resumed.study.trials[number].value == 0.1


def test_the_leaderboard_has_its_intervals_from_the_study_alone(tmp_path):
    """Also for a duplicate, and without folders of trials."""
    space = {"units": IntRange(8, 9)}
    queue = TrialQueue(make_study(tmp_path), settings(2), space=space)
    first = queue.next_trial().number
    queue.complete(first, 1, 0.5, best=0.6, intervals={"auc": (0.55, 0.7)})
    second = queue.next_trial().number
    queue.complete(second, 1, 0.4, best=0.4)
    queue.settle()
    board = rows(make_study(tmp_path).trials, tmp_path / "gone", goals=[Goal("auc", "maximize")])
    shown = {row.number: (row.value, row.low, row.high) for row in board}
    assert shown[first] == (0.6, 0.55, 0.7)
    assert shown[second] == (0.4, None, None)
    repeats = [row for row in board if row.duplicate_of == first]
    assert all((row.low, row.high) == (0.55, 0.7) for row in repeats)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_fails_the_trial(value):
    study = make_study()
    queue = TrialQueue(study, settings(1), space=SPACE)
    number = queue.next_trial().number
    queue.complete(number, 1, value, best=value)
    assert study.trials[0].state is TrialState.FAIL
    assert "not finite" in study.trials[0].user_attrs["reason"]


def test_the_search_gives_up_after_failures_in_a_row_and_keeps_the_first_reason():
    queue = TrialQueue(make_study(), settings(9, max_failures=3), space=SPACE)
    for reason in ("one", "two", "three"):
        assert not queue.gives_up()
        queue.fail(queue.next_trial().number, reason)
    assert queue.gives_up()
    assert queue.first_failure == "one"


def test_equal_suggestions_are_not_trained_twice_and_an_exhausted_space_ends_the_search():
    space = {"x": ChoiceRange((0.25, 0.5)), "layers": IntRange(1, 3)}
    events = []
    study = make_study()
    queue = TrialQueue(study, settings(50), space=space, on_event=events.append)
    trained = []
    while (proposal := queue.next_trial()) is not None:
        trained.append(tuple(proposal.params.values()))
        value = proposal.params["x"] * proposal.params["layers"]
        queue.complete(proposal.number, 1, value, best=value)
    assert len(trained) == len(set(trained)) == 6
    assert queue.exhausted
    assert "nothing is left" in events[-1].message
    by_number = {t.number: t for t in study.trials}
    duplicates = [t for t in study.trials if "duplicate_of" in t.user_attrs]
    assert all(t.value == by_number[t.user_attrs["duplicate_of"]].value for t in duplicates)
    assert all(t.state is TrialState.COMPLETE for t in study.trials)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_that_repeats_itself_still_gives_the_requested_trials(monkeypatch):
    space = {"x": ChoiceRange(tuple(i / 100 for i in range(100)))}

    def fixed(settings, *, pruner, number):
        return optuna.samplers.PartialFixedSampler({"x": 0.5}, optuna.samplers.RandomSampler())

    monkeypatch.setattr("tauopt.study.trial_queue.make_sampler", fixed)
    study = make_study()
    run_to_the_end(TrialQueue(study, settings(4), space=space))
    trained = [t for t in study.trials if "duplicate_of" not in t.user_attrs]
    assert len(trained) == 4
    assert len({t.params["x"] for t in trained}) == 4


def test_a_duplicate_of_a_running_trial_waits_for_its_end(tmp_path):
    space = {"x": ChoiceRange((0.25, 0.5))}
    queue = TrialQueue(make_study(tmp_path), settings(3), space=space)
    first, second = queue.next_trial(), queue.next_trial()
    assert queue.next_trial() is None
    duplicates = [t for t in queue.study.trials if "duplicate_of" in t.user_attrs]
    queue.complete(first.number, 1, 0.3, best=0.3)
    queue.fail(second.number, "diverged")
    for duplicate in duplicates:
        ended = queue.study.trials[duplicate.number]
        first_of = queue.study.trials[ended.user_attrs["duplicate_of"]]
        assert (ended.state, ended.value) == (first_of.state, first_of.value)
    assert not [t for t in queue.study.trials if t.state is TrialState.RUNNING]


def test_a_driver_killed_between_proposal_and_mark_doubles_nothing(tmp_path):
    space = {"x": ChoiceRange((0.25, 0.5, 0.75))}
    study = make_study(tmp_path)
    queue = TrialQueue(study, settings(2), space=space)
    first = queue.next_trial()
    queue.complete(first.number, 1, 0.3, best=0.3)
    study.ask().suggest_categorical("x", (0.25, 0.5, 0.75))
    study.ask()
    resumed = TrialQueue(make_study(tmp_path), settings(2), space=space)
    while (proposal := resumed.next_trial()) is not None:
        resumed.complete(proposal.number, 1, 0.4, best=0.4)
    final = make_study(tmp_path).trials
    assert all(t.state is TrialState.COMPLETE for t in final)
    trained = [t for t in final if "duplicate_of" not in t.user_attrs]
    assert len({t.params["x"] for t in trained}) == len(trained)


def test_a_database_that_restarts_is_waited_for_and_a_trial_ends_once(monkeypatch):
    monkeypatch.setattr("tauopt.study.study_storage._PAUSE_S", 0.0)
    study = make_study()
    queue = TrialQueue(study, settings(1), space=SPACE)
    number = queue.next_trial().number
    tell, away = study.tell, [optuna.exceptions.StorageInternalError("restarting")] * 3

    def sometimes(*args, **kwargs):
        if away:
            tell(*args, **kwargs) if len(away) == 1 else None
            raise away.pop()
        return tell(*args, **kwargs)

    monkeypatch.setattr(study, "tell", sometimes)
    queue.complete(number, 1, 0.5, best=0.5)
    assert [t.value for t in study.trials] == [0.5]


def test_a_database_that_stays_away_ends_the_search_in_words():
    def call():
        raise optuna.exceptions.StorageInternalError("gone")

    with pytest.raises(ServiceError, match="went away: gone"):
        with_retries(call, wait_s=0.0)
