"""Moments of clusters against explicit sums over their deposits."""

import numpy as np

from tauopt.simulate.calorimeter import EM_CELL, FACE_MM, Deposits
from tauopt.simulate.clusters import make_clusters


def deposits(rng, *, centres, each):
    """Return shower parts around directions that are 1 apart, one of them at phi = pi."""
    count = len(centres) * each
    eta, phi = np.repeat(np.array(centres), each, axis=0).T + rng.normal(0, 0.01, (2, count))
    return Deposits(
        event=np.zeros(count, int),
        eta=eta,
        phi=(phi + np.pi) % (2 * np.pi) - np.pi,
        energy=rng.exponential(5, count) + 1,
        em=rng.random(count) < 0.6,
        photon=rng.random(count) < 0.3,
        depth=rng.uniform(50, 900, count),
        depth2=rng.uniform(100, 4000, count),
        width2=rng.uniform(100, 2000, count),
    )


def test_moments_are_energy_weighted_sums_over_the_deposits_of_a_cluster():
    rng = np.random.default_rng(1)
    centres = [(0.0, 0.5), (1.0, np.pi), (-1.0, -2.0)]
    d = deposits(rng, centres=centres, each=7)
    clusters = make_clusters(d, n_candidates=1)
    assert len(clusters) == 3
    for n in range(3):
        rows = slice(7 * n, 7 * (n + 1))
        eta, phi = d.eta[rows], (d.phi[rows] - centres[n][1] + 3) % (2 * np.pi) - 3
        energy, depth, em = d.energy[rows], d.depth[rows], d.em[rows]
        eta0, phi0, lambda0 = (np.average(x, weights=energy) for x in (eta, phi, depth))
        r2 = d.width2[rows] + FACE_MM**2 * ((eta - eta0) ** 2 + (phi - phi0) ** 2)
        lambda2 = d.depth2[rows] + (depth - lambda0) ** 2
        eta2 = (eta - eta0) ** 2 + (EM_CELL / 8) ** 2
        expected = {
            "et": d.et[rows].sum(),
            "em_et": d.et[rows][em].sum(),
            "photon_et": (d.et * d.photon)[rows].sum(),
            "eta": eta0,
            "second_r": np.average(r2, weights=energy),
            "second_lambda": np.average(lambda2, weights=energy),
            "center_lambda": lambda0,
            "em_second_r": np.average(r2[em], weights=energy[em]),
            "em_second_eta": np.average(eta2[em], weights=energy[em]),
        }
        (place,) = np.flatnonzero(np.abs(clusters.eta - eta0) < 0.2)
        for name, value in expected.items():
            np.testing.assert_allclose(
                getattr(clusters, name)[place], value, rtol=1e-9, err_msg=name
            )
        turned = (clusters.phi[place] - centres[n][1] + 3) % (2 * np.pi) - 3
        np.testing.assert_allclose(turned, phi0, atol=1e-9)
