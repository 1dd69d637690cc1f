"""Balance by weights: one spectrum for all classes, and stated proportions of them.

Factors are fitted on the training split and applied to all splits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.dataset import Dataset, Reweight
from tauopt.errors import DataError
from tauopt.prepare.binning import BinGrid, find_bins
from tauopt.prepare.candidate_blocks import Block

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
_NAMED = 3
"""Bins that an error names."""


@dataclass(frozen=True)
class Balance:
    """Factors on the weights, fitted on the training split."""

    bins: BinGrid
    factors: Floats
    """(class, bin)."""

    def apply(self, block: Block) -> Block:
        """Return the block with reweighted candidates."""
        return block.with_weights(
            block.weights * self.factors[block.labels, self.bins.index(block.spectrum)]
        )


def balance(dataset: Dataset, read: Callable[[], Iterable[Block]]) -> Balance:
    """Fit a dataset's factors; all are one where it asks for none.

    Args:
        dataset: with `reweight` and `proportions`.
        read: gives the training candidates in shuffled order, each time anew.
    Raises:
        DataError: see `fit` and `in_proportions`.
    """
    bins = bins_of(dataset, read)
    if dataset.reweight is None and not dataset.proportions:
        return Balance(bins, np.ones((len(dataset.classes), 1)))
    return fit_both(dataset, sum_up(read(), bins, classes=list(dataset.classes)))


def bins_of(dataset: Dataset, read: Callable[[], Iterable[Block]]) -> BinGrid:
    """Choose the bins in which a dataset is reweighted; one of everything if it is not."""
    settings = dataset.reweight
    if settings is None:
        return BinGrid(())
    kept = settings.to if settings.target == "classes" else ()
    changed = [label for label, name in enumerate(dataset.classes) if name not in kept]
    return find_bins(read(), settings.axes, changed=changed)


def fit_both(dataset: Dataset, found: Sums) -> Balance:
    """Fit what `reweight` asks for, then the shares of `proportions`."""
    fitted = Balance(found.bins, np.ones_like(found.sums))
    if dataset.reweight is not None:
        fitted = fit(found, dataset.reweight)
    if dataset.proportions:
        shares = in_proportions(found, dataset.proportions)
        fitted = replace(fitted, factors=fitted.factors * shares[:, None])
    return fitted


@dataclass(frozen=True)
class Sums:
    """What the training split holds in each bin."""

    bins: BinGrid
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """(class, bin) candidates."""
    sums: Floats
    """(class, bin) sums of weights."""
    absolute: Floats
    """(class, bin) sums of weights without their signs."""


def sum_up(blocks: Iterable[Block], bins: BinGrid, *, classes: Sequence[str]) -> Sums:
    """Count training candidates and sum their weights by class and bin."""
    shape = (len(classes), bins.size)
    counts, sums, absolute = np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape)
    for block in blocks:
        index = block.labels * bins.size + bins.index(block.spectrum)
        counts += np.bincount(index, minlength=sums.size).reshape(shape)
        sums += np.bincount(index, block.weights, minlength=sums.size).reshape(shape)
        absolute += np.bincount(index, np.abs(block.weights), minlength=sums.size).reshape(shape)
    return Sums(bins, tuple(classes), counts, sums, absolute)


def fit(found: Sums, settings: Reweight) -> Balance:
    """Fit the factors that give each class the target's spectrum.

    The factor of class c in bin b is (share of the target in b) / (share of c in b), scaled so
    that the class keeps its sum of weights. Classes in `to` stay as they are. In a bin without
    target the factor is zero.

    Raises:
        DataError: the sum of weights of a class is not positive, or is negative in a bin; or a
            class's largest factor is more than `max_ratio` times its smallest above zero: names
            bins with their edges and counts.
    """
    kept = settings.to if settings.target == "classes" else ()
    target = _target(found, settings)
    factors = np.ones_like(found.sums)
    for label, name in enumerate(found.classes):
        if name not in kept and np.any(found.sums[label]):
            _check(f"class {name!r}", found.sums[label], found.bins)
            factors[label] = _factors(found.sums[label], target)
    if settings.max_ratio is not None:
        problems = _too_uneven(found, factors, limit=settings.max_ratio)
        if problems:
            raise DataError("\n".join(problems))
    return Balance(found.bins, factors)


def _target(found: Sums, settings: Reweight) -> Floats:
    if settings.target == "flat":
        return np.ones(found.bins.size)
    if settings.target == "mean":
        shares = []
        for name, sums in zip(found.classes, found.sums, strict=True):
            if np.any(sums):
                _check(f"class {name!r}", sums, found.bins)
                shares.append(sums / sums.sum())
        return np.asarray(np.mean(shares, axis=0))
    target = found.sums[[name in settings.to for name in found.classes]].sum(axis=0)
    _check("the classes of reweight.to", target, found.bins)
    return np.asarray(target)


def _factors(source: Floats, target: Floats) -> Floats:
    there = source > 0
    ratio = np.divide(target, source, out=np.zeros_like(source), where=there)
    reached = float(target[there].sum())
    if reached <= 0:
        raise DataError("reweight: a class and the target classes have no bin in common")
    return np.asarray(ratio * (source.sum() / reached))


def _check(what: str, sums: Floats, bins: BinGrid) -> None:
    if sums.sum() <= 0 or np.any(sums < 0):
        worst = bins.describe(int(np.argmin(sums)))
        raise DataError(
            f"reweight: the sum of weights of {what} in the training split is not positive, or "
            f"negative in a bin (lowest in {worst}: {sums.min():.4g}); take fewer bins, look at "
            "the weights, or see `negative_weights`"
        )


def _too_uneven(found: Sums, factors: Floats, *, limit: float) -> list[str]:
    problems = []
    for label, name in enumerate(found.classes):
        used = np.flatnonzero((factors[label] > 0) & (found.counts[label] > 0))
        used = used[np.argsort(factors[label, used], kind="stable")]
        if not len(used) or factors[label, used[-1]] <= limit * factors[label, used[0]]:
            continue
        words = [
            f"{found.bins.describe(int(i))}: factor {factors[label, i]:.4g}, "
            f"{found.counts[label, i]} candidates"
            for i in (*used[: -_NAMED - 1 : -1], used[0])
        ]
        ratio = factors[label, used[-1]] / factors[label, used[0]]
        problems.append(
            f"reweight: class {name!r}: the largest factor is {ratio:.4g} times the smallest, "
            f"max_ratio is {limit:g} (largest in {'; '.join(words[:-1])}; smallest in "
            f"{words[-1]}); take fewer or wider bins, another target, or a higher max_ratio"
        )
    return problems


def in_proportions(found: Sums, proportions: Mapping[str, float]) -> Floats:
    """Return a factor a class that gives classes their shares of the sum of weights.

    Classes that are not named share the rest in the proportions that they have. The total stays.

    Raises:
        DataError: a named class has no positive sum of weights, or nothing is left to share.
    """
    sums = found.sums.sum(axis=1)
    named = np.array([name in proportions for name in found.classes])
    for name, total in zip(found.classes, sums, strict=True):
        if name in proportions and total <= 0:
            raise DataError(
                f"proportions: the sum of weights of class {name!r} in the training split is "
                f"{total:.4g}, expected a positive one"
            )
    wanted, rest = sum(proportions.values()), float(sums[~named].sum())
    if (rest > 0) != (wanted < 1 - 1e-6):
        others = ", ".join(np.array(found.classes)[~named]) or "no class"
        raise DataError(
            f"proportions add up to {wanted:.6g}, which leaves {max(0.0, 1 - wanted):.6g} for "
            f"{others} with a sum of weights of {rest:.4g}; name all classes and add up to 1, or "
            "leave a share to the others"
        )
    share = (1 - wanted) * sums.sum() / rest if rest > 0 else 1.0
    factors = np.full(len(sums), share)
    for label, name in enumerate(found.classes):
        if name in proportions:
            factors[label] = proportions[name] * sums.sum() / sums[label]
    return factors
