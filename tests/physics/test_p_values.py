"""P-values against scipy's distributions."""

import pytest
from scipy import stats

from tauopt.physics.p_values import chi_square_tail, fair_coin_tails


@pytest.mark.parametrize("freedom", [1, 2, 7, 60])
@pytest.mark.parametrize("chi_square", [0.0, 0.3, 5.0, 80.0])
def test_the_p_value_of_a_chi_square_is_that_of_scipy(chi_square, freedom):
    expected = stats.chi2.sf(chi_square, freedom)
    assert chi_square_tail(chi_square, freedom) == pytest.approx(expected, rel=1e-9)


def test_without_degrees_of_freedom_the_p_value_is_one():
    assert chi_square_tail(3.0, 0) == 1


@pytest.mark.parametrize("throws", [1, 2, 9, 10, 1000, 100_001])
def test_the_p_value_of_an_uneven_split_is_that_of_the_binomial_test(throws):
    for heads in {0, 1, throws // 3, throws // 2, throws - 1, throws}:
        expected = stats.binomtest(heads, throws, 0.5).pvalue
        assert fair_coin_tails(heads, throws) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_without_throws_the_p_value_is_one():
    assert fair_coin_tails(0, 0) == 1
