"""How likely a statistic of its size or larger is by chance."""

from __future__ import annotations

from scipy.special import gammaincc


def chi_square_tail(chi_square: float, freedom: int) -> float:
    """Return the chance of a chi-square of this size or larger.

    Args:
        chi_square: not negative.
        freedom: degrees of freedom; with none the chance is one.
    """
    return float(gammaincc(freedom / 2, chi_square / 2)) if freedom > 0 else 1.0
