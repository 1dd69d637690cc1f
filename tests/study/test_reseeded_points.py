"""The best points of a search are trained again, each with its own seed."""

import json
import signal
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from tauopt.errors import Interrupted
from tauopt.search.driver import run_search
from tauopt.study.best_first import best_first
from tauopt.study.open_study import open_study
from tauopt.study.reseeded_points import (
    RESEEDED_SEARCH,
    RepeatedPoints,
    enqueue_missing,
    reseeded_name,
    spreads,
)
from tauopt.study.study_storage import open_storage
from tauopt.training.trial_plan import read_plan, trial_folder
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup
from tests.search.without_ray import without_ray

X = {"x": FloatDistribution(0.0, 1.0)}


def study_with(*pairs, state=TrialState.COMPLETE):
    """A study of trials of some x and value."""
    study = optuna.create_study(direction="maximize")
    for x, value in pairs:
        complete = state is TrialState.COMPLETE
        study.add_trial(
            create_trial(
                params={"x": x}, distributions=X, state=state, value=value if complete else None
            )
        )
    return study


def test_the_best_points_are_the_complete_trials_of_the_largest_values():
    study = study_with((0.1, 5.0), (0.2, 7.0), (0.3, 6.0))
    assert [trial.number for trial in best_first(study.trials)[:2]] == [1, 2]
    assert best_first(study_with((0.1, 0), state=TrialState.PRUNED).trials)[:2] == []


def test_points_come_in_turns_and_only_as_often_as_is_missing():
    a, b = {"x": 0.25}, {"x": 0.75}
    study = optuna.create_study()
    enqueue_missing(study, [a, a, b, b])
    assert [study.ask(X).params["x"] for _ in range(4)] == [0.25, 0.75, 0.25, 0.75]
    enqueue_missing(study, [a, a, b, b])
    assert len(study.trials) == 4
    enqueue_missing(study, [a, a, a, b, b])
    assert study.ask(X).params == a


def test_means_deviations_and_ties_are_those_of_the_new_trainings():
    rng = np.random.default_rng(1)
    first = study_with((0.1, 90.0), (0.2, 99.0), (0.3, 80.0))
    values = {0.1: 85 + rng.normal(size=5), 0.2: 85.2 + rng.normal(size=5), 0.3: [60.0, 61.0]}
    again = study_with(*((x, float(v)) for x, known in values.items() for v in known))
    by_mean = spreads(first.trials, again.trials)
    assert {spread.number: spread.mean for spread in by_mean} == pytest.approx(
        {n: fmean(values[x]) for n, x in enumerate(values)}
    )
    assert by_mean == sorted(by_mean, key=lambda spread: -spread.mean)
    assert {spread.number for spread in by_mean if spread.is_tied} == {0, 1}
    (worst,) = (spread for spread in by_mean if spread.number == 2)
    assert worst.deviation == pytest.approx(stdev([60.0, 61.0]))
    assert worst.error == pytest.approx(worst.deviation / 2**0.5)


def test_trainings_that_did_not_complete_do_not_count():
    first = study_with((0.1, 90.0))
    assert spreads(first.trials, study_with((0.1, 0.0), state=TrialState.FAIL).trials) == []
    (alone,) = spreads(first.trials, study_with((0.1, 88.0)).trials)
    assert (alone.mean, alone.deviation, alone.is_tied) == (88.0, 0.0, True)


@pytest.fixture(scope="module", autouse=True)
def services(tmp_path_factory):
    store = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAUOPT_STORAGE", raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
        with without_ray():
            yield


def repeated(setup, *, seeds):
    """The setup that trains the two best points of a search again."""
    study = open_study(open_storage(setup.output), setup.name)
    best = best_first(study.trials)[:2]
    points = tuple(dict(trial.params) for trial in best for _ in range(seeds))
    name = reseeded_name(setup.name)
    here = setup.output / "searches" / name
    return replace(
        setup, name=name, repeats=RepeatedPoints(setup.name, points), resume=here.exists()
    )


def test_equal_points_are_trained_each_with_its_own_seed_and_more_can_be_added(tmp_path):
    setup = make_setup(tmp_path, trials=4)
    run_search(setup, worker=FakeWorker)
    ending = run_search(repeated(setup, seeds=2), worker=FakeWorker)
    assert [t.state.name for t in ending.trials] == ["COMPLETE"] * 4
    folder = repeated(setup, seeds=2).folder
    seeds = {read_plan(trial_folder(folder, t.number)).seed for t in ending.trials}
    assert len(seeds) == 4
    study = open_study(open_storage(setup.output), reseeded_name(setup.name))
    assert study.user_attrs[RESEEDED_SEARCH] == setup.name
    ending = run_search(repeated(setup, seeds=3), worker=FakeWorker)
    assert len(ending.trials) == 6
    first = open_study(open_storage(setup.output), setup.name)
    by_mean = spreads(first.trials, ending.trials)
    assert [len(spread.values) for spread in by_mean] == [3, 3]
    assert json.loads((folder / "t005" / "trial.json").read_text())["seed"] not in seeds


@pytest.mark.slow
def test_a_stopped_repetition_goes_on_with_what_is_missing(tmp_path):
    setup = make_setup(tmp_path, trials=3)
    run_search(setup, worker=FakeWorker)

    def stop(event):
        if event.kind == "complete":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        run_search(repeated(setup, seeds=3), on_event=stop, worker=FakeWorker)
    ending = run_search(repeated(setup, seeds=3), worker=FakeWorker)
    assert [t.state.name for t in ending.trials] == ["COMPLETE"] * 6
