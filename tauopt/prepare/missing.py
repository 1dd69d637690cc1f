"""NaN and infinite features: raise an error, drop the candidate, or impute the training mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE, Transform
from tauopt.errors import DataError
from tauopt.physics.jagged import Jagged
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.constants import before_log, transformed
from tauopt.prepare.dataset_expressions import DatasetExpressions, FeaturePlan
from tauopt.prepare.running_statistics import Moments

Policy = Literal["error", "drop", "impute"]
FeaturePlans = tuple[FeaturePlan, ...]


def may_lack_logarithm(transform: Transform) -> bool:
    """Return whether the transform takes a logarithm that some finite value does not have."""
    lowest = 0.0 if transform.abs else -np.inf
    if transform.min is not None:
        lowest = transform.min
    if transform.max is not None:
        lowest = min(lowest, transform.max)
    return transform.log10 and not lowest + transform.offset > 0


def is_missing(values: NDArray[np.float32], transform: Transform) -> NDArray[np.bool_]:
    """Return which values are not finite, or have no finite logarithm where one is taken."""
    bad = ~np.isfinite(values)
    if may_lack_logarithm(transform):
        with np.errstate(invalid="ignore"):
            bad |= ~(before_log(values, transform) > 0)
    return bad


class MissingValues:
    """Missing values of a block, counted by feature, and the candidates that hold one."""

    def __init__(self, candidates: int) -> None:
        self.values: Counter[str] = Counter()
        """Feature -> missing values."""
        self.candidates: Counter[str] = Counter()
        """Feature -> candidates that hold one."""
        self.rows = np.zeros(candidates, dtype=np.bool_)
        """(candidate) whether any feature is missing."""

    def add(self, feature: str, bad: NDArray[np.bool_], rows: NDArray[np.bool_]) -> None:
        """Add the missing values of a feature and the candidates that hold them."""
        self.values[feature] += int(bad.sum())
        self.candidates[feature] += int(rows.sum())
        self.rows |= rows


def mark_missing(block: Block, plan: DatasetExpressions) -> MissingValues:
    """Find the missing values of a block and set all of them to NaN, in place."""
    result = MissingValues(len(block))
    for column, feature in enumerate(plan.candidate):
        bad = is_missing(block.candidate[:, column], feature.transform)
        if bad.any():
            block.candidate[bad, column] = np.nan
            result.add(feature.label, bad, bad)
    for group in plan.groups:
        values, offsets = block.groups[group.name]
        for column, feature in enumerate(group.features):
            bad = is_missing(values[:, column], feature.transform)
            if bad.any():
                values[bad, column] = np.nan
                rows = np.zeros(len(block), dtype=np.bool_)
                rows[np.searchsorted(offsets, np.flatnonzero(bad), side="right") - 1] = True
                result.add(feature.label, bad, rows)
    return result


def refuse(missing: MissingValues, *, where: str, entries: NDArray[np.int64]) -> None:
    """Raise a DataError if any value is missing: counts by feature, and entries as examples."""
    if not missing.rows.any():
        return
    counts = ", ".join(f"{name}: {n}" for name, n in missing.candidates.most_common())
    examples = ", ".join(str(entry) for entry in np.sort(entries[missing.rows])[:3])
    raise DataError(
        f"{where}: {int(missing.rows.sum())} of {len(missing.rows)} candidates hold features that "
        f"are NaN or infinite, or whose logarithm is ({counts}; entries {examples}, ...); set "
        "`missing: drop` or `missing: impute`, or give the feature a `min` or an `offset`"
    )


class TrainingMeans:
    """Training means of all features, which replace missing values."""

    def __init__(self, plan: DatasetExpressions) -> None:
        self._features: dict[str, FeaturePlans] = {CANDIDATE: plan.candidate}
        self._features |= {group.name: group.features for group in plan.groups}
        self._moments = {name: Moments(len(f)) for name, f in self._features.items()}

    def fit(self, blocks: Iterable[Block], *, needed: Collection[str]) -> TrainingMeans:
        """Compute the means over the training split.

        Args:
            blocks: training candidates.
            needed: labels of the features that hold missing values.
        Raises:
            DataError: a feature has no value at all, or its mean has no logarithm.
        """
        for block in blocks:
            self._moments[CANDIDATE].update(block.candidate)
            for name, (values, _) in block.groups.items():
                self._moments[name].update(values)
        for name, features in self._features.items():
            moments = self._moments[name]
            for column, feature in enumerate(features):
                if feature.label in needed:
                    _check_mean(feature, moments.mean[column], moments.count[column])
        return self

    def fill(self, block: Block) -> Block:
        """Return the block with NaN replaced by the means."""
        groups = {
            name: Jagged(self._filled(name, objects.content), objects.offsets)
            for name, objects in block.groups.items()
        }
        columns = block.columns() | {"candidate": self._filled(CANDIDATE, block.candidate)}
        return Block(**columns, groups=groups)

    def _filled(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        bad = np.isnan(values)
        if not bad.any():
            return values
        return np.where(bad, self._moments[name].mean.astype(np.float32), values)


def _check_mean(feature: FeaturePlan, mean: float, count: float) -> None:
    if not count:
        raise DataError(
            f"{feature.label}: all its values in the training split are missing, so there is no "
            "mean to impute; take the feature out"
        )
    if not np.isfinite(transformed(np.array(mean), feature.transform)):
        raise DataError(
            f"{feature.label}: its training mean {mean:.6g} has no logarithm, so missing "
            "values can't be imputed; give the feature a `min` or an `offset`"
        )
