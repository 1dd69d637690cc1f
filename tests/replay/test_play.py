import numpy as np
import pytest

from tauopt.config.settings.experiment import Pruner, Sampler
from tauopt.metrics.influence import PairedValue
from tauopt.replay.choose import Complete, confirmed, tied
from tauopt.replay.play import play, recorded
from tauopt.replay.rules import Rules
from tauopt.replay.surrogate import Surrogate
from tests.replay.conftest import EPOCH, METRICS, POINTS, REPORTS, make_table

SINGLE, BAND = METRICS


def played(table, rules, *, seed=1, trials=POINTS, curve_of=None):
    curve_of = curve_of or recorded(table, sample=0)
    return play(table, rules, curve_of, judge=SINGLE, seed=seed, trials=trials)


def test_without_noise_the_best_point_is_found_and_every_training_paid():
    table = make_table(noise=(0.0, 0.0))
    last = played(table, Rules("all", SINGLE, monitor="objective"))[-1]
    assert last.trial.truth == pytest.approx(table.best[0])
    assert (last.candidates, last.trials) == (POINTS * REPORTS * EPOCH, POINTS)


def test_choices_grow_with_the_trials_and_never_cost_less():
    choices = played(make_table(noise=(0.0, 0.0)), Rules("all", SINGLE))
    assert [choice.trials for choice in choices] == list(range(1, POINTS + 1))
    assert np.all(np.diff([choice.candidates for choice in choices]) > 0)
    assert np.all(np.diff([choice.trial.truth for choice in choices]) >= 0)


@pytest.mark.parametrize("pruner", ["asha", "racing", "hyperband", "median"])
def test_a_pruner_saves_candidates_and_decides_the_same_each_time(table, pruner):
    rules = Rules(pruner, BAND, pruner=Pruner(type=pruner))
    runs = [
        [(choice.candidates, choice.trial.number) for choice in played(table, rules, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert runs[0][-1][0] < POINTS * REPORTS * EPOCH
    assert runs[0] == runs[1] != runs[2]


def test_racing_keeps_more_than_halving_does(table):
    spent = {
        kind: played(table, Rules(kind, SINGLE, pruner=Pruner(type=kind)))[-1].candidates
        for kind in ("asha", "racing")
    }
    assert spent["asha"] < spent["racing"]


def test_the_value_of_the_largest_of_many_looks_is_too_large_and_that_by_loss_is_not():
    excess = {}
    for monitor in ("objective", "loss"):
        rules = Rules(monitor, SINGLE, monitor=monitor)
        ends = [played(make_table(seed=seed), rules, trials=1)[-1] for seed in range(30)]
        excess[monitor] = np.mean([end.trial.excess for end in ends])
    assert excess["objective"] > 0.1
    assert abs(excess["loss"]) < 0.1


def complete(number, value, loss, *, error=0.1, seed=0):
    influence = np.random.default_rng(seed).normal(0, error / 4, 16).astype(np.float32)
    return Complete(number, number, PairedValue(value, influence), loss, value, value)


def test_of_tied_trials_the_lowest_loss_is_first():
    trials = [complete(0, 1.0, 0.5), complete(1, 0.9, 0.3, seed=1), complete(2, 0.1, 0.1, seed=2)]
    assert [trial.number for trial in tied(trials, errors=1.64)] == [1, 0]
    assert [trial.number for trial in tied(trials, errors=0.0)] == [0]


def test_a_confirmed_choice_is_the_best_mean_and_its_training_of_the_lowest_loss():
    lucky = [complete(0, value, 0.1) for value in (0.2, 0.3, 0.4)]
    losses = {0.5: 0.6, 0.9: 0.7, 0.6: 0.5}
    steady = [complete(1, value, loss) for value, loss in losses.items()]
    first = [complete(0, 1.0, 0.1), complete(1, 0.7, 0.55)]
    best = confirmed(first, [lucky, steady])
    assert best.number == 1
    assert best.told.value == pytest.approx(2.0 / 3)
    assert best.judged == 0.6


def test_of_confirmed_choices_that_are_tied_the_lowest_loss_is_chosen():
    higher = [complete(0, value, 0.5) for value in (0.8, 1.0)]
    lower = [complete(1, value, 0.3, seed=1) for value in (0.75, 0.95)]
    best = confirmed([complete(0, 0.9, 0.5), complete(1, 0.8, 0.2)], [higher, lower])
    assert best.number == 1
    assert best.judged == 0.8  # the first training, whose loss is the lowest
    assert best.told.value == pytest.approx(0.85)
    assert best.told.error == pytest.approx(np.hypot(0.1, 0.1), rel=0.4)  # sample and seeds


def test_a_confirmation_is_paid_and_judged_on_new_trainings():
    table = make_table(seeds=3)
    rules = Rules("confirmed", BAND, tied=1.64, top=4, seeds=2)
    choices = played(table, rules)
    assert choices[-1].candidates - choices[-2].candidates == 4 * 2 * REPORTS * EPOCH
    with pytest.raises(ValueError, match="was trained once only"):
        played(make_table(), rules)


def test_a_surrogate_knows_points_that_were_not_trained():
    table = make_table(noise=(0.0, 0.0))
    surrogate = Surrogate(table)
    good = surrogate.curve({"training.learning_rate": 1e-3, "model.activation": "relu"}, sample=0)
    bad = surrogate.curve({"training.learning_rate": 1e-4, "model.activation": "relu"}, sample=0)
    assert good.truth[0, -1] - bad.truth[0, -1] == pytest.approx(0.5, abs=0.2)
    assert surrogate.error[0] < 0.15
    np.testing.assert_allclose(good.values, good.truth)


def test_a_sampler_proposes_points_of_the_space_to_the_surrogate():
    table = make_table(noise=(0.0, 0.0))
    surrogate, asked = Surrogate(table), []

    def curve_of(params):
        asked.append(params)
        return surrogate.curve(params, sample=0)

    rules = Rules("tpe", SINGLE, sampler=Sampler(type="tpe", startup=5))
    choices = played(table, rules, trials=12, curve_of=curve_of)
    assert len(asked) == 12
    assert all(params not in table.points for params in asked)
    assert choices[-1].trial.truth > table.best[0] - 0.2
