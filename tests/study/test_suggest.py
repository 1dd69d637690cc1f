import numpy as np
import optuna
import pytest

from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange
from tauopt.study.suggest import all_points, is_finite, key, random_point, suggest

SPACE = {
    "training.optimizer": ChoiceRange(("adam", "sgd")),
    "training.momentum": FloatRange(0.5, 0.99, when={"training.optimizer": ("sgd",)}),
    "model.units": IntRange(16, 128, log=True),
    "model.layers": IntRange(1, 7, step=2),
    "training.learning_rate": FloatRange(1e-4, 1e-2, log=True),
    "model.dropout": FloatRange(0.0, 0.4, step=0.1),
}
FINITE = {
    "optimizer": ChoiceRange(("adam", "sgd")),
    "nesterov": ChoiceRange((True, False), when={"optimizer": ("sgd",)}),
    "layers": IntRange(1, 5, step=2),
}


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))


def test_only_active_ranges_are_suggested_and_in_file_order(study):
    for _ in range(30):
        values = suggest(study.ask(), SPACE)
        assert ("training.momentum" in values) == (values["training.optimizer"] == "sgd")
        assert list(values) == [path for path in SPACE if path in values]
        assert values["model.layers"] in (1, 3, 5, 7)
        assert 1e-4 <= values["training.learning_rate"] <= 1e-2


def test_a_trial_cut_short_keeps_its_values_and_gets_the_missing_ones(study):
    trial = study.ask()
    trial.suggest_categorical("training.optimizer", ("adam", "sgd"))
    units = trial.suggest_int("model.units", 16, 128, log=True)
    again = optuna.trial.Trial(study, trial._trial_id)
    values = suggest(again, SPACE)
    assert values["model.units"] == units
    assert "training.learning_rate" in values
    assert suggest(optuna.trial.Trial(study, trial._trial_id), SPACE) == values


def test_all_points_of_a_finite_space_are_each_there_once():
    points = list(all_points(FINITE))
    assert len(points) == 3 + 2 * 3
    assert len({key(point) for point in points}) == len(points)
    assert all(("nesterov" in p) == (p["optimizer"] == "sgd") for p in points)


def test_a_space_is_finite_without_a_continuous_range():
    assert is_finite(FINITE)
    assert not is_finite(SPACE)


def test_random_points_are_inside_and_random_points_cover_a_finite_space():
    rng = np.random.default_rng(3)
    drawn = {key(random_point(FINITE, rng)) for _ in range(300)}
    assert drawn == {key(point) for point in all_points(FINITE)}
    for _ in range(50):
        point = random_point(SPACE, rng)
        assert 16 <= point["model.units"] <= 128
        assert isinstance(point["model.units"], int)
        assert 0 <= point["model.dropout"] <= 0.4
