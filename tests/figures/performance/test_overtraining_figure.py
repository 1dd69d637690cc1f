import numpy as np
import pytest
from scipy.stats import ks_2samp

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.overtraining_figure import overtraining_figure, same_distribution
from tauopt.metrics.histogram import WeightedValues
from tests.metrics.toys import several_classes


def test_without_weights_it_is_the_two_sample_kolmogorov_smirnov_test():
    rng = np.random.default_rng(1)
    a, b = rng.beta(2, 5, 3000), rng.beta(2, 5.3, 1000)
    distance, p = same_distribution(
        WeightedValues(a, np.ones(3000)), WeightedValues(b, np.ones(1000))
    )
    slow = ks_2samp(a, b, method="asymp")
    assert distance == pytest.approx(slow.statistic, abs=2e-3)
    assert p == pytest.approx(slow.pvalue, rel=0.25)


def weighted(rng, size, *, shift=0.0):
    values = rng.normal(shift, 1, size)
    sign = np.where(rng.random(size) < 0.1, -1.0, 1.0)
    return WeightedValues(values, rng.exponential(size=size) * sign)


def test_p_values_of_equal_samples_are_uniform_with_weights_of_either_sign():
    rng = np.random.default_rng(2)
    p = [same_distribution(weighted(rng, 2500), weighted(rng, 1500))[1] for _ in range(200)]
    assert 0.4 < np.mean(p) < 0.65
    assert np.mean(np.array(p) < 0.1) < 0.17


def test_a_shifted_sample_has_a_small_p_value():
    rng = np.random.default_rng(3)
    assert same_distribution(weighted(rng, 4000), weighted(rng, 4000, shift=0.3))[1] < 1e-6


def test_an_empty_sample_has_no_distance():
    nothing = WeightedValues(np.empty(0), np.empty(0))
    assert np.isnan(same_distribution(nothing, nothing)).all()


def test_densities_have_unit_area_and_each_class_its_test():
    train, test = (
        several_classes(np.random.default_rng(n), candidates=9000, negative=0.05) for n in (1, 2)
    )
    _, points = overtraining_figure(train, test, sample=SampleLabel("demo", "test split"))
    width = np.diff(points["edges"])
    for kind in points["kinds"].values():
        for split in ("train", "test"):
            assert np.sum(width * kind[split]["density"]) == pytest.approx(1.0, abs=1e-3)
    assert set(points["classes"]) == set(test.classes)
    assert all(tested["ks_p_value"] > 1e-4 for tested in points["classes"].values())
