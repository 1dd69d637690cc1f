import hashlib

import numpy as np
import pytest

from tauopt.simulate.sample_plan import EVENTS_A_FILE
from tauopt.simulate.simulate_file import simulate_candidates
from tests.simulate.conftest import plan_of


def content(branches):
    """Return a digest of every branch."""
    digest = hashlib.sha256()
    columns = dict(branches.scalars)
    for group, (counts, features) in branches.groups.items():
        columns[group] = counts
        columns |= {f"{group}_{name}": values for name, values in features.items()}
    for name in sorted(columns):
        digest.update(name.encode() + columns[name].dtype.str.encode() + columns[name].tobytes())
    return digest.hexdigest()


def _small(**changes):
    return plan_of("gammatautau_z", candidates=40, **changes)


def _run(plan):
    return simulate_candidates(plan, advance=lambda amount: None)[0]


def test_content_depends_on_the_seed_alone():
    first = content(_run(_small()))
    assert content(_run(_small())) == first
    assert content(_run(_small(number=1))) != first


def test_every_number_is_finite(taus, jets):
    for branches, _ in (taus, jets):
        for name, values in branches.scalars.items():
            assert np.isfinite(values).all(), name
        for group, (counts, features) in branches.groups.items():
            assert len(counts) == len(branches)
            for name, values in features.items():
                assert len(values) == counts.sum(), (group, name)
                assert np.isfinite(values).all(), (group, name)


def _selected(result):
    branches, _ = result
    return branches.take(np.isin(branches.scalars["n_tracks"], (1, 3)))


def test_files_hold_their_candidates(taus, jets):
    assert taus[1].selected >= 1000
    assert jets[1].selected >= 400
    for branches, counts in (taus, jets):
        assert len(branches) == counts.entries >= counts.selected
        assert branches.scalars["pt"].min() > 20_000
        assert set(branches.scalars["n_tracks"]) == {1, 2, 3}


def test_event_numbers_belong_to_their_file(taus):
    numbers = taus[0].scalars["event_number"]
    assert numbers.dtype == np.int64
    plan = plan_of("gammatautau_m120", candidates=1)
    assert np.all(numbers // EVENTS_A_FILE == plan.number)
    assert np.bincount(numbers - numbers.min()).max() <= 2
    shares = np.bincount(numbers % 10, minlength=10) / len(numbers)
    assert shares == pytest.approx(0.1, abs=0.04)


def test_taus_are_narrow_and_jets_are_wide(taus, jets):
    tau, jet = _selected(taus).scalars, _selected(jets).scalars
    assert np.median(tau["centFrac"]) > np.median(jet["centFrac"]) + 0.15
    three = [x["dRmax"][x["n_tracks"] == 3] for x in (tau, jet)]
    assert np.median(three[0]) < 0.6 * np.median(three[1])


def test_taus_have_fewer_tracks_around_them_than_jets(taus, jets):
    tau, jet = _selected(taus), _selected(jets)
    assert tau.scalars["n_isolation_tracks"].mean() < jet.scalars["n_isolation_tracks"].mean() - 0.7
    assert tau.groups["track"][0].mean() < jet.groups["track"][0].mean() - 1.5


def test_three_prong_taus_decay_away_from_the_beam(taus, jets):
    flights = []
    for result in (taus, jets):
        scalars = _selected(result).scalars
        flights.append(scalars["trFlightPathSig"][scalars["n_tracks"] == 3])
    assert np.median(flights[0]) > np.median(flights[1]) + 0.8
    assert np.mean(flights[0] > 3) > 3 * np.mean(flights[1] > 3)


def test_reconstructed_momentum_is_the_visible_one(taus):
    scalars = _selected(taus).scalars
    ratio = scalars["pt"] / scalars["truth_pt_vis"]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.percentile(ratio, 84) - np.percentile(ratio, 16) < 0.4
    away = np.abs(scalars["eta"] - scalars["truth_eta_vis"])
    assert np.median(away) < 0.02


def test_prongs_are_mostly_found(taus):
    scalars = _selected(taus).scalars
    same = scalars["n_tracks"] == scalars["truth_prongs"]
    assert same.mean() > 0.9


def test_truth_class_follows_decay_mode(taus, jets):
    tau, jet = taus[0].scalars, jets[0].scalars
    assert set(tau["truth_class"]) == {1, 2, 3, 4, 5}
    assert np.array_equal(tau["truth_prongs"] == 3, tau["truth_class"] >= 4)
    assert np.array_equal(tau["truth_decay_mode"], tau["truth_class"] - 1)
    assert set(jet["truth_class"]) == {0}
    assert set(jet["truth_decay_mode"]) == {-1}


def test_neutral_pions_show_as_neutral_objects(taus):
    branches = _selected(taus)
    counts, features = branches.groups["pfo"]
    entry = np.repeat(np.arange(len(branches)), counts)
    near = np.hypot(features["dEta"], features["dPhi"]) < 0.2
    chosen = near & (features["pi0BDT"] > 0.5)
    pion_like = np.bincount(entry, weights=chosen, minlength=len(branches))
    classes = branches.scalars["truth_class"]
    assert pion_like[classes == 1].mean() < 0.4
    assert 0.7 < pion_like[classes == 2].mean() < 1.6
    assert pion_like[classes == 3].mean() > pion_like[classes == 2].mean() + 0.2


def test_objects_are_ordered_and_near_the_axis(taus):
    branches = taus[0]
    for group, key in (("track", "pt"), ("cluster", "et"), ("pfo", "pt")):
        counts, features = branches.groups[group]
        entry = np.repeat(np.arange(len(branches)), counts)
        falling = np.diff(features[key]) <= 0
        assert np.all(falling | (np.diff(entry) > 0)), group
        assert np.hypot(features["dEta"], features["dPhi"]).max() < 0.401


def test_pile_up_adds_objects_and_not_momentum():
    quiet, busy = (
        _run(plan_of("gammatautau_m120", candidates=250, pileup=mu)) for mu in (5.0, 70.0)
    )
    for group in ("track", "cluster"):
        assert busy.groups[group][0].mean() > quiet.groups[group][0].mean() + 0.8
    ratios = [np.median(b.scalars["pt"] / b.scalars["truth_pt_vis"]) for b in (quiet, busy)]
    assert ratios[1] == pytest.approx(ratios[0], abs=0.05)


def test_pile_up_numbers_follow_their_mean(taus):
    mu = taus[0].scalars["mu"]
    assert mu.mean() == pytest.approx(35, abs=1.0)
    assert mu.std() == pytest.approx(0.3 * 35, abs=1.5)


def test_weights_are_cross_section_over_generated_events(taus, jets):
    branches, counts = taus
    expected = counts.cross_section_pb / counts.events
    np.testing.assert_allclose(branches.scalars["weight"], expected, rtol=1e-5)
    branches, counts = jets
    weight = branches.scalars["weight"]
    assert weight.min() > 0
    assert weight.sum() < 3 * counts.cross_section_pb
    assert weight.std() > 0.1 * weight.mean()  # pT-hat is sampled flatter than it falls


def test_jets_of_neighbouring_slices_have_falling_weights():
    low, high = (
        _run(plan_of(name, candidates=40)).scalars["weight"].sum()
        for name in ("dijet_jz3", "dijet_jz4")
    )
    assert low > 5 * high
