"""Balance by counts: training candidates are drawn as often as their class and bin ask for.

A candidate of weight w has the factor f of its class and bin (`tauopt.prepare.reweight`). Were f
alone made by counts, slices of cross-section would defeat it: f is largest where weights are
smallest, so that light candidates stood many times, and heavy ones hardly at all. So counts make
f times the bin's mean absolute weight m: what a class has in a bin is then in proportion to its
balanced sum of weights there. A candidate of rate r is drawn r times on average and weighs w f / r,
so that sums of weights are expected to be those of the balance by weights, whatever the rates.

With replacement a candidate is drawn floor(r) times, and once more by chance. Every draw but the
first gets a key, that is a place in the shuffled order, of its own: all draws together are in a
uniform permutation, in which copies are anywhere. Without, it is kept with the chance r, so that
the key of what is left are as random as before. Chance comes from the candidate's key alone: its
draws are the outputs of SplitMix64 seeded with the key (see `tauopt.physics.folds`), the first
of which decides how often it is drawn, and the others are the keys of its copies.
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
from tauopt.prepare.reweight import Balance, Sums

Floats = NDArray[np.float64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
"""By which the state of SplitMix64 grows from one output to the next."""


@dataclass(frozen=True)
class ResamplingDraws:
    """How often candidates are drawn, and what each weighs then."""

    balance: Balance
    classes: tuple[str, ...]
    expected: Floats
    """(class) how many draws there are on average."""
    candidates: int
    """How many are drawn from."""
    rates: Floats
    """(class, bin) how often a candidate is drawn on average."""
    weights: Floats
    """(class, bin) by what its weight is multiplied."""

    def times(self, block: Block) -> NDArray[np.int64]:
        """Return how often each candidate of a block is drawn."""
        rates = self.rates[block.labels, self.balance.bins.index(block.spectrum)]
        always = np.floor(rates)
        return (always + (_uniform(block.keys) < rates - always)).astype(np.int64)

    def weigh(self, block: Block) -> Block:
        """Return the block with the weight that one draw of each candidate has."""
        cell = block.labels, self.balance.bins.index(block.spectrum)
        return block.with_weights(block.weights * self.weights[cell])


def balance(
    dataset: Dataset, read: Callable[[], Iterable[Block]]
) -> tuple[Balance, ResamplingDraws | None]:
    """Fit a dataset's factors, and how often training candidates are drawn if they are.

    Args:
        dataset: with `reweight`, `proportions` and `resample`.
        read: gives the training candidates in shuffled order, each time anew.
    Raises:
        DataError: see `fit` and `tauopt.prepare.reweight.balance`.
    """
    if dataset.resample is None:
        return reweight.balance(dataset, read), None
    bins = reweight.bins_of(dataset, read)
    found = reweight.sum_up(read(), bins, classes=list(dataset.classes))
    fitted = reweight.fit_both(dataset, found)
    return fitted, fit(found, fitted, dataset.resample)


def fit(found: Sums, balance: Balance, settings: Resample) -> ResamplingDraws:
    """Choose how often candidates are drawn.

    Args:
        found: what the training split holds.
        balance: the factors that weights would get.
        settings: how many are wanted, and whether with replacement.
    Raises:
        DataError: no candidate has a weight and a factor, or without replacement fewer can be had
            than are wanted: names the class and bin that is short of candidates.
    """
    counts = found.counts
    mean = np.divide(found.absolute, counts, out=np.zeros_like(balance.factors), where=counts > 0)
    relative = balance.factors * mean
    total, largest = float((counts * relative).sum()), float(relative.max())
    if total <= 0:
        raise DataError("resample: all training candidates weigh nothing")
    wanted = settings.candidates or (counts.sum() if settings.replacement else total / largest)
    scale = wanted / total
    if not settings.replacement and scale * largest > 1 + 1e-9:
        label, number = np.unravel_index(int(np.argmax(relative)), relative.shape)
        raise DataError(
            f"resample: without replacement {int(total / largest)} candidates of "
            f"{counts.sum()} can be had, candidates is {wanted}: there are only "
            f"{counts[label, number]} of class {found.classes[label]!r} in "
            f"{balance.bins.describe(int(number))}; ask for fewer, take wider bins, or draw with "
            "replacement"
        )
    rates = relative * scale
    if not settings.replacement:
        rates = np.minimum(rates, 1.0)  # the largest may be above by rounding
    weights = np.divide(balance.factors, rates, out=np.zeros_like(rates), where=rates > 0)
    expected = (counts * rates).sum(axis=1)
    return ResamplingDraws(balance, found.classes, expected, int(counts.sum()), rates, weights)


def copies(block: Block, times: NDArray[np.int64]) -> Iterator[Block]:
    """Yield candidates as often as they are drawn, in pieces no longer than the block.

    Args:
        block: in any order.
        times: (candidate) how often each is drawn.
    """
    rows = np.repeat(np.arange(len(block)), times)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    for start in range(0, len(rows), max(1, len(block))):
        piece = slice(start, start + len(block))
        chosen = block.take(rows[piece])
        yield replace(chosen, keys=_keys(chosen.keys, nth[piece]))


def _keys(keys: NDArray[np.uint64], nth: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the keys of the n-th draws of candidates: the first has the candidate's own."""
    return np.where(nth > 0, _output(keys, nth), keys)


def _uniform(keys: NDArray[np.uint64]) -> Floats:
    """Return a number from 0 to 1 for each key, independent of the key's size."""
    bits = _output(keys, np.zeros(len(keys), np.int64)) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def _output(keys: NDArray[np.uint64], nth: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the n-th output, from 0, of SplitMix64 seeded with each key."""
    return hash_event((keys + nth.astype(np.uint64) * _STEP).view(np.int64))
