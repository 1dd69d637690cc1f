import itertools
from dataclasses import replace

import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.metrics.mcnemar import McNemar, holm, mcnemar
from tests.metrics.toys import several_classes


def slow_p_value(only_one, only_other):
    """The probability of a split at least as uneven, by counting all outcomes."""
    both = only_one + only_other
    uneven = abs(only_one - only_other)
    ways = [abs(2 * sum(way) - both) >= uneven for way in itertools.product((0, 1), repeat=both)]
    return sum(ways) / len(ways)


def networks(rng, *, right, others, weights=None):
    """Two networks that classify the candidates correctly where `right` and `others` are true."""
    base = several_classes(rng, candidates=len(right))
    base = replace(base, weights=np.ones(len(right)) if weights is None else weights)

    def naming(is_right):
        named = np.where(is_right, base.labels, (base.labels + 1) % 4)
        return replace(base, probabilities=np.eye(4, dtype=np.float32)[named])

    return naming(right), naming(others)


@pytest.mark.parametrize(("only_one", "only_other"), [(0, 0), (3, 1), (7, 2), (5, 5), (0, 9)])
def test_the_p_value_is_that_of_counting_every_outcome(only_one, only_other):
    right = np.array([True] * (only_one + 20) + [False] * (only_other + 10))
    others = np.array([False] * only_one + [True] * (20 + only_other) + [False] * 10)
    one, other = networks(np.random.default_rng(1), right=right, others=others)
    test = mcnemar(one, other)
    assert (test.only_one, test.only_other) == (only_one, only_other)
    assert test.p_value == pytest.approx(slow_p_value(only_one, only_other))
    assert mcnemar(other, one).p_value == test.p_value


def test_p_values_of_equal_networks_are_uniform():
    rng = np.random.default_rng(2)
    chances = []
    for _ in range(300):
        drawn = rng.random((2, 400)) < 0.8
        chances.append(mcnemar(*networks(rng, right=drawn[0], others=drawn[1])).p_value)
    assert np.mean(np.array(chances) < 0.1) < 0.14
    assert np.mean(chances) > 0.45


def test_a_p_value_too_small_for_a_number_is_written_as_a_bound():
    assert str(McNemar(0, 5000, 0.0)) == "0 against 5,000, p < 1e-300"


def test_the_test_is_made_for_equal_weights_only():
    rng = np.random.default_rng(3)
    right, others = rng.random((2, 100)) < 0.5
    assert mcnemar(*networks(rng, right=right, others=others, weights=np.full(100, 2.5)))
    unequal = rng.exponential(size=100)
    assert mcnemar(*networks(rng, right=right, others=others, weights=unequal)) is None


def test_different_candidates_are_an_error():
    rng = np.random.default_rng(4)
    one = replace(several_classes(rng, candidates=50), weights=np.ones(50))
    with pytest.raises(DataError, match="same candidates"):
        mcnemar(one, replace(several_classes(rng, candidates=60), weights=np.ones(60)))


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    rng = np.random.default_rng(5)
    for _ in range(50):
        given = rng.random(6)
        corrected = np.array(holm(given.tolist()))
        assert (corrected >= given).all()
        assert (np.diff(corrected[np.argsort(given)]) >= 0).all()
        # A family of true hypotheses: the slow way, one after another.
        slow = np.maximum.accumulate(np.sort(given) * np.arange(6, 0, -1)).clip(max=1)
        assert np.sort(corrected) == pytest.approx(slow)
