"""The order of trials: ties by their loss, the rest by their value."""

import numpy as np
from optuna.trial import TrialState, create_trial

from tauopt.config.settings.objective import Goal
from tauopt.metrics.influence import PairedValue
from tauopt.study.best_first import best_first, ties_of
from tauopt.study.leaderboard_rows import rows

GOALS = [Goal("rejection@0.75", "maximize")]


def trial(number, value, *, loss=None, error=0.05, state=TrialState.COMPLETE):
    attrs = {}
    if loss is not None:
        influence = np.random.default_rng(number).normal(0, error / 16, 256).astype(np.float32)
        paired = PairedValue(float(np.log(value)), influence)
        attrs = {"tauopt.paired_value": str(paired), "tauopt.log_loss": loss}
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
