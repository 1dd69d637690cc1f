import numpy as np

from tauopt.metrics.variable_axes import choose_axis

ALL = np.ones(5000, bool)


def test_momenta_in_mev_are_drawn_in_gev_in_bins_of_about_equal_content():
    pt = 20_000 * (1 + np.random.default_rng(1).pareto(3, 5000))
    axis = choose_axis("pt", pt, among=ALL)
    assert (axis.text, axis.divisor, axis.log) == ("pT [GeV]", 1000.0, True)
    counts = np.bincount(axis.index(pt), minlength=axis.bins)
    assert counts.sum() == 5000
    assert counts.min() > 0.6 * counts.mean()
    assert np.allclose(axis.edges, np.round(axis.edges, 1))


def test_few_values_are_bins_of_their_own_and_others_are_outside():
    modes = np.repeat([0.0, 1.0, 3.0], [2000, 2000, 1000])
    axis = choose_axis("decay_mode", modes, among=ALL)
    assert axis.names == ("1p0n", "1p1n", "3p0n")
    assert axis.index(np.array([0, 1, 3, -1, 9])).tolist() == [0, 1, 2, -1, -1]


def test_decay_modes_of_both_codes_have_the_same_names():
    cms = np.array([0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0])
    axis = choose_axis("decay_mode", np.repeat(cms, 700), among=np.ones(4900, bool))
    assert axis.names == ("1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
    assert axis.index(cms).tolist() == [0, 1, 2, 2, 3, 4, 4]
    assert np.ptp(np.diff(axis.drawn)) == 0
    atlas = choose_axis("true_decay_mode", np.repeat(np.arange(5.0), 1000), among=ALL)
    assert atlas.names == axis.names
    other = choose_axis("decay_mode", np.repeat([-1.0, 0.0, 10.0, 15.0], 1250), among=ALL)
    assert other.names == ("-1", "1p0n", "3p0n", "15")


def test_a_variable_of_one_value_has_no_axis():
    assert choose_axis("prongs", np.ones(5000), among=ALL) is None


def test_the_effective_number_sets_the_number_of_bins():
    values = np.random.default_rng(1).uniform(0, 10, 5000)
    few = np.where(np.arange(5000) < 750, 1.0, 1e-6)
    assert choose_axis("mu", values, among=ALL, weights=few).bins == 3
    assert choose_axis("mu", values, among=ALL, weights=np.ones(5000)).bins == 10


def test_bins_are_chosen_by_the_given_candidates():
    values = np.concatenate([np.random.default_rng(1).uniform(0, 10, 2500), np.full(2500, 1e6)])
    axis = choose_axis("mu", values, among=values < 100)
    assert axis.edges[-1] <= 11
    assert axis.index(values).max() == axis.bins - 1
