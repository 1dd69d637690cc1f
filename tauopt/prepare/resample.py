"""Balance by counts: resample training candidates by class and bin, with or without replacement.

A candidate of weight w and rate r is drawn r times on average, and each draw weighs w f / r, where
f is the factor of its class and bin (`tauopt.prepare.reweight`). So the expected sums of weights
are those of the balance by weights, whatever the rates.

The random numbers depend on the candidate's key alone: they are the outputs of SplitMix64 seeded
with the key (see `tauopt.physics.folds`). The first output decides how often the candidate is
drawn, and the others are the keys of its copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.dataset import Dataset, Resample
from tauopt.errors import DataError
from tauopt.physics.folds import hash_event
from tauopt.prepare import reweight
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.reweight import Balance, BinSums

Floats = NDArray[np.float64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
"""Increment of the state of SplitMix64 from one output to the next."""


@dataclass(frozen=True)
class ResamplingDraws:
    """How often candidates are drawn on average, and the weight of one draw."""

    balance: Balance
    classes: tuple[str, ...]
    expected: Floats
    """(class) expected number of draws."""
    candidates: int
    """Number of candidates before resampling."""
    rates: Floats
    """(class, bin) expected number of draws of a candidate."""
    weights: Floats
    """(class, bin) factor on the weight of one draw."""

    def times(self, block: Block) -> NDArray[np.int64]:
        """Return how often each candidate of a block is drawn, (candidate).

        With replacement floor(r) times, and once more with probability r - floor(r); without
        replacement once with probability r, and the keys of the candidates left stay random.
        """
        rates = self.rates[block.labels, self.balance.bins.index(block.spectrum)]
        always = np.floor(rates)
        return (always + (_uniform(block.keys) < rates - always)).astype(np.int64)

    def weigh(self, block: Block) -> Block:
        """Return the block with the weight of one draw of each candidate."""
        cell = block.labels, self.balance.bins.index(block.spectrum)
        return block.with_weights(block.weights * self.weights[cell])


def balance(
    dataset: Dataset, read: Callable[[], Iterable[Block]]
) -> tuple[Balance, ResamplingDraws | None]:
    """Fit a dataset's factors, and with `resample` how often training candidates are drawn.

    Args:
        dataset: with `reweight`, `proportions` and `resample`.
        read: returns the training candidates in shuffled order; called once or twice.
    Raises:
        DataError: see `fit` and `tauopt.prepare.reweight.balance`.
    """
    if dataset.resample is None:
        return reweight.balance(dataset, read), None
    bins = reweight.bins_of(dataset, read)
    totals = reweight.sum_up(read(), bins, classes=list(dataset.classes))
    fitted = reweight.fit_both(dataset, totals)
    return fitted, fit(totals, fitted, dataset.resample)


def fit(totals: BinSums, balance: Balance, settings: Resample) -> ResamplingDraws:
    """Choose how often candidates are drawn.

    Args:
        totals: counts and sums of weights of the training split.
        balance: the factors of the balance by weights.
        settings: number of draws, and whether with replacement.
    Raises:
        DataError: no candidate has a weight and a factor; or without replacement there are fewer
            candidates than `resample.candidates`: names the class and bin that is short of them.
    """
    counts = totals.counts
    mean = np.divide(totals.absolute, counts, out=np.zeros_like(balance.factors), where=counts > 0)
    # With rates in proportion to the factors alone, slices of cross-section would defeat the
    # balance: factors are largest where weights are smallest, so light candidates would be drawn
    # many times, and heavy ones hardly at all. With factor times mean absolute weight, the count of
    # a class in a bin is in proportion to its balanced sum of weights there.
    relative = balance.factors * mean
    total, largest = float((counts * relative).sum()), float(relative.max())
    if total <= 0:
        raise DataError(
            "resample: all training candidates weigh nothing: their weights or the balance factors "
            "are zero; look at the weights of the samples"
        )
    draws = settings.candidates or (counts.sum() if settings.replacement else total / largest)
    scale = draws / total
    if not settings.replacement and scale * largest > 1 + 1e-9:
        label, number = np.unravel_index(int(np.argmax(relative)), relative.shape)
        raise DataError(
            f"resample: without replacement {int(total / largest)} candidates of "
            f"{counts.sum()} can be had, candidates is {draws}: there are only "
            f"{counts[label, number]} of class {totals.classes[label]!r} in "
            f"{balance.bins.describe(int(number))}; set fewer candidates, take wider bins, or draw "
            "with replacement"
        )
    rates = relative * scale
    if not settings.replacement:
        rates = np.minimum(rates, 1.0)  # the largest may exceed 1 by rounding
    weights = np.divide(balance.factors, rates, out=np.zeros_like(rates), where=rates > 0)
    expected = (counts * rates).sum(axis=1)
    return ResamplingDraws(balance, totals.classes, expected, int(counts.sum()), rates, weights)


def copies(block: Block, times: NDArray[np.int64]) -> Iterator[Block]:
    """Yield candidates as often as they are drawn, in pieces no longer than the block.

    Args:
        block: in any order.
        times: (candidate) how often each is drawn.
    """
    rows = np.repeat(np.arange(len(block)), times)
    # (draw) 0 for the first draw of a candidate, 1 for the second, ...
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    for start in range(0, len(rows), max(1, len(block))):
        piece = slice(start, start + len(block))
        chosen = block.take(rows[piece])
        yield replace(chosen, keys=_keys(chosen.keys, nth[piece]))


def _keys(keys: NDArray[np.uint64], nth: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the keys of the n-th draws of candidates; draw 0 keeps the candidate's key.

    A key is a position in the shuffled order. Every copy gets a new one, so that all draws together
    are in a uniform permutation, in which copies are anywhere.
    """
    return np.where(nth > 0, _output(keys, nth), keys)


def _uniform(keys: NDArray[np.uint64]) -> Floats:
    """Return a uniform number in [0, 1) for each key, independent of the key's size."""
    bits = _output(keys, np.zeros(len(keys), np.int64)) >> np.uint64(11)  # 53 bits, exact
    return bits.astype(np.float64) * 2.0**-53


def _output(keys: NDArray[np.uint64], nth: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the n-th output, counted from 0, of SplitMix64 seeded with each key."""
    return hash_event((keys + nth.astype(np.uint64) * _STEP).view(np.int64))
