"""Bins in any variables: no value outside, no neighbour's bin, whatever the edges (mistake 4)."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.settings.dataset import BinnedVariable, Reweight
from tauopt.prepare.binning import BinEdges, BinGrid, bin_of, find_bins, quantile_edges


def slow_bin(value, edges):
    for index, edge in enumerate(edges):
        if value < edge:
            return index
    return len(edges)


def slow_index(values, axes):
    """Count through the bins of all axes, the last running fastest."""
    wanted = [slow_bin(value, axis.edges) for value, axis in zip(values, axes, strict=True)]
    bins = np.ndindex(*(len(axis.edges) + 1 for axis in axes))
    (number,) = [i for i, one in enumerate(bins) if list(one) == wanted]
    return number


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(1, 12))
def test_bins_agree_with_a_slow_reference_and_hold_every_value(values, bins):
    values = np.array(values, dtype=float)
    edges = quantile_edges(values, bins)
    assert len(edges) <= bins - 1
    assert np.all(np.diff(edges) > 0)
    probes = np.concatenate([values, edges, edges - 1e-9, edges + 1e-9, [-np.inf, np.inf, 1e30]])
    found = bin_of(probes, edges)
    assert found.tolist() == [slow_bin(value, edges) for value in probes]
    assert found.min() >= 0
    assert found.max() <= len(edges)


edge_lists = st.lists(st.integers(-4, 4), max_size=4, unique=True).map(sorted)


@settings(deadline=None, max_examples=60)
@given(st.lists(edge_lists, max_size=3), st.integers(0, 10**6))
def test_bins_in_several_variables_agree_with_a_slow_reference(edges, seed):
    """Integers on integer edges: below the first, on each, above the last."""
    axes = tuple(BinEdges(f"x{i}", np.array(one, dtype=float)) for i, one in enumerate(edges))
    bins = BinGrid(axes)
    values = np.random.default_rng(seed).integers(-6, 7, (40, len(axes))).astype(float)
    found = bins.index(values)
    assert found.tolist() == [slow_index(row, axes) for row in values]
    assert found.min() >= 0
    assert found.max() < bins.size


def test_value_on_an_edge_belongs_to_the_bin_that_it_begins():
    edges = np.array([10.0, 20.0])
    assert bin_of(np.array([9.99, 10, 19.99, 20, 1e9]), edges).tolist() == [0, 1, 1, 2, 2]


def test_quantile_bins_hold_equally_many():
    values = np.random.default_rng(1).exponential(size=4900)
    edges = quantile_edges(values, 49)
    assert np.bincount(bin_of(values, edges)).tolist() == [100] * 49


def test_every_bin_is_described_by_its_own_edges():
    bins = BinGrid((BinEdges("pt", np.array([20.0, 30])), BinEdges("abs(eta)", np.array([1.37]))))
    assert [bins.describe(i) for i in range(bins.size)] == [
        "pt below 20, abs(eta) below 1.37", "pt below 20, abs(eta) from 1.37",
        "pt 20 to 30, abs(eta) below 1.37", "pt 20 to 30, abs(eta) from 1.37",
        "pt from 30, abs(eta) below 1.37", "pt from 30, abs(eta) from 1.37",
    ]  # fmt: skip
    assert BinGrid(()).describe(0) == "everything"


def test_given_edges_are_taken_and_quantiles_come_from_the_changed_classes():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 1000)
    values = np.stack([rng.random(1000) + labels, rng.random(1000)], axis=1)
    block = SimpleNamespace(labels=labels, spectrum=values)
    wanted = {"pt": BinnedVariable(bins=4), "eta": BinnedVariable(edges=(0.25, 0.5))}
    bins = find_bins([block], wanted, changed=[0])
    expected = quantile_edges(values[labels == 0, 0], 4)
    np.testing.assert_array_equal(bins.axes[0].edges, expected)
    assert bins.axes[1].edges.tolist() == [0.25, 0.5]
    assert bins.size == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either `variable` or `variables`"),
        ({"variable": "pt"}, "classes in `to`"),
        ({"variable": "pt", "to": ("a",), "target": "flat"}, "classes in `to`"),
        ({"variables": {"pt": {"edges": (2, 1)}}, "target": "flat"}, "edges that increase"),
        (
            {"variables": {"a": {"bins": 200}, "b": {"bins": 200}}, "target": "flat"},
            "at most 20000 bins in all, got 40000",
        ),
    ],
)
def test_settings_that_contradict_themselves_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Reweight(**settings)
