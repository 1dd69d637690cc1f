import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, log_loss

from tauopt.config.settings.objective import ObjectiveName as Name
from tauopt.config.settings.objective import parse_objective
from tauopt.errors import DataError
from tauopt.metrics.estimate import Estimate, wilson
from tauopt.metrics.named_metrics import accuracy, balanced_accuracy, confusion, measure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.standard_metrics import summary
from tests.metrics.toys import gaussians, several_classes


@pytest.fixture
def predictions():
    return several_classes(np.random.default_rng(1))


def of_one_class(predictions):
    return predictions.where(predictions.labels == 1)


def test_accuracy_is_scikit_learns(predictions):
    expected = accuracy_score(
        predictions.labels, predictions.probabilities.argmax(1), sample_weight=predictions.weights
    )
    assert accuracy(predictions).value == pytest.approx(expected)


def test_balanced_accuracy_is_scikit_learns(predictions):
    expected = balanced_accuracy_score(
        predictions.labels, predictions.probabilities.argmax(1), sample_weight=predictions.weights
    )
    assert balanced_accuracy(predictions).value == pytest.approx(expected)


def test_the_log_loss_is_scikit_learns_with_its_sign_turned(predictions):
    labels = predictions.labels
    expected = log_loss(labels, predictions.probabilities, sample_weight=predictions.weights)
    found = measure(parse_objective("neg_log_loss"), predictions)
    assert found.value == pytest.approx(-expected)
    assert found.low < found.value < found.high < 0


def test_the_error_of_the_log_loss_is_the_spread_over_many_samples():
    rng, objective = np.random.default_rng(2), parse_objective("neg_log_loss")
    toys = [measure(objective, several_classes(rng, candidates=800)) for _ in range(150)]
    spread = np.std([toy.value for toy in toys])
    assert np.mean([toy.high - toy.low for toy in toys]) / 2 == pytest.approx(spread, rel=0.2)


def test_the_log_loss_of_a_broken_network_is_an_error(predictions):
    predictions.probabilities[0] = np.nan
    with pytest.raises(DataError, match=r"1 of .* candidates without the former"):
        measure(parse_objective("neg_log_loss"), predictions)


def test_balanced_accuracy_does_not_depend_on_the_sizes_of_classes(predictions):
    factors = np.array([1.0, 100.0, 0.01, 7.0])
    scaled = replace(predictions, weights=predictions.weights * factors[predictions.labels])
    assert balanced_accuracy(scaled).value == pytest.approx(balanced_accuracy(predictions).value)
    assert accuracy(scaled).value != pytest.approx(accuracy(predictions).value, rel=1e-3)


def test_the_error_of_balanced_accuracy_is_the_spread_over_many_samples():
    rng = np.random.default_rng(5)
    toys = [balanced_accuracy(several_classes(rng, candidates=800)) for _ in range(150)]
    spread = np.std([toy.value for toy in toys])
    stated = np.mean([(toy.high - toy.low) / 2 for toy in toys])
    assert stated == pytest.approx(spread, rel=0.2)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")  # which is what it is about
def test_balanced_accuracy_leaves_absent_classes_out(predictions):
    present = predictions.where(predictions.labels != 2)
    expected = balanced_accuracy_score(
        present.labels, present.probabilities.argmax(1), sample_weight=present.weights
    )
    assert balanced_accuracy(present).value == pytest.approx(expected)


def test_balanced_accuracy_of_one_class_is_an_error(predictions):
    with pytest.raises(DataError, match="at least two classes"):
        balanced_accuracy(of_one_class(predictions))


def modes(predictions):
    """A task all of whose classes are signal."""
    return replace(predictions, signal=predictions.classes)


def test_without_background_the_summary_has_accuracies_only(predictions):
    names = ("accuracy", "balanced_accuracy")
    expected = {name + end for name in names for end in ("", "/1p", "/3p")}
    assert summary(modes(predictions)).keys() == expected


def test_without_background_there_is_no_curve(predictions):
    with pytest.raises(DataError, match="signal and background"):
        measure(Name("auc"), modes(predictions))


def test_prongs_of_one_class_only_are_left_out_of_a_summary(predictions):
    three = np.where(predictions.labels == 3, 3, 1)
    of_prongs = replace(modes(predictions), columns={"prongs": three})
    expected = {"accuracy", "balanced_accuracy", "accuracy/1p", "balanced_accuracy/1p"}
    assert summary(of_prongs).keys() == expected


def test_confusion_is_scikit_learns_with_rows_that_add_up_to_one(predictions):
    expected = confusion_matrix(
        predictions.labels, predictions.probabilities.argmax(1),
        sample_weight=predictions.weights, normalize="true",
    )  # fmt: skip
    matrix = confusion(predictions)
    np.testing.assert_allclose(matrix.fractions, expected)
    np.testing.assert_allclose(matrix.fractions.sum(axis=1), 1)
    np.testing.assert_array_equal(matrix.counts, np.bincount(predictions.labels))


def test_confusion_errors_are_the_spread_over_many_samples():
    rng = np.random.default_rng(2)
    toys = [confusion(several_classes(rng, candidates=800, negative=0.1)) for _ in range(150)]
    spread = np.std([toy.fractions for toy in toys], axis=0)
    stated = np.mean([toy.errors for toy in toys], axis=0)
    np.testing.assert_allclose(stated, spread, rtol=0.3)


def test_confusion_row_of_an_absent_class_is_zero(predictions):
    matrix = confusion(predictions.where(predictions.labels != 2))
    assert not matrix.fractions[2].any()
    assert not matrix.errors[2].any()
    assert np.isfinite(matrix.fractions).all()


def test_confusion_survives_negative_weights():
    matrix = confusion(several_classes(np.random.default_rng(3), negative=0.3))
    np.testing.assert_allclose(matrix.fractions.sum(axis=1), 1)
    assert np.isfinite(matrix.errors).all()


def test_accuracy_interval_covers_the_truth_in_68_per_cent_of_samples():
    rng, toys, inside = np.random.default_rng(4), 400, 0
    for _ in range(toys):
        right = rng.random(500) < 0.8
        labels = rng.integers(0, 2, 500)
        p = np.eye(2)[np.where(right, labels, 1 - labels)]
        weights = rng.choice([0.3, 2.0], 500)
        measured = accuracy(Predictions(p, labels, weights, classes=("a", "b"), signal=("b",)))
        inside += measured.low <= 0.8 <= measured.high
    assert inside / toys == pytest.approx(0.68, abs=0.07)


@given(st.integers(0, 50), st.integers(1, 50))
@settings(deadline=None)
def test_wilson_is_the_root_of_its_quadratic_for_counts(passed, total):
    passed = min(passed, total)
    p = passed / total
    for end in wilson(p, p * (1 - p) / total, total):
        assert (end - p) ** 2 == pytest.approx(end * (1 - end) / total, abs=1e-9)


def test_objectives_are_found_by_name(predictions):
    numbers = summary(predictions)
    assert measure(Name("auc"), predictions) == numbers["auc"]
    assert measure(Name("accuracy"), predictions) == numbers["accuracy"]
    assert measure(Name("rejection", 0.75), predictions) == numbers["rejection@0.75"]
    assert measure(Name("rejection", 0.6, 3), predictions) == numbers["rejection@0.6/3p"]
    assert measure(Name("auc", prongs=1), predictions) == numbers["auc/1p"]


def test_summary_has_the_standard_numbers(predictions):
    curve = ["auc", "rejection@0.6", "rejection@0.75", "rejection@0.85", "rejection@0.95"]
    expected = {"accuracy", "balanced_accuracy"}
    expected |= {name + end for name in curve for end in ("", "/1p", "/3p")}
    assert summary(predictions).keys() == expected


def test_summary_leaves_out_prongs_that_lack_a_class():
    rng = np.random.default_rng(5)
    prongs = np.concatenate([rng.choice([1, 3], 2000), np.ones(2000, int)])
    names = summary(gaussians(rng, prongs=prongs)).keys()
    assert "auc/1p" in names
    assert "auc/3p" not in names


@pytest.mark.parametrize("metric", ["auc", "accuracy", "rejection"])
def test_one_class_only_is_an_error_for_every_metric(predictions, metric):
    with pytest.raises(DataError):
        measure(Name(metric, 0.75), of_one_class(predictions))
    with pytest.raises(DataError):
        measure(Name(metric, 0.75), predictions.where(np.zeros(len(predictions), bool)))


def test_prongs_that_are_not_there_are_an_error(predictions):
    with pytest.raises(DataError):
        measure(Name("rejection", 0.75, 2), predictions)


@pytest.mark.parametrize("metric", ["auc", "accuracy", "rejection"])
def test_probabilities_that_are_not_finite_are_an_error(predictions, metric):
    predictions.probabilities[7] = np.nan
    with pytest.raises(DataError, match="finite"):
        measure(Name(metric, 0.75), predictions)


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (Estimate(92.34, 90.1, 94.58), "92.3 ± 2.2"),
        (Estimate(92.34, 90.1, 96.0), "92.3 +3.7 -2.2"),
        (Estimate(0.91234, 0.9112, 0.91348), "0.9123 ± 0.0011"),
        (Estimate(1420.0, 1300.0, 1540.0), "1420 ± 120"),
        (Estimate(1.0, 1.0, 1.0), "1"),
    ],
)
def test_a_measured_number_shows_two_digits_of_its_error(measured, text):
    assert str(measured) == text


def test_summary_is_quick_enough_for_every_report():
    predictions = several_classes(np.random.default_rng(6), candidates=25_000)
    start = time.process_time()
    summary(predictions)
    assert time.process_time() - start < 0.3  # a median of a tenth of that, on a busy machine
