import numpy as np
import pytest

from tauopt.simulate.columns import total
from tauopt.simulate.events import open_source
from tauopt.simulate.particles import Particles
from tauopt.simulate.taus import Taus, boost, draw_decays, random_rotations, visible_taus
from tests.simulate.conftest import plan_of

# PDG 2024, in per cent of all decays; modes with K0 count in the class of their other hadrons.
PDG = {
    "1p0n": 10.82 + 0.70 + 0.84 + 0.15,
    "1p1n": 25.49 + 0.43 + 0.38 + 0.15,
    "1pXn": 9.26 + 1.04 + 0.11 + 0.07,
    "3p0n": 8.99 + 0.29 + 0.14,
    "3pXn": 4.49 + 0.08 + 0.50 + 0.06,
}


def _at_rest(bank):
    decays = bank.products
    return visible_taus(
        decays, decays.event, np.arange(len(bank.prongs)), bank.prongs, bank.neutrals
    )


def _masses(taus, truth_class):
    kept = taus.take(taus.truth_class == truth_class)
    return np.sqrt(np.maximum(kept.e**2 - kept.px**2 - kept.py**2 - kept.pz**2, 0))


@pytest.mark.parametrize("mode", [5, 0])
def test_decay_modes_have_the_measured_branching_fractions(banks, mode):
    classes = _at_rest(banks[mode]).truth_class
    share = np.array(list(PDG.values())) / sum(PDG.values())
    observed = np.array([np.mean(classes == i) for i in range(1, 6)])
    error = np.sqrt(share * (1 - share) / len(classes))
    assert np.all(np.abs(observed - share) < 3.5 * error + 0.01), (observed, share)
    assert np.mean(classes == -1) < 0.006  # five prongs


def test_two_pions_resonate_as_rho_and_only_with_hadronic_currents(banks):
    def in_window(bank):
        mass = _masses(_at_rest(bank), 2)
        return np.mean((mass > 0.65) & (mass < 0.90))

    assert in_window(banks[5]) == pytest.approx(0.75, abs=0.06)
    assert in_window(banks[0]) == pytest.approx(0.20, abs=0.05)


def test_three_pions_resonate_as_a1_and_only_with_hadronic_currents(banks):
    def spread(bank):
        mass = _masses(_at_rest(bank), 4)
        return np.mean((mass > 0.95) & (mass < 1.35))

    assert spread(banks[5]) > 0.65
    assert spread(banks[0]) < spread(banks[5]) - 0.1


def test_products_carry_the_momentum_of_their_tau(banks):
    rng = np.random.default_rng(1)
    n = 300
    p = rng.normal(0, 40, (3, n))
    taus = Particles(
        np.arange(n), rng.choice([-15, 15], n), *p, np.sqrt((p**2).sum(axis=0) + 1.77682**2),
        *np.zeros((3, n)),
    )  # fmt: skip
    products, true = draw_decays(taus, banks[5], rng=rng)
    for name in ("px", "py", "pz", "e"):
        np.testing.assert_allclose(
            total(getattr(products, name), products.event, n), getattr(taus, name), atol=0.02
        )
    assert np.all(true.pt < np.hypot(*p[:2]) + 2)
    assert np.array_equal(np.sign(total(products.charge, products.event, n)), -np.sign(taus.pdg))


def test_taus_have_the_flight_length_of_their_lifetime(banks):
    rng = np.random.default_rng(2)
    n, gamma = 4000, 20.0
    momentum = 1.77686 * np.sqrt(gamma**2 - 1)
    taus = Particles(
        np.arange(n), np.full(n, 15), np.full(n, momentum), np.zeros(n), np.zeros(n),
        np.full(n, 1.77686 * gamma), *np.zeros((3, n)),
    )  # fmt: skip
    products, _ = draw_decays(taus, banks[5], rng=rng)
    neutrino = products.take(products.pdg == 16)
    assert neutrino.vx.mean() == pytest.approx(0.08703 * np.sqrt(gamma**2 - 1), rel=0.08)
    assert np.abs(neutrino.vy).max() < 1e-9


def test_rotations_are_proper():
    rotations = random_rotations(50, rng=np.random.default_rng(3))
    identity = rotations @ np.swapaxes(rotations, 1, 2)
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)


def test_a_boost_of_a_particle_at_rest_gives_its_momentum():
    beta_gamma = np.random.default_rng(4).normal(0, 3, (3, 20))
    *momentum, energy = boost(np.zeros((3, 20)), np.ones(20), beta_gamma)
    np.testing.assert_allclose(momentum, beta_gamma)
    np.testing.assert_allclose(energy, np.sqrt(1 + (beta_gamma**2).sum(axis=0)))


def test_taus_decayed_in_their_event_and_from_the_bank_look_alike():
    shares = {}
    for mode in (1, 5):
        plan = plan_of("gammatautau_m120", candidates=200, tau_decays=mode)
        batch = open_source(plan, rng=np.random.default_rng(5)).next_batch(80)
        taus = batch.taus
        assert isinstance(taus, Taus)
        assert len(taus) == 160
        assert np.all(np.bincount(taus.event) == 2)
        shares[mode] = (np.mean(taus.prongs == 1), np.median(taus.pt))
    assert shares[1][0] == pytest.approx(shares[5][0], abs=0.16)
    assert shares[1][1] == pytest.approx(shares[5][1], rel=0.3)
