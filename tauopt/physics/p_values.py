"""How likely a statistic of its size or larger is by chance."""

from __future__ import annotations

from scipy.special import bdtr, gammaincc


def chi_square_tail(chi_square: float, freedom: int) -> float:
    """Return the chance of a chi-square of this size or larger.

    Args:
        chi_square: not negative.
        freedom: degrees of freedom; with none the chance is one.
    """
    return float(gammaincc(freedom / 2, chi_square / 2)) if freedom > 0 else 1.0


def fair_coin_tails(heads: int, throws: int) -> float:
    """Return the chance of a split as uneven, either way, of a fair coin's throws; 1 of none."""
    fewer = min(heads, throws - heads)
    return float(min(1.0, 2.0 * bdtr(fewer, throws, 0.5))) if throws else 1.0
