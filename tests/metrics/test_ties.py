import numpy as np
import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.errors import DataError
from tauopt.metrics.influence import PairedValue
from tauopt.metrics.log_loss import log_loss
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.ties import tied_with_best
from tests.metrics.toys import gaussians, several_classes

LOSSES = [0.4, 0.2, 0.3, 0.1]


def values(*numbers, error):
    rng = np.random.default_rng(1)
    influences = rng.normal(0, error / 16, (len(numbers), 256)).astype(np.float32)
    return [PairedValue(n, each) for n, each in zip(numbers, influences, strict=True)]


def test_what_is_behind_beyond_errors_is_not_tied_whatever_its_loss():
    assert tied_with_best(values(1.0, 0.95, 0.9, 0.2, error=0.1), LOSSES) == [1, 2, 0]


def test_without_errors_only_the_best_is_left():
    assert tied_with_best(values(1.0, 0.95, 0.9, 1.1, error=0.0), LOSSES) == [3]
    assert tied_with_best(values(1.0, 0.95, 0.9, 1.1, error=0.0), LOSSES, larger=False) == [2]


def test_log_loss_is_the_mean_over_outcomes_of_sklearn_s():
    from sklearn.metrics import log_loss as reference

    rng = np.random.default_rng(2)
    weights = rng.exponential(size=3000)
    two = gaussians(rng, signal=1000, background=2000, weights=weights)
    truth, p = two.is_signal, two.score
    parts = [
        reference(truth[part], p[part], sample_weight=weights[part], labels=[False, True])
        for part in (truth, ~truth)
    ]
    assert log_loss(parse_objective("auc"), two) == pytest.approx(np.mean(parts))


def test_log_loss_of_an_objective_without_background_counts_all_classes():
    predictions = several_classes(np.random.default_rng(3))
    p = predictions.probabilities[np.arange(len(predictions)), predictions.labels].astype(float)
    by_class = [
        np.average(-np.log(p[of]), weights=predictions.weights[of])
        for of in (predictions.labels == index for index in range(4))
    ]
    accuracy = parse_objective("accuracy")
    assert log_loss(accuracy, predictions) == pytest.approx(np.mean(by_class))
    assert log_loss(parse_objective("auc"), predictions) < np.mean(by_class)


def test_log_loss_of_some_prongs_needs_them():
    objective = parse_objective("rejection@0.75/3p")
    predictions = several_classes(np.random.default_rng(4))
    alone = log_loss(parse_objective("rejection@0.75"), predictions.with_prongs(3))
    assert log_loss(objective, predictions) == alone
    bare = Predictions(
        predictions.probabilities, predictions.labels, predictions.weights,
        classes=predictions.classes, signal=predictions.signal,
    )  # fmt: skip
    with pytest.raises(DataError, match="needs the spectator 'prongs'"):
        log_loss(objective, bare)
