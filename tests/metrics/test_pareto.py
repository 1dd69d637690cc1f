import numpy as np
import optuna
import pytest

from tauopt.metrics.pareto import fronts


def slow_fronts(values, *, larger):
    """Remove the points that no other dominates, again and again."""
    signed = [[v if up else -v for v, up in zip(p, larger, strict=True)] for p in values]

    def dominates(a, b):
        return all(x >= y for x, y in zip(a, b, strict=True)) and a != b

    fronts_of, remaining, front = [0] * len(signed), set(range(len(signed))), 0
    while remaining:
        front += 1
        undominated = {
            i for i in remaining if not any(dominates(signed[j], signed[i]) for j in remaining)
        }
        for i in undominated:
            fronts_of[i] = front
        remaining -= undominated
    return fronts_of


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_those_of_removing_the_best_again_and_again(seed, objectives):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, (60, objectives))  # with ties and equal points
    larger = tuple(rng.random(objectives) < 0.5)
    assert fronts(values, larger=larger).tolist() == slow_fronts(values.tolist(), larger=larger)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_front_is_that_of_optuna(seed):
    rng = np.random.default_rng(seed)
    study = optuna.create_study(directions=["maximize", "minimize"])
    values = rng.integers(0, 9, (40, 2)).astype(float)
    study.add_trials([optuna.trial.create_trial(values=pair.tolist()) for pair in values])
    first = np.flatnonzero(fronts(values, larger=(True, False)) == 1)
    assert first.tolist() == [trial.number for trial in study.best_trials]


def test_equal_points_lie_on_the_same_front():
    assert fronts([[1, 2], [1, 2], [0, 3]], larger=(True, False)).tolist() == [1, 1, 2]


def test_one_objective_gives_ranks():
    assert fronts([[5.0], [7.0], [5.0], [6.0]], larger=(True,)).tolist() == [3, 1, 3, 2]


def test_no_points_have_no_front():
    assert fronts([], larger=(True, False)).tolist() == []
