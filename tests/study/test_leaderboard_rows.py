"""The order of trials: ties by their loss, the rest by their value."""

from dataclasses import asdict

import numpy as np
from optuna.trial import TrialState, create_trial

from tauopt.config.settings.experiment import Constraint
from tauopt.config.settings.objective import Goal
from tauopt.metrics.constraint_values import constraint_value
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.influence import PairedValue
from tauopt.study.best_first import best_first, ties_of
from tauopt.study.leaderboard_rows import rows

GOALS = [Goal("rejection@0.75", "maximize")]


def trial(number, value, *, loss=None, error=0.05, state=TrialState.COMPLETE, confirms=None):
    attrs = {}
    if loss is not None:
        influence = np.random.default_rng(number).normal(0, error / 16, 256).astype(np.float32)
        paired = PairedValue(float(np.log(value)), influence)
        attrs = {"tauopt.paired_value": str(paired), "tauopt.log_loss": loss}
    if confirms is not None:
        attrs["tauopt.confirms"] = confirms
    made = create_trial(
        state=state, value=value if state is TrialState.COMPLETE else None, user_attrs=attrs
    )
    made.number = number
    return made


TRIALS = [
    trial(0, 80.0, loss=0.30), trial(1, 78.0, loss=0.20), trial(2, 79.0, loss=0.25),
    trial(3, 40.0, loss=0.10), trial(4, 45.0, loss=0.50),
]  # fmt: skip


def test_tied_trials_come_first_by_their_loss_then_the_others_by_value(tmp_path):
    board = rows(TRIALS, tmp_path, goals=GOALS)
    assert [row.number for row in board] == [1, 2, 0, 4, 3]
    assert [row.tied for row in board] == [True, True, True, False, False]
    assert [row.rank for row in board] == [1, 2, 3, 4, 5]
    assert [trial.number for trial in best_first(TRIALS)] == [1, 2, 0, 4, 3]


def test_a_trial_alone_at_the_top_is_tied_with_none(tmp_path):
    board = rows([*TRIALS[3:], trial(5, 90.0, loss=0.9)], tmp_path, goals=GOALS)
    assert [row.number for row in board] == [5, 4, 3]
    assert not any(row.tied for row in board)


def test_trials_of_older_studies_are_ranked_by_their_values(tmp_path):
    old = [trial(number, value) for number, value in enumerate((40.0, 80.0, 60.0))]
    assert [row.number for row in rows(old, tmp_path, goals=GOALS)] == [1, 2, 0]
    assert [trial.number for trial in best_first(old)] == [1, 2, 0]


def test_several_objectives_have_fronts_and_no_ties():
    several = create_trial(values=[80.0, 1.0], user_attrs=TRIALS[0].user_attrs)
    assert ties_of([several]) == []


def test_a_trial_that_was_stopped_is_never_tied():
    stopped = trial(6, 99.0, loss=0.01, state=TrialState.PRUNED)
    assert 6 not in ties_of([*TRIALS, stopped])


CONFIRMED = [
    *TRIALS,
    trial(5, 76.0, loss=0.27, confirms=0), trial(6, 74.0, loss=0.26, confirms=0),
    trial(7, 77.0, loss=0.24, confirms=2), trial(8, 79.0, loss=0.22, confirms=2),
]  # fmt: skip


def test_confirmed_points_come_first_also_when_a_later_trial_is_ahead_within_errors(tmp_path):
    board = rows([*CONFIRMED, trial(9, 82.0, loss=0.01)], tmp_path, goals=GOALS)
    assert [row.number for row in board[:4]] == [2, 0, 9, 1]
    assert [row.tied for row in board[:4]] == [True, True, False, False]


def test_a_later_trial_beyond_errors_ahead_of_the_best_mean_comes_first_until_it_is_confirmed(
    tmp_path,
):
    later = [*CONFIRMED, trial(9, 120.0, loss=0.01)]
    board = rows(later, tmp_path, goals=GOALS)
    assert [row.number for row in board[:3]] == [9, 0, 2]
    assert not any(row.tied for row in board)
    assert [row.number for row in board if row.confirmed] == [0, 2]  # what is known is still told
    assert best_first(later)[0].number == 9
    again = [trial(10, 118.0, loss=0.02, confirms=9), trial(11, 121.0, loss=0.03, confirms=9)]
    board = rows([*later, *again], tmp_path, goals=GOALS)
    assert [row.number for row in board[:3]] == [9, 2, 0]
    assert board[0].confirmed.values == (118.0, 121.0)


def test_an_unconfirmed_trial_that_breaks_a_constraint_overtakes_none(tmp_path):
    broken = trial(9, 120.0, loss=0.01)
    fields = asdict(constraint_value("parameters", Estimate(9.0, 9.0, 9.0), Constraint(max=8.0)))
    broken.set_user_attr("tauopt.constraints", [fields])
    assert rows([*CONFIRMED, broken], tmp_path, goals=GOALS)[0].number == 2


def test_a_training_that_breaks_a_constraint_is_in_the_mean_and_is_never_promoted(tmp_path):
    broken = trial(9, 70.0, loss=0.001, confirms=2)
    fields = asdict(constraint_value("parameters", Estimate(9.0, 9.0, 9.0), Constraint(max=8.0)))
    broken.set_user_attr("tauopt.constraints", [fields])
    failed = create_trial(state=TrialState.FAIL, user_attrs={"tauopt.confirms": 2})
    failed.number = 10
    row = rows([*CONFIRMED, broken, failed], tmp_path, goals=GOALS)[0]
    assert row.number == 2
    assert row.confirmed.values == (77.0, 79.0, 70.0)
    assert row.confirmed.chosen == 8
    assert "(3, 1 failed, 1 breaks constraints)" in str(row.confirmed)
