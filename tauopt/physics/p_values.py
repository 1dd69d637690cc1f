"""P-values of chi-squares and of binomial splits."""

from __future__ import annotations

from scipy.special import bdtr, gammaincc


def chi_square_tail(chi_square: float, degrees: int) -> float:
    """Return the p-value of a chi-square: the probability of this value or a larger one.

    Args:
        chi_square: not negative.
        degrees: degrees of freedom; the p-value is 1 if there are none.
    """
    return float(gammaincc(degrees / 2, chi_square / 2)) if degrees > 0 else 1.0


def fair_coin_tails(heads: int, throws: int) -> float:
    """Return the two-sided binomial p-value of `heads` among throws of a fair coin; 1 if none."""
    fewer = min(heads, throws - heads)
    return float(min(1.0, 2.0 * bdtr(fewer, throws, 0.5))) if throws else 1.0
