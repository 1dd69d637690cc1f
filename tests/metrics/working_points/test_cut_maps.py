import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from tauopt.errors import DataError
from tauopt.metrics.working_points.cut_maps import CutGrid, CutMap, map_from_json, map_to_json


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def random_grid(rng, *shape, nodes=12):
    cuts = -np.sort(-rng.random((nodes, *shape)), axis=0)
    centres = tuple(np.sort(rng.random(n)) * 10 for n in shape)
    return CutGrid(centres, cuts, np.full(shape, 100.0)), np.linspace(0, 1, nodes)


def slow_efficiency(grid, nodes, score, values):
    """All cuts of one candidate by scipy, then the first that it reaches."""
    inside = [min(max(v, c[0]), c[-1]) for v, c in zip(values, grid.centres, strict=True)]
    cuts = RegularGridInterpolator(grid.centres, np.moveaxis(grid.cuts, 0, -1))(inside)[0]
    reached = [k for k in range(len(cuts)) if cuts[k] <= score]
    if not reached:
        return 1.0
    k = reached[0]
    if k == 0:
        return 0.0
    return nodes[k - 1] + (cuts[k - 1] - score) / (cuts[k - 1] - cuts[k]) * (
        nodes[k] - nodes[k - 1]
    )


@pytest.mark.parametrize("shape", [(2,), (5,), (3, 4), (2, 3, 2)])
def test_the_efficiency_is_that_of_the_first_interpolated_cut_that_is_reached(rng, shape):
    grid, nodes = random_grid(rng, *shape)
    score = rng.uniform(-0.1, 1.1, 300)
    values = [rng.uniform(-1, 11, 300) for _ in shape]
    slow = [slow_efficiency(grid, nodes, score[i], [v[i] for v in values]) for i in range(300)]
    np.testing.assert_allclose(grid.efficiency(score, values, nodes), slow, atol=1e-9)


def test_beyond_the_outer_centres_cuts_are_constant(rng):
    grid, nodes = random_grid(rng, 3, 4)
    score = rng.random(50)
    edge = [np.full(50, grid.centres[0][-1]), np.full(50, grid.centres[1][0])]
    beyond = [np.full(50, 1e6), np.full(50, -1e6)]
    np.testing.assert_array_equal(
        grid.efficiency(score, edge, nodes), grid.efficiency(score, beyond, nodes)
    )


def test_the_efficiency_falls_as_the_score_rises(rng):
    grid, nodes = random_grid(rng, 4, 3)
    score = np.sort(rng.uniform(-0.1, 1.1, 2000))
    for _ in range(20):
        at = [np.full(2000, rng.uniform(0, 10)) for _ in range(2)]
        assert (np.diff(grid.efficiency(score, at, nodes)) <= 1e-12).all()


def test_equal_scores_pass_together_at_the_smallest_efficiency_that_reaches_them():
    cuts = np.array([[0.9], [0.5], [0.5], [0.5], [0.1]])  # half of the signal has score 0.5
    grid = CutGrid((np.array([1.0]),), cuts, np.array([100.0]))
    efficiencies = grid.efficiency(np.array([0.95, 0.5, 0.05]), [np.ones(3)], np.linspace(0, 1, 5))
    np.testing.assert_array_equal(efficiencies, [0.0, 0.25, 1.0])


def cut_map(rng):
    one, nodes = random_grid(rng, 2)
    three, _ = random_grid(rng, 3)
    return CutMap(("pt",), nodes, {"1p": one, "3p": three})


def test_each_number_of_prongs_has_cuts_of_its_own_and_others_never_pass(rng):
    cuts = cut_map(rng)
    score, pt, prongs = rng.random(90), rng.uniform(0, 10, 90), np.repeat([1, 2, 3], 30)
    efficiencies = cuts.efficiency(score, {"pt": pt, "prongs": prongs})
    three = cuts.grids["3p"].efficiency(score[60:], [pt[60:]], cuts.nodes)
    np.testing.assert_array_equal(efficiencies[60:], three)
    assert (efficiencies[30:60] == 1).all()


def test_a_missing_column_and_values_that_are_not_finite_are_named(rng):
    cuts, ones = cut_map(rng), np.ones(3)
    with pytest.raises(DataError, match="need the column 'pt'; there are prongs"):
        cuts.efficiency(ones, {"prongs": ones})
    with pytest.raises(DataError, match="pt is not finite for 1 of 3"):
        cuts.efficiency(ones, {"prongs": ones, "pt": np.array([1.0, np.nan, 2.0])})
    with pytest.raises(DataError, match="the score is not finite for 2 of 3"):
        cuts.efficiency(np.array([np.inf, np.nan, 1]), {"prongs": ones, "pt": ones})
    with pytest.raises(DataError, match=r"pt has shape \(2,\), expected \(3,\)"):
        cuts.efficiency(ones, {"prongs": ones, "pt": np.ones(2)})


def test_a_map_survives_json_with_every_digit(rng):
    cuts = cut_map(rng)
    again = map_from_json(map_to_json(cuts))
    columns = {"pt": rng.uniform(0, 10, 60), "prongs": np.repeat([1, 3], 30)}
    score = rng.random(60)
    np.testing.assert_array_equal(again.efficiency(score, columns), cuts.efficiency(score, columns))
