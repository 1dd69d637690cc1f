"""Secondary vertices in the transverse plane."""

from __future__ import annotations

import numpy as np

from tauopt.simulate.columns import Array, total
from tauopt.simulate.tracks import Tracks


def flight_significance(tracks: Tracks, axis_phi: Array) -> Array:
    """Return the signed transverse flight length of each candidate's tracks over its error.

    Each track is a line at distance d0 from the beam; the vertex is the point of least squares
    and its error follows from the same normal equations. Candidates with fewer than two tracks
    have 0.

    Args:
        tracks: core tracks with the candidate's number as `event`.
        axis_phi: direction of each candidate, (candidate,).
    """
    n = len(axis_phi)
    weight = 1 / tracks.sigma_d0**2
    a, b = -np.sin(tracks.phi), np.cos(tracks.phi)
    aa = total(weight * a * a, tracks.event, n)
    ab = total(weight * a * b, tracks.event, n)
    bb = total(weight * b * b, tracks.event, n)
    ad = total(weight * a * tracks.d0, tracks.event, n)
    bd = total(weight * b * tracks.d0, tracks.event, n)
    determinant = aa * bb - ab * ab
    solvable = (np.bincount(tracks.event, minlength=n) > 1) & (determinant > 1e-6 * aa * bb)
    safe = np.where(solvable, determinant, 1.0)
    x, y = (bb * ad - ab * bd) / safe, (aa * bd - ab * ad) / safe
    cos, sin = np.cos(axis_phi), np.sin(axis_phi)
    length = x * cos + y * sin
    variance = (bb * cos**2 - 2 * ab * sin * cos + aa * sin**2) / safe
    return np.where(solvable, length / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
