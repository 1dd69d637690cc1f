"""Angles."""

import numpy as np

from tauopt.physics.kinematics import delta_phi, delta_r, wrap_phi


def test_phi_is_wrapped_into_half_open_range():
    phi = np.linspace(-20, 20, 401)
    wrapped = wrap_phi(phi)
    assert np.all((wrapped >= -np.pi) & (wrapped < np.pi))
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * phi), atol=1e-12)


def test_distance_goes_the_short_way_round():
    np.testing.assert_allclose(delta_phi(np.array([3.1]), np.array([-3.1])), [6.2 - 2 * np.pi])
    np.testing.assert_allclose(delta_r(np.array([3.0]), np.array([4.0])), [5.0])
