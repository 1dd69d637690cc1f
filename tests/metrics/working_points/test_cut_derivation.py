from dataclasses import replace

import numpy as np
import pytest

from tauopt.metrics.working_points.cut_derivation import cuts_at, derive_grid, efficiency_nodes


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def slow_cut(score, weights, at):
    """Walk down the candidates until enough has passed, from the top and from the bottom."""
    order = sorted(range(len(score)), key=lambda i: (-score[i], weights[i]))
    number = sum(weights) ** 2 / sum(w * w for w in weights)
    target = min(at * (1 + 1 / number), 1.0)
    path, passed = [(0.0, score[order[0]])], 0.0
    for i in order:
        passed += weights[i] / sum(weights)
        path.append((passed, score[i]))
    first = next(k for k in range(1, len(path)) if path[k][0] >= target - 1e-9)
    last = max(k for k in range(len(path)) if path[k][0] < target - 1e-9) + 1
    cuts = []
    for k in (first, last):
        (below, tight), (above, loose) = path[k - 1], path[k]
        cuts.append(tight + (target - below) / (above - below) * (loose - tight))
    return sum(cuts) / 2


@pytest.mark.parametrize("negative", [0.0, 0.2])
def test_cuts_are_those_of_a_slow_walk_along_the_candidates(rng, negative):
    score = np.round(rng.random(200), 2)  # with ties
    weights = rng.exponential(size=200) * np.where(rng.random(200) < negative, -1, 1)
    at = np.array([0.05, 0.3, 0.6, 0.75, 0.9])
    slow = np.minimum.accumulate([slow_cut(score, weights, e) for e in at])
    np.testing.assert_allclose(cuts_at(score, weights, at), slow, atol=1e-9)


def test_without_weights_cuts_are_numpys_quantiles(rng):
    score, at = rng.normal(size=501), np.linspace(0.05, 0.95, 19)
    expected = np.quantile(score, 1 - at, method="weibull")
    np.testing.assert_allclose(cuts_at(score, np.ones(501), at), expected, atol=1e-9)


def test_a_cut_has_on_average_its_efficiency_on_an_independent_sample(rng):
    kept = [
        1 - cuts_at(rng.random(20), np.ones(20), np.array([0.9]))[0]  # uniform: cut = 1 - part kept
        for _ in range(4000)
    ]
    error = np.std(kept) / np.sqrt(len(kept))
    assert abs(np.mean(kept) - 0.9) < 3 * error < 0.01


@pytest.mark.parametrize("negative", [0.0, 0.3])
def test_cuts_fall_as_efficiencies_rise(rng, negative):
    weights = rng.exponential(size=500) * np.where(rng.random(500) < negative, -1, 1)
    nodes = efficiency_nodes([0.6])
    assert (np.diff(cuts_at(rng.random(500), weights, nodes)) <= 0).all()


def test_cuts_do_not_depend_on_the_order_of_candidates(rng):
    score = rng.integers(0, 5, 300).astype(float)
    weights = rng.normal(size=300) + 0.5
    mixed = rng.permutation(300)
    at = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(
        cuts_at(score, weights, at), cuts_at(score[mixed], weights[mixed], at), atol=1e-9
    )


def test_negative_weights_cancel_surplus_positive_ones(rng):
    """A sample with events and counter-events has the cuts of the sample without them."""
    score = rng.normal(size=40_000)
    extra = rng.normal(2.0, size=20_000)  # these weigh nothing together
    whole = np.concatenate([score, extra, extra + 1e-9])
    weights = np.concatenate([np.ones(40_000), np.ones(20_000), -np.ones(20_000)])
    at = np.array([0.2, 0.6, 0.9])
    expected = cuts_at(score, np.ones(40_000), at)
    assert np.abs(cuts_at(whole, weights, at) - expected).max() < 1e-3


def test_nodes_hold_the_targets_and_are_denser_at_both_ends():
    nodes = efficiency_nodes([0.6, 0.95])
    assert nodes[0] == 0.0
    assert nodes[-1] == 1.0
    assert {0.6, 0.95} <= set(nodes)
    assert np.diff(nodes)[0] < 1e-3
    assert np.diff(nodes)[-1] < 1e-3
    assert np.diff(nodes).max() < 0.02


def test_there_are_fewer_bins_where_cells_would_have_too_little_signal(rng):
    n = 3000
    pt, mu = rng.exponential(size=n), rng.normal(size=n)
    kwargs = {"nodes": efficiency_nodes([]), "bins": 20}
    weights = rng.exponential(size=n)
    grid = derive_grid(rng.random(n), weights, [pt, mu], fewest=200, **kwargs)
    assert grid.numbers.min() >= 200
    assert grid.numbers.size >= 4
    whole = derive_grid(rng.random(n), weights, [pt, mu], fewest=n, **kwargs)
    assert whole.numbers.shape == (1, 1)
    assert derive_grid(rng.random(19), np.ones(19), [pt[:19]], fewest=20, **kwargs) is None


def test_quantities_with_few_values_have_as_many_bins(rng):
    n = 5000
    few = rng.integers(0, 3, n).astype(float)
    grid = derive_grid(
        rng.random(n), np.ones(n), [few], nodes=efficiency_nodes([]), bins=20, fewest=100
    )
    np.testing.assert_array_equal(grid.centres[0], [0, 1, 2])


def test_every_cell_as_a_whole_has_the_right_efficiency(rng):
    """Interpolation alone is off by first order in the outer bins of a trend."""
    n, bins = 40_000, 4
    pt = rng.exponential(size=n)
    score = rng.normal(size=n) + 1.5 * pt
    nodes = efficiency_nodes([0.6, 0.75, 0.95])
    grid = derive_grid(score, np.ones(n), [pt], nodes=nodes, bins=bins, fewest=200)
    edges = np.quantile(pt, np.arange(1, bins) / bins)
    cell = np.searchsorted(edges, pt, side="right")
    plain = np.stack([cuts_at(score[cell == b], np.ones(n // bins), nodes) for b in range(bins)])
    uncorrected = replace(grid, cuts=plain.T)
    worst = {}
    for name, one in (("corrected", grid), ("uncorrected", uncorrected)):
        kept = one.efficiency(score, [pt], nodes)
        worst[name] = max(
            abs(np.mean(kept[cell == b] <= at) - at) for b in range(bins) for at in (0.6, 0.95)
        )
    assert worst["corrected"] < 0.005 < 0.05 < worst["uncorrected"]
