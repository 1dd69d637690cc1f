"""The separation by one variable, against a count of all pairs and in repeated samples."""

import numpy as np
import pytest

from tauopt.physics.separation import separations


def _slow(values, labels, classes, index):
    """Fit on every second candidate; count all pairs of the others."""
    edges = sorted({
        float(np.quantile(values[::2][labels[::2] == c], q / 50))
        for c in range(classes) for q in range(1, 50)
    })  # fmt: skip
    where = [sum(edge < value for edge in edges) for value in values]
    in_class = [label == index for label in labels.tolist()]
    fitted = list(zip(where, in_class, strict=True))[::2]
    count = {c: sum(is_signal == c for _, is_signal in fitted) for c in (True, False)}
    ratio = {
        b: ((fitted.count((b, True)) + 0.5) / count[True])
        / ((fitted.count((b, False)) + 0.5) / count[False])
        for b in set(where)
    }
    judged = [(ratio[b], is_signal) for b, is_signal in zip(where, in_class, strict=True)][1::2]
    signal, rest = ([r for r, is_signal in judged if is_signal == kind] for kind in (True, False))
    won = sum((s > r) + 0.5 * (s == r) for s in signal for r in rest)
    return won / (len(signal) * len(rest)), len(signal), len(rest)


@pytest.mark.parametrize("round_to", [None, 0])
def test_area_is_the_fraction_of_pairs_in_the_order_of_the_likelihood_ratio(round_to):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 400)
    values = rng.normal(np.array([0.0, 1.0, -2.0])[labels])
    values = values if round_to is None else values.round(round_to)
    for index, separation in enumerate(separations(values, labels, classes=3)):
        auc, signal, rest = _slow(values, labels, 3, index)
        assert separation.auc == pytest.approx(auc, abs=1e-12)
        assert (separation.of_class, separation.rest) == (signal, rest)


def test_a_variable_without_separation_has_an_auc_of_one_half_within_the_error():
    rng, pulls = np.random.default_rng(3), []
    for _ in range(100):
        separation = separations(rng.normal(size=1000), rng.integers(0, 2, 1000), classes=2)[1]
        pulls.append((separation.auc - 0.5) / separation.error)
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.4)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.2)


def test_codes_that_are_not_in_order_separate_classes():
    rng = np.random.default_rng(4)
    codes = {0: [1, 5, 21], 1: [11, 15]}  # pdgId of jets and of leptons
    labels = rng.integers(0, 2, 2000)
    values = np.array([rng.choice(codes[label]) for label in labels.tolist()], float)
    assert [separation.auc for separation in separations(values, labels, classes=2)] == [1.0, 1.0]


def test_a_class_that_is_not_there_has_no_separation():
    labels = np.arange(100) // 50
    assert [separation is None for separation in separations(np.ones(100), labels, classes=3)] == [
        False,
        False,
        True,
    ]
    assert separations(np.ones(10), np.zeros(10, int), classes=2) == [None, None]
    assert separations(np.empty(0), np.empty(0, int), classes=2) == [None, None]
