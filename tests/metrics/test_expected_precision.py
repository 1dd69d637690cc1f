import numpy as np
import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.metrics.expected_precision import expected_precision
from tauopt.metrics.influence import influence
from tests.metrics.toys import gaussians


def precision(name, *, background=20_000, weights=None, prongs=None):
    is_signal = np.repeat([True, False], [1000, background])
    weights = np.ones(len(is_signal)) if weights is None else weights
    return expected_precision(parse_objective(name), is_signal, weights, prongs=prongs)


def test_the_error_is_that_of_a_network_with_a_typical_rejection():
    rng = np.random.default_rng(1)
    network = gaussians(rng, signal=200_000, background=20_000, separation=3.0)
    actual = np.linalg.norm(influence(parse_objective("rejection@0.75"), network))
    assert precision("rejection@0.75").error == pytest.approx(actual, rel=0.25)


def test_uneven_weights_make_it_worse():
    weights = np.ones(21_000)
    weights[1000:2000] = 30.0
    uneven = precision("rejection@0.75", weights=weights)
    assert uneven.background < 3000
    assert uneven.error > 2 * precision("rejection@0.75").error


def test_few_passing_candidates_are_a_warning_that_says_what_to_write():
    few = precision("rejection@0.75", background=2000)
    assert few.is_low
    assert "`maximize: rejection@[0.6, 0.9]` makes" in few.lines[1]
    assert "four times as many validation candidates" in few.lines[1]
    assert not precision("rejection@0.75").is_low
    assert len(precision("rejection@0.75").lines) == 1


def test_a_band_resolves_smaller_differences():
    single, band = precision("rejection@0.75"), precision("rejection@[0.6, 0.9]")
    assert band.resolved < 0.7 * single.resolved


def test_prongs_select_and_other_metrics_have_no_such_number():
    prongs = np.where(np.arange(21_000) % 4 == 0, 3, 1)
    assert precision("rejection@0.75/3p", prongs=prongs).background == pytest.approx(5000)
    assert precision("auc") is None
