"""Racing stops what is behind beyond errors, and keeps what is tied."""

import numpy as np
import optuna
import pytest

from tauopt.config.settings.experiment import Pruner, Search
from tauopt.config.settings.ranges import FloatRange
from tauopt.metrics.influence import GROUPS, PairedValue
from tauopt.study.pruners import make_pruner
from tauopt.study.racing import RacingPruner
from tauopt.study.trial_queue import TrialQueue


def noisy(value, *, error, shared=0.0, seed=0):
    """A value whose error has a part that all have in common."""
    common = np.random.default_rng(99).normal(size=GROUPS) / GROUPS**0.5
    own = np.random.default_rng(seed).normal(size=GROUPS) / GROUPS**0.5
    influence = error * (shared**0.5 * common + (1 - shared) ** 0.5 * own)
    return PairedValue(value, influence.astype(np.float32))


def racing(**changes):
    settings = {"min_reports": 1, "reduction_factor": 3, "level": 0.05, **changes}
    return RacingPruner(**settings)


@pytest.mark.parametrize(
    ("gap", "error", "shared", "is_behind"),
    [
        (0.10, 0.02, 0.0, True),
        (0.10, 0.10, 0.0, False),  # tied
        (0.10, 0.10, 0.9, True),  # what both share does not count
        (0.0, 0.0, 0.0, False),
    ],
)
def test_a_trial_is_stopped_only_beyond_the_error_of_the_difference(gap, error, shared, is_behind):
    values = [noisy(1.0 - i * gap, error=error, shared=shared, seed=i) for i in range(3)]
    assert racing().is_behind(values[1], values, larger=True) is is_behind


def test_one_in_three_passes_by_rank_whatever_the_errors():
    values = [noisy(1.0 - 0.1 * i, error=0.0, seed=i) for i in range(9)]
    behind = [racing().is_behind(value, values, larger=True) for value in values]
    assert behind == [False] * 3 + [True] * 6
    largest_first = [racing().is_behind(value, values, larger=False) for value in values]
    assert largest_first == [True] * 6 + [False] * 3


def test_of_equal_trials_about_the_stated_part_is_stopped():
    """Each trial has the same true value; the test compares it with the best of three."""
    rng, stopped = np.random.default_rng(1), 0
    for _ in range(400):
        influences = rng.normal(size=(2, GROUPS)) / GROUPS**0.5
        a, b = (PairedValue(float(each.sum()), each.astype(np.float32)) for each in influences)
        stopped += racing(level=0.1).is_behind(a, [a, b], larger=True)
    assert stopped / 400 == pytest.approx(0.1, abs=0.05)


def test_rungs_are_a_factor_apart():
    pruner = racing(min_reports=2)
    assert [step for step in range(1, 60) if pruner.is_rung(step)] == [2, 6, 18, 54]


def queue_of(study):
    search = Search(trials=9, pruner=Pruner(type="racing"))
    return TrialQueue(study, search, space={"x": FloatRange(0.0, 1.0)})


def test_a_queue_keeps_tied_trials_and_another_driver_decides_the_same():
    study = optuna.create_study(direction="maximize")
    study.pruner = make_pruner(Pruner(type="racing"), reports=9)
    values = [3.0, 2.9, 1.0, 2.8]
    stops = [False, False, True, False]

    def report(queue):
        number = queue.next_trial().number
        text = str(noisy(values[number], error=0.3, seed=number))
        return queue.report(number, 1, values[number], paired_value=text)

    assert [report(queue) for queue in [queue_of(study)] for _ in values] == stops
    # No trial has ended in the study, as after a kill: a new driver begins with all of them.
    assert [report(queue) for queue in [queue_of(study)] for _ in (0, 1, 3)] == [False] * 3


def test_without_paired_values_nothing_is_stopped():
    study = optuna.create_study(direction="maximize")
    study.pruner = make_pruner(Pruner(type="racing"), reports=9)
    queue = queue_of(study)
    for value in (3.0, 2.0, 1.0):
        assert not queue.report(queue.next_trial().number, 1, value)
