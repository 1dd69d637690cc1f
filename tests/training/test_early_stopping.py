from __future__ import annotations

import keras
import numpy as np
import pytest

from tauopt.config.settings.experiment import EarlyStopping, ReduceOnPlateau
from tauopt.training.early_stopping import Patience, on_plateau, stops


def series(values, **options):
    patience = Patience()
    for value in values:
        patience = patience.after(value, **options)
    return patience


def test_improvement_ends_the_waiting():
    assert series([1.0, 0.9, 0.8]).waited == 2
    assert series([1.0, 0.9, 1.1]) == Patience(1.1, 0)


def test_improvement_below_min_delta_does_not_count_but_adds_up():
    assert series([100.0, 100.5], min_delta=0.01).waited == 1
    assert series([100.0, 100.5, 101.5], min_delta=0.01) == Patience(101.5, 0)


def test_a_negative_best_is_improved_upwards():
    assert series([-1.0, -0.5], min_delta=0.1) == Patience(-0.5, 0)


def test_at_equal_values_a_lower_loss_is_progress():
    patience = Patience()
    for loss, waited in ((0.109, 0), (0.1, 0), (0.1, 1), (0.105, 2), (0.083, 0)):
        patience = patience.after(2660.0, min_delta=1e-4, loss=loss)
        assert patience.waited == waited
    assert patience.after(2659.0, loss=0.01).waited == 1


def test_training_stops_after_patience_reports_without_improvement():
    settings = EarlyStopping(patience=2)
    assert not stops(settings, Patience(1.0, 1))
    assert stops(settings, Patience(1.0, 2))
    assert not stops(None, Patience(1.0, 99))


def test_the_learning_rate_falls_on_each_plateau_and_not_before():
    settings, plateau = ReduceOnPlateau(patience=2, factor=0.5), Patience()
    factors = []
    for loss in (1.0, 0.9, 0.95, 0.94, 0.93, 0.92, 0.8):
        plateau, factor = on_plateau(settings, plateau, -loss)
        factors.append(factor)
    assert factors == [1, 1, 1, 0.5, 1, 0.5, 1]


def rates_of_keras(losses, *, patience, factor):
    """Return the learning rate after each report by Keras's own callback."""
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", patience=patience, factor=factor, min_delta=0.0
    )
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0))
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(float(model.optimizer.learning_rate))
    return rates


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_the_learning_rate_falls_where_it_does_with_keras_s_callback_without_min_delta(patience):
    rng = np.random.default_rng(patience)
    losses = np.round(1.0 - 0.01 * np.arange(80) + rng.normal(0, 0.2, 80), 2).tolist()
    settings, plateau = ReduceOnPlateau(patience=patience, factor=0.5), Patience()
    rate, rates = 1.0, []
    for loss in losses:
        plateau, factor = on_plateau(settings, plateau, -loss)
        rate *= factor
        rates.append(rate)
    assert rates == rates_of_keras(losses, patience=patience, factor=0.5)
    assert rate < 1


def test_no_plateau_settings_leave_the_learning_rate():
    assert on_plateau(None, Patience(), 1.0) == (Patience(), 1.0)


@pytest.mark.parametrize("wrong", [{"patiense": 2}, {"factor": 1.0}])
def test_a_typo_in_a_schedule_is_an_error_and_never_disables_it(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReduceOnPlateau(**wrong)
