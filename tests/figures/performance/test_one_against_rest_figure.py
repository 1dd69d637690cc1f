import numpy as np
import pytest

from tauopt.figures.performance.one_against_rest_figure import against_rest
from tauopt.metrics.roc import auc, roc
from tests.metrics.toys import several_classes, slow_auc


def test_classes_of_the_rest_weigh_the_same():
    predictions = several_classes(np.random.default_rng(1), candidates=600, negative=0.1)
    against = against_rest(predictions, "1p1n")
    sums = [against.weights[predictions.labels == i].sum() for i in range(4)]
    assert sums == pytest.approx([sums[0]] * 4)
    curve = roc(against.score, against.is_signal, against.weights)
    slow = slow_auc(predictions.probabilities[:, 2], predictions.labels == 2, against.weights)
    assert auc(curve).value == pytest.approx(slow, abs=1e-6)


def test_a_class_that_is_absent_has_no_curve_and_does_not_spoil_others():
    predictions = several_classes(np.random.default_rng(1))
    kept = predictions.where(predictions.labels != 2)
    assert against_rest(kept, "1p1n") is None
    assert len(against_rest(kept, "jet")) == len(kept)
