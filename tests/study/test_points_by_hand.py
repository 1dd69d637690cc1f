"""Points by hand reach the driver through the study, and each becomes one trial."""

import json
from collections import Counter

import optuna
import pytest

from tauopt.config.load import read_experiment
from tauopt.config.settings.experiment import Search
from tauopt.errors import UsageError
from tauopt.study.control_requests import ControlRequests, extend
from tauopt.study.points_by_hand import (
    enqueue_by_hand,
    known_points,
    points_in,
    send_points,
    space_of,
)
from tauopt.study.suggest import key
from tauopt.study.trial_queue import TrialQueue
from tests.search.searches import write_experiment

POINTS = [{"model.units": units, "training.learning_rate": 2e-3} for units in (5, 7)]


@pytest.fixture
def file(tmp_path):
    return read_experiment(write_experiment(tmp_path, trials=4))


@pytest.fixture
def study(file):
    study = optuna.create_study(direction="maximize")
    study.set_user_attr("tauopt.text", json.dumps(file.definition))
    return study


def test_points_are_tried_before_sampled_ones_and_each_is_one_trial_more(study, file):
    requests = ControlRequests(study, file.base.search)
    queue = TrialQueue(study, requests.settings, space=file.space)
    first = queue.next_trial()
    send_points(study, POINTS[:1])
    send_points(study, POINTS[1:])
    requests.refresh()
    queue.set_limits(requests.settings)
    assert enqueue_by_hand(queue.study, requests.points)
    proposals = [first]
    while (proposal := queue.next_trial()) is not None:
        proposals.append(proposal)
        queue.complete(proposal.number, 1, 0.5, best=0.5)
    assert [proposal.params for proposal in proposals[1:3]] == POINTS
    assert len(proposals) == 4 + 2


def test_a_driver_that_was_killed_in_between_enqueues_no_point_twice(study):
    send_points(study, POINTS)
    points = points_in(study.user_attrs)
    first_only = dict([next(iter(points.items()))])
    enqueue_by_hand(study, first_only)  # killed here
    assert enqueue_by_hand(study, points)
    assert not enqueue_by_hand(study, points)
    given = Counter(key(trial.system_attrs["fixed_params"]) for trial in study.trials)
    assert given == Counter(map(key, POINTS))


def test_a_total_that_is_given_later_has_the_points_in_it(study):
    send_points(study, POINTS)
    settings = Search(trials=4)
    assert ControlRequests(study, settings).settings.trials == 6
    extend(study, trials=10)
    assert ControlRequests(study, settings).settings.trials == 10
    send_points(study, POINTS)
    assert ControlRequests(study, settings).settings.trials == 12


def test_a_point_is_known_while_it_waits_and_once_it_is_a_trial(study):
    study.enqueue_trial(POINTS[0])
    send_points(study, POINTS[1:])
    assert known_points(study) == {key(POINTS[0]): 0, key(POINTS[1]): None}


def test_a_search_of_a_user_s_own_model_takes_no_points_and_says_what_to_do(study):
    study.set_user_attr("tauopt.text", json.dumps({"model": {"type": "mine:Model"}}))
    with pytest.raises(UsageError, match=r"known only while it is built.*--warm-start"):
        space_of(study)
    study.set_user_attr("tauopt.text", "")
    with pytest.raises(UsageError, match="no record of its ranges; resume it first"):
        space_of(study)
