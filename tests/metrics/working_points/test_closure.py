import numpy as np
import pytest

from tauopt.config.settings.working_point_settings import WorkingPointSettings
from tauopt.metrics.working_points.closure import closure
from tauopt.metrics.working_points.working_point_set import derive
from tests.metrics.working_points.tau_sample import taus_and_jets

STANDARD = {"tight": 0.6, "medium": 0.75, "loose": 0.85, "very_loose": 0.95}


@pytest.fixture(scope="module")
def validation():
    return taus_and_jets(np.random.default_rng(21))


@pytest.fixture(scope="module")
def test_split():
    return taus_and_jets(np.random.default_rng(22))


def derive_and_close(sample, other, **settings):
    points = derive(sample, WorkingPointSettings(**settings))
    return closure(points, other, rng=np.random.default_rng(1))


def all_p_values(closures):
    """P-values of all working points, prongs and variables."""
    return np.array(
        [
            closed.p_value
            for part in closures.values()
            for bins in part.bins.values()
            for closed in bins.values()
        ]
    )


def test_60_75_85_and_95_per_cent_close_on_an_independent_sample(validation, test_split):
    closures = derive_and_close(validation, test_split)
    assert list(closures) == ["1p", "3p"]
    for part in closures.values():
        assert {name: closed.wanted for name, closed in part.whole.items()} == STANDARD
        assert [axis.name for axis in part.axes] == ["pt", "mu"]
        for closed in part.whole.values():
            assert closed.p_value > 0.003
        for bins in part.bins.values():
            for closed in bins.values():
                assert closed.freedom >= 8
                worst = max(abs(bin_.value - closed.wanted) for bin_ in closed.efficiency)
                in_each = part.counts[0] / closed.freedom
                assert worst < 4 * np.sqrt(2 * closed.wanted * (1 - closed.wanted) / in_each)
    p_values = all_p_values(closures)
    assert len(p_values) == 16
    assert p_values.min() > 0.05 / 16 / 4


def test_one_cut_fails_the_same_test(validation, test_split):
    closures = derive_and_close(validation, test_split, flat_in=())
    assert all_p_values(closures).max() < 1e-4


def test_flatness_in_pt_alone_leaves_the_pile_up(validation, test_split):
    part = derive_and_close(validation, test_split, flat_in=("pt",))["1p"]
    assert all(one.p_value > 1e-3 for one in part.bins["pt"].values())
    assert all(one.p_value < 1e-4 for one in part.bins["mu"].values())


def test_weighted_samples_close_too():
    sample, other = (taus_and_jets(np.random.default_rng(s), negative=0.1) for s in (5, 6))
    p_values = all_p_values(derive_and_close(sample, other))
    assert p_values.min() > 0.05 / 16 / 4


def test_p_values_are_uniform_when_the_cuts_are_right():
    """With errors too small or too large the p-values would crowd at one end."""
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(12):
        sample, other = (taus_and_jets(rng, signal=12_000, background=50) for _ in range(2))
        p_values += all_p_values(derive_and_close(sample, other)).tolist()
    middle = np.mean(np.array(p_values) < 0.5)
    assert 0.3 < middle < 0.7
    assert np.mean(np.array(p_values) < 0.1) < 0.2


def test_efficiency_and_rejection_are_counted_by_hand(validation, test_split):
    points = derive(validation, WorkingPointSettings())
    part = closure(points, test_split, rng=np.random.default_rng(1))["1p"]
    flat = points.flattened(test_split.score, test_split.columns)
    one_prong = test_split.columns["prongs"] == 1
    signal, jets = test_split.is_signal & one_prong, ~test_split.is_signal & one_prong
    assert part.counts == (signal.sum(), jets.sum())
    passed = flat <= np.float32(0.75)
    whole = part.whole["medium"]
    assert whole.efficiency[0].value == pytest.approx(passed[signal].mean())
    assert whole.rejection[0].value == pytest.approx(1 / passed[jets].mean())
    axis = part.axes[0]
    low = signal & (test_split.columns["pt"] / 1000 < axis.edges[1])
    bins = part.bins["pt"]["medium"]
    assert bins.efficiency[0].value == pytest.approx(passed[low].mean())
    assert bins.chi_square > 0


def test_sequential_points_close_among_those_that_pass_what_they_require(validation, test_split):
    points = {
        "no_e": {"efficiency": 0.95, "score": "against_e"},
        "medium": {"efficiency": 0.75, "requires": ("no_e",)},
    }
    closures = derive_and_close(validation, test_split, points=points)
    for part in closures.values():
        assert part.whole["medium"].wanted == 0.75
        assert part.whole["medium"].p_value > 1e-3
    assert all_p_values(closures).min() > 0.05 / 8 / 4
