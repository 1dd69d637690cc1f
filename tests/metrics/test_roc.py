from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from tauopt.errors import DataError
from tauopt.metrics.background_rejection import rejections
from tauopt.metrics.roc import auc, roc
from tests.metrics.toys import slow_auc, slow_background_at, slow_efficiencies

AT = np.array([0.05, 0.3, 0.6, 0.75, 0.95, 1.0])


@st.composite
def samples(draw, *, negative):
    """Few candidates with many ties, and weights of either sign if asked."""
    size = draw(st.integers(4, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    score = rng.integers(0, draw(st.sampled_from([3, 10, 10_000])), size) / 7.0
    weights = rng.exponential(size=size)
    if negative:
        weights *= np.where(rng.random(size) < 0.25, -1, 1)
    is_signal = rng.random(size) < 0.5
    assume(0 < is_signal.sum() < size)
    assume(min(weights[is_signal].sum(), weights[~is_signal].sum()) > 0.2)
    return score, is_signal, weights


@given(samples(negative=True))
@settings(deadline=None, max_examples=100)
def test_curve_is_every_cut_tried_by_hand(sample):
    curve = roc(*sample)
    signal, background = slow_efficiencies(*sample)
    np.testing.assert_allclose(curve.signal, signal, atol=1e-12)
    np.testing.assert_allclose(curve.background, background, atol=1e-12)


@given(samples(negative=True))
@settings(deadline=None, max_examples=100)
def test_area_is_the_sum_over_pairs_even_with_negative_weights(sample):
    assert auc(roc(*sample)).value == pytest.approx(slow_auc(*sample), abs=1e-9)


@given(samples(negative=True))
@settings(deadline=None, max_examples=100)
def test_rejection_is_found_by_walking_from_both_ends(sample):
    for at, rejection in zip(AT, rejections(roc(*sample), AT), strict=True):
        expected = slow_background_at(*sample, at)
        if rejection.limit:
            assert expected <= 1e-9
        else:
            assert 1 / rejection.value == pytest.approx(expected, abs=1e-9)


@given(samples(negative=True))
@settings(deadline=None, max_examples=200)
def test_numbers_are_always_finite_and_inside_their_intervals(sample):
    curve = roc(*sample)
    for estimate in [auc(curve), *rejections(curve, AT)]:
        assert np.isfinite(estimate.triple).all()
        assert estimate.low <= estimate.value <= estimate.high


@given(samples(negative=False))
@settings(deadline=None, max_examples=50)
def test_curve_and_area_are_scikit_learns_for_positive_weights(sample):
    score, is_signal, weights = sample
    background, signal, _ = roc_curve(
        is_signal, score, sample_weight=weights, drop_intermediate=False
    )
    curve = roc(*sample)
    np.testing.assert_allclose(curve.signal, signal, atol=1e-12)
    np.testing.assert_allclose(curve.background, background, atol=1e-12)
    expected = roc_auc_score(is_signal, score, sample_weight=weights)
    assert auc(curve).value == pytest.approx(expected, abs=1e-9)


def test_negative_weights_are_not_sorted_away():
    score = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    is_signal = np.array([True, False, True, False, False])
    curve = roc(score, is_signal, np.array([1.0, 1.0, 1.0, -0.5, 1.5]))
    np.testing.assert_allclose(curve.background, [0, 0, 0.5, 0.5, 0.25, 1])


def test_a_candidate_and_its_negative_twin_change_nothing():
    rng = np.random.default_rng(3)
    score, is_signal = rng.normal(size=200), rng.random(200) < 0.5
    twins = [np.append(values, [extra] * 2) for values, extra in ((score, 0.3), (is_signal, True))]
    weights = np.append(np.ones(200), [4.0, -4.0])
    before, after = roc(score, is_signal, np.ones(200)), roc(*twins, weights)
    assert auc(after).value == pytest.approx(auc(before).value)
    pairs = zip(rejections(after, AT), rejections(before, AT), strict=True)
    assert all(a.value == pytest.approx(b.value) for a, b in pairs)


def test_order_of_candidates_does_not_matter():
    rng = np.random.default_rng(4)
    score, is_signal = rng.integers(0, 20, 300) / 20, rng.random(300) < 0.5
    weights, shuffled = rng.normal(1, 1, 300), rng.permutation(300)
    one = roc(score, is_signal, weights)
    other = roc(score[shuffled], is_signal[shuffled], weights[shuffled])
    np.testing.assert_allclose(one.background, other.background, atol=1e-12)


def test_two_gaussians_give_the_curve_of_the_textbook():
    rng = np.random.default_rng(5)
    size, separation = 100_000, 1.5
    is_signal = np.repeat([True, False], size)
    curve = roc(rng.normal(size=2 * size) + separation * is_signal, is_signal, np.ones(2 * size))
    assert auc(curve).value == pytest.approx(norm.cdf(separation / np.sqrt(2)), abs=0.003)
    for at, rejection in zip(AT[:-1], rejections(curve, AT[:-1]), strict=True):
        expected = 1 / norm.sf(norm.isf(at) + separation)
        spread = (rejection.high - rejection.low) / 2
        assert rejection.value == pytest.approx(expected, abs=4 * spread)
        assert spread < 0.15 * expected


def toy_numbers(rng, *, weighted):
    size = 1500
    is_signal = np.repeat([True, False], size)
    weights = rng.choice([0.2, 3.0, -0.5], 2 * size, p=[0.5, 0.4, 0.1]) if weighted else 1.0
    curve = roc(rng.normal(size=2 * size) + 1.5 * is_signal, is_signal, weights * np.ones(2 * size))
    return [auc(curve), *rejections(curve, np.array([0.3, 0.6, 0.9]))]


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_cover_the_truth_in_68_per_cent_of_samples(weighted):
    toys = 400
    truth = [norm.cdf(1.5 / np.sqrt(2))] + [
        1 / norm.sf(norm.isf(at) + 1.5) for at in (0.3, 0.6, 0.9)
    ]
    rng = np.random.default_rng(6)
    covered = np.zeros(len(truth))
    for _ in range(toys):
        estimates = toy_numbers(rng, weighted=weighted)
        covered += [m.low <= t <= m.high for m, t in zip(estimates, truth, strict=True)]
    np.testing.assert_allclose(covered / toys, 0.68, atol=0.07)


def test_rejection_is_a_stated_lower_limit_when_no_background_passes():
    score = np.concatenate([np.linspace(2, 3, 50), np.linspace(0, 1, 99)])
    curve = roc(score, np.arange(149) < 50, np.ones(149))
    rejection = rejections(curve, np.array([0.6]))[0]
    assert rejection.limit
    assert rejection.triple == pytest.approx([100, 100, 100])
    assert str(rejection) == "> 100"
    assert auc(curve).value == 1.0
    assert auc(curve).low < 1.0


@pytest.mark.parametrize("labels", [np.ones(5, bool), np.zeros(5, bool)])
def test_one_class_only_is_an_error_and_no_area_is_invented(labels):
    with pytest.raises(DataError, match="needs signal and background"):
        roc(np.arange(5.0), labels, np.ones(5))


def test_weights_that_add_up_to_nothing_are_an_error():
    with pytest.raises(DataError, match="positive sums of weights"):
        roc(np.arange(4.0), np.array([True, True, False, False]), np.array([1.0, -1.0, 1.0, 1.0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    with pytest.raises(DataError, match="finite"):
        roc(np.array([0.1, bad]), np.array([True, False]), np.ones(2))


@pytest.mark.parametrize("at", [0.0, -0.1, 1.1, np.nan])
def test_impossible_signal_efficiencies_are_errors(at):
    curve = roc(np.array([0.9, 0.1]), np.array([True, False]), np.ones(2))
    with pytest.raises(DataError, match="signal efficiencies"):
        rejections(curve, np.array([at]))


def test_rejection_falls_as_more_signal_is_kept():
    rng = np.random.default_rng(8)
    is_signal = np.repeat([True, False], 5000)
    curve = roc(rng.normal(size=10_000) + is_signal, is_signal, rng.exponential(size=10_000))
    values = [rejection.value for rejection in rejections(curve, np.linspace(0.05, 1, 60))]
    assert all(tight >= loose for tight, loose in pairwise(values))
