"""Angles and distances in detector coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def wrap_phi(phi: NDArray[Any]) -> NDArray[Any]:
    """Wrap azimuthal angles in radians into [-pi, pi); any shape, float32 stays float32."""
    return (phi + np.pi) % (2 * np.pi) - np.pi


def delta_phi(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return `first - second` in radians, in [-pi, pi)."""
    return wrap_phi(first - second)


def delta_r(delta_eta: NDArray[Any], delta_phi: NDArray[Any]) -> NDArray[Any]:
    """Return the distance sqrt(delta_eta^2 + delta_phi^2) in the (eta, phi) plane."""
    return np.asarray(np.hypot(delta_eta, delta_phi))
