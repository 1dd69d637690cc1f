"""Balance by weights: reweight classes to one spectrum and to stated proportions.

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
        """Return the block with the factors applied to its weights."""
        return block.with_weights(
            block.weights * self.factors[block.labels, self.bins.index(block.spectrum)]
        )


def balance(dataset: Dataset, read: Callable[[], Iterable[Block]]) -> Balance:
    """Fit a dataset's factors; all are one without `reweight` and `proportions`.

    Args:
        dataset: with `reweight` and `proportions`.
        read: returns the training candidates in shuffled order; called once or twice.
    Raises:
        DataError: see `fit` and `in_proportions`.
    """
    bins = bins_of(dataset, read)
    if dataset.reweight is None and not dataset.proportions:
        return Balance(bins, np.ones((len(dataset.classes), 1)))
    return fit_both(dataset, sum_up(read(), bins, classes=list(dataset.classes)))


def bins_of(dataset: Dataset, read: Callable[[], Iterable[Block]]) -> BinGrid:
    """Choose the bins in which a dataset is reweighted; without `reweight` there is one bin."""
    settings = dataset.reweight
    if settings is None:
        return BinGrid(())
    kept = settings.to if settings.target == "classes" else ()
    changed = [label for label, name in enumerate(dataset.classes) if name not in kept]
    return find_bins(read(), settings.axes, changed=changed)


def fit_both(dataset: Dataset, totals: BinSums) -> Balance:
    """Fit the spectra of `reweight`, then the shares of `proportions`."""
    fitted = Balance(totals.bins, np.ones_like(totals.sums))
    if dataset.reweight is not None:
        fitted = fit(totals, dataset.reweight)
    if dataset.proportions:
        shares = in_proportions(totals, dataset.proportions)
        fitted = replace(fitted, factors=fitted.factors * shares[:, None])
    return fitted


@dataclass(frozen=True)
class BinSums:
    """Counts and sums of weights of the training split by class and bin."""

    bins: BinGrid
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """(class, bin) candidates."""
    sums: Floats
    """(class, bin) sums of weights."""
    absolute: Floats
    """(class, bin) sums of weights without their signs."""


def sum_up(blocks: Iterable[Block], bins: BinGrid, *, classes: Sequence[str]) -> BinSums:
    """Count training candidates and sum their weights by class and bin."""
    shape = (len(classes), bins.size)
    counts, sums, absolute = np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape)
    for block in blocks:
        index = block.labels * bins.size + bins.index(block.spectrum)
        counts += np.bincount(index, minlength=sums.size).reshape(shape)
        sums += np.bincount(index, block.weights, minlength=sums.size).reshape(shape)
        absolute += np.bincount(index, np.abs(block.weights), minlength=sums.size).reshape(shape)
    return BinSums(bins, tuple(classes), counts, sums, absolute)


def fit(totals: BinSums, settings: Reweight) -> Balance:
    """Fit the factors that give each class the target's spectrum.

    The factor of class c in bin b is (share of the target in b) / (share of c in b), scaled so
    that the class keeps its sum of weights. Classes in `to` keep their weights. In a bin where the
    target has no weight the factor is zero.

    Raises:
        DataError: the sum of weights of a class is not positive, or is negative in a bin; or a
            class's largest factor is more than `max_ratio` times its smallest positive one: names
            the bins with their edges and counts.
    """
    kept = settings.to if settings.target == "classes" else ()
    target = _target(totals, settings)
    factors = np.ones_like(totals.sums)
    for label, name in enumerate(totals.classes):
        if name not in kept and np.any(totals.sums[label]):
            _check_positive(f"class {name!r}", totals.sums[label], totals.bins)
            factors[label] = _factors(totals.sums[label], target)
    if settings.max_ratio is not None:
        problems = _too_uneven(totals, factors, limit=settings.max_ratio)
        if problems:
            raise DataError("\n".join(problems))
    return Balance(totals.bins, factors)


def _target(totals: BinSums, settings: Reweight) -> Floats:
    if settings.target == "flat":
        return np.ones(totals.bins.size)
    if settings.target == "mean":
        shares = []
        for name, sums in zip(totals.classes, totals.sums, strict=True):
            if np.any(sums):
                _check_positive(f"class {name!r}", sums, totals.bins)
                shares.append(sums / sums.sum())
        return np.asarray(np.mean(shares, axis=0))
    target = totals.sums[[name in settings.to for name in totals.classes]].sum(axis=0)
    _check_positive("the classes of reweight.to", target, totals.bins)
    return np.asarray(target)


def _factors(source: Floats, target: Floats) -> Floats:
    filled = source > 0
    ratio = np.divide(target, source, out=np.zeros_like(source), where=filled)
    # Only the part of the target in bins where the class has candidates can be reached.
    reached = float(target[filled].sum())
    if reached <= 0:
        raise DataError(
            "reweight: a class and the target classes have no bin in common; take wider bins or "
            "another target"
        )
    return np.asarray(ratio * (source.sum() / reached))


def _check_positive(classes: str, sums: Floats, bins: BinGrid) -> None:
    if sums.sum() <= 0 or np.any(sums < 0):
        worst = bins.describe(int(np.argmin(sums)))
        raise DataError(
            f"reweight: the sum of weights of {classes} in the training split is not positive, or "
            f"negative in a bin (lowest in {worst}: {sums.min():.4g}); take fewer bins, look at "
            "the weights, or see `negative_weights`"
        )


def _too_uneven(totals: BinSums, factors: Floats, *, limit: float) -> list[str]:
    """Return a message for each class whose factors differ by more than `limit`."""
    problems = []
    for label, name in enumerate(totals.classes):
        used = np.flatnonzero((factors[label] > 0) & (totals.counts[label] > 0))
        used = used[np.argsort(factors[label, used], kind="stable")]
        if not len(used) or factors[label, used[-1]] <= limit * factors[label, used[0]]:
            continue
        descriptions = [
            f"{totals.bins.describe(int(i))}: factor {factors[label, i]:.4g}, "
            f"{totals.counts[label, i]} candidates"
            for i in (*used[: -_NAMED - 1 : -1], used[0])
        ]
        ratio = factors[label, used[-1]] / factors[label, used[0]]
        problems.append(
            f"reweight: class {name!r}: the largest factor is {ratio:.4g} times the smallest, "
            f"max_ratio is {limit:g} (largest in {'; '.join(descriptions[:-1])}; smallest in "
            f"{descriptions[-1]}); take fewer or wider bins, another target, or a higher max_ratio"
        )
    return problems


def in_proportions(totals: BinSums, proportions: Mapping[str, float]) -> Floats:
    """Return a factor for each class that gives it its share of the sum of weights, (class).

    Classes that are not named share the rest in their present proportions. The total is kept.

    Raises:
        DataError: a named class has no positive sum of weights, or nothing is left to share.
    """
    sums = totals.sums.sum(axis=1)
    named = np.array([name in proportions for name in totals.classes])
    for name, total in zip(totals.classes, sums, strict=True):
        if name in proportions and total <= 0:
            raise DataError(
                f"proportions: the sum of weights of class {name!r} in the training split is "
                f"{total:.4g}, expected a positive number"
            )
    stated, rest = sum(proportions.values()), float(sums[~named].sum())
    if (rest > 0) != (stated < 1 - 1e-6):
        others = ", ".join(np.array(totals.classes)[~named]) or "no class"
        raise DataError(
            f"proportions add up to {stated:.6g}, which leaves {max(0.0, 1 - stated):.6g} for "
            f"{others} with a sum of weights of {rest:.4g}; name all classes and add up to 1, or "
            "leave a share to the others"
        )
    share = (1 - stated) * sums.sum() / rest if rest > 0 else 1.0
    factors = np.full(len(sums), share)
    for label, name in enumerate(totals.classes):
        if name in proportions:
            factors[label] = proportions[name] * sums.sum() / sums[label]
    return factors
