"""The same spectrum for all classes: bins without off-by-one, sums kept, fitted on train."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.dataset.prepared import open_dataset
from tauopt.errors import DataError
from tauopt.prepare import reweight
from tauopt.prepare.prepare import prepare
from tests.ntuples_factory import dataset


def _slow_bin(value, edges):
    for index, edge in enumerate(edges):
        if value < edge:
            return index
    return len(edges)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(1, 12))
def test_bins_agree_with_a_slow_reference_and_hold_every_value(values, bins):
    values = np.array(values, dtype=float)
    edges = reweight.quantile_edges(values, bins)
    assert len(edges) <= bins - 1
    assert np.all(np.diff(edges) > 0)
    probes = np.concatenate([values, edges, edges - 1e-9, edges + 1e-9, [-np.inf, np.inf, 1e30]])
    found = reweight.bin_of(probes, edges)
    assert found.tolist() == [_slow_bin(value, edges) for value in probes]
    assert found.min() >= 0
    assert found.max() <= len(edges)


def test_value_on_an_edge_belongs_to_the_bin_that_it_begins():
    edges = np.array([10.0, 20.0])
    assert reweight.bin_of(np.array([9.99, 10, 19.99, 20, 1e9]), edges).tolist() == [0, 1, 1, 2, 2]


def test_quantile_bins_hold_equally_many():
    values = np.random.default_rng(1).exponential(size=4900)
    edges = reweight.quantile_edges(values, 49)
    assert np.bincount(reweight.bin_of(values, edges)).tolist() == [100] * 49


def _block(labels, values, weights):
    return SimpleNamespace(
        labels=np.array(labels, dtype=np.int16),
        spectrum=np.array(values, dtype=float),
        weights=np.array(weights, dtype=float),
        with_weights=lambda weights: SimpleNamespace(weights=weights),
    )


def test_factors_give_the_target_its_shape_and_keep_the_sum():
    block = _block([0, 0, 0, 1, 1, 1, 1], [1, 2, 2, 1, 1, 1, 2], [1.0] * 7)
    spectrum = reweight.fit([block], np.array([1.5]), classes=["jet", "tau"], to=["tau"])
    weights = spectrum.apply(block).weights
    assert weights[:3].tolist() == pytest.approx([2.25, 0.375, 0.375])
    assert weights[:3].sum() == pytest.approx(3)
    assert weights[3:].tolist() == [1.0] * 4


def test_bin_without_target_gets_no_weight_and_the_sum_is_kept():
    block = _block([0, 0, 0, 1], [1, 2, 3, 2], [1.0, 2, 3, 5])
    spectrum = reweight.fit([block], np.array([1.5, 2.5]), classes=["jet", "tau"], to=["tau"])
    assert spectrum.apply(block).weights.tolist() == [0, 6, 0, 5]


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1, -2, 1, 1], "class 'jet'"), ([1, 1, -1, 0], r"classes of reweight\.to")],
)
def test_spectrum_that_is_not_positive_is_refused(weights, message):
    block = _block([0, 0, 1, 1], [1, 2, 1, 2], weights)
    with pytest.raises(DataError, match=message):
        reweight.fit([block], np.array([1.5]), classes=["jet", "tau"], to=["tau"])


def test_spectra_without_overlap_are_refused():
    block = _block([0, 1], [1, 2], [1, 1])
    with pytest.raises(DataError, match="no bin in common"):
        reweight.fit([block], np.array([1.5]), classes=["jet", "tau"], to=["tau"])


def test_prepared_classes_have_the_same_spectrum_and_keep_their_sums(ntuples, contents, tmp_path):
    settings = dataset(ntuples, reweight={"variable": "pt", "to": ["tau"], "bins": 5})
    found = open_dataset(prepare(settings, cache=tmp_path))
    columns = found.train.columns(["labels", "weights", "pt"])
    jets, taus = columns["labels"] == 0, columns["labels"] == 1
    edges = reweight.quantile_edges(columns["pt"][jets].astype(float), 5)
    shares = []
    for chosen in (jets, taus):
        bins = reweight.bin_of(columns["pt"][chosen], edges)
        sums = np.bincount(bins, columns["weights"][chosen], minlength=5)
        shares.append(sums / sums.sum())
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-5)
    train = [c["event_number"] % 10 < 6 for c in contents]
    raw = sum(
        c["weight"][chosen & (c["is_tau"] == 0)].sum()
        for c, chosen in zip(contents, train, strict=True)
    )
    assert columns["weights"][jets].sum() == pytest.approx(raw, rel=1e-5)


def test_factors_come_from_the_training_split_alone(ntuples, contents, tmp_path):
    """The validation split gets the factors of the training split, bin by bin."""
    settings = dataset(ntuples, reweight={"variable": "pt", "to": ["tau"], "bins": 5})
    found = open_dataset(prepare(settings, cache=tmp_path))
    raw = {n: w for c in contents for n, w in zip(c["event_number"], c["weight"], strict=True)}
    factors = {}
    train = found.train.columns(["labels", "pt"])
    edges = reweight.quantile_edges(train["pt"][train["labels"] == 0].astype(float), 5)
    for split in (found.train, found.validation):
        c = split.columns(["labels", "weights", "event_numbers", "pt"])
        for i in np.flatnonzero(c["labels"] == 0):
            factor = c["weights"][i] / raw[c["event_numbers"][i]]
            factors.setdefault(int(reweight.bin_of(c["pt"][i], edges)), []).append(factor)
    assert len(factors) == 5
    for values in factors.values():
        np.testing.assert_allclose(values, values[0], rtol=1e-5)
