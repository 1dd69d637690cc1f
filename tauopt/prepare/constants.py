"""Constants of features (shift, spread, clip bounds), fitted on the training split in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE, FittedFeature, FittedGroup, Transform
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.dataset_expressions import DatasetExpressions, FeaturePlan
from tauopt.prepare.running_statistics import Moments, RowSample, sampling_keys


def before_log(values: NDArray[Any], transform: Transform) -> NDArray[np.float64]:
    """Apply the transform up to its logarithm, in float64; any shape."""
    result = np.asarray(values, dtype=np.float64) / transform.divide
    if transform.abs:
        result = np.abs(result)
    if transform.min is not None or transform.max is not None:
        result = np.clip(result, transform.min, transform.max)
    return result + transform.offset


def transformed(values: NDArray[Any], transform: Transform) -> NDArray[np.float64]:
    """Apply the transform without its constants, in float64; any shape."""
    result = before_log(values, transform)
    if transform.log10:
        with np.errstate(divide="ignore", invalid="ignore"):
            result = np.log10(result)
    return result


def seen_by_networks(values: NDArray[Any], feature: FittedFeature) -> NDArray[np.float64]:
    """Apply transform and constants, in float64, as the preprocessing layer does; any shape."""
    result = transformed(values, feature.transform)
    if feature.clip is not None:
        result = np.clip(result, *feature.clip)
    return (result - feature.shift) / feature.spread


NORMAL_QUARTILES = 1.349
"""Distance of a normal distribution's quartiles, in standard deviations."""


@dataclass(frozen=True)
class Summary:
    """Statistics of one transformed feature in the training split, before its constants."""

    plan: FeaturePlan
    fitted: FittedFeature
    count: int
    """Number of candidates, or of objects."""
    mean: float
    deviation: float
    min: float
    max: float
    quantiles: NDArray[np.float64]
    """At `QUANTILES`, from a sample (see `running_statistics.RowSample`)."""
    constant: bool
    """Whether all its values are equal in single precision; the spread is then 1."""


QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


class Constants:
    """Constants of one group's features, fitted in double precision.

    All candidates and objects of the training split count the same: the physics weights of jets in
    slices span orders of magnitude, so that a handful of candidates would decide the constants.
    The network needs values of the order of one, not an unbiased mean of the physical spectrum.
    """

    def __init__(
        self,
        name: str,
        features: Sequence[FeaturePlan],
        *,
        moments: Moments | None = None,
        sample: RowSample | None = None,
    ) -> None:
        self.name, self._features = name, tuple(features)
        self._moments = moments or Moments(len(self._features))
        self._sample = sample or RowSample(len(self._features) + 1)  # the label is the last column

    def update(
        self, values: NDArray[np.float32], keys: NDArray[np.uint64], labels: NDArray[np.int16]
    ) -> None:
        """Add training values.

        Args:
            values: (row, feature) of candidates or objects, physical, without NaN.
            keys: (row,) of their candidates, see `running_statistics.sampling_keys`.
            labels: (row,) classes of their candidates.
        """
        columns = [
            transformed(values[:, i], feature.transform) for i, feature in enumerate(self._features)
        ]
        self._moments.update(np.column_stack(columns))
        self._sample.update(np.column_stack((values, labels)), keys)

    def merge(self, other: Constants) -> None:
        """Add the values that were added to `other`, constants of the same features."""
        self._moments.merge(other._moments)
        self._sample.merge(other._sample)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name."""
        return self._moments.state() | self._sample.state()

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> Constants:
        """Return constants of the same features with a state that `state()` returned."""
        return Constants(
            self.name,
            self._features,
            moments=self._moments.with_state(state),
            sample=self._sample.with_state(state),
        )

    def fitted(self) -> FittedGroup:
        """Return the group with its constants.

        A feature that is constant in the training split gets the spread 1, so that the network
        sees zero; a group without any object keeps shift 0 and spread 1.
        """
        return FittedGroup(
            name=self.name,
            features=tuple(self._fit(i, feature)[0] for i, feature in enumerate(self._features)),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the features for messages."""
        return tuple(feature.label for feature in self._features)

    @property
    def is_empty(self) -> bool:
        """Whether no value was added to any feature."""
        return not np.any(self._moments.count)

    def summaries(self) -> list[Summary]:
        """Return the statistics of each feature that has a value."""
        return [
            self._summary(i, feature)
            for i, feature in enumerate(self._features)
            if self._moments.count[i]
        ]

    def _summary(self, column: int, feature: FeaturePlan) -> Summary:
        moments, (fitted, constant) = self._moments, self._fit(column, feature)
        return Summary(
            plan=feature,
            fitted=fitted,
            count=int(moments.count[column]),
            mean=float(moments.mean[column]),
            deviation=float(moments.deviation[column]),
            min=float(moments.min[column]),
            max=float(moments.max[column]),
            quantiles=np.quantile(self._sampled(column, feature), QUANTILES),
            constant=constant,
        )

    def labelled(self, most: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return some candidates, or the first object of each, as networks see them.

        Args:
            most: number of candidates at most.
        Returns:
            (candidate, feature) float64 with transform and constants applied, and (candidate,)
            classes; in random order.
        """
        rows = self._sample.one_each(most)
        seen = [
            seen_by_networks(rows[:, i], feature)
            for i, feature in enumerate(self.fitted().features)
        ]
        return np.column_stack(seen), rows[:, -1].astype(np.int64)

    def _sampled(self, column: int, feature: FeaturePlan) -> NDArray[np.float64]:
        return transformed(self._sample.values[:, column], feature.transform)

    def _fit(self, column: int, feature: FeaturePlan) -> tuple[FittedFeature, bool]:
        """Return the feature with its constants, and whether it is constant."""
        clip, shift, spread = None, 0.0, 1.0
        if self._moments.count[column]:
            clip = self._clip(column, feature)
            shift, spread = self._scale(column, feature, clip)
        constant = spread <= 1e-7 * abs(shift)  # such values are equal in float32
        fitted = FittedFeature(
            name=feature.name,
            transform=feature.transform,
            clip=clip,
            shift=float(shift),
            spread=1.0 if constant else float(spread),
        )
        return fitted, constant or self._moments.min[column] == self._moments.max[column]

    def _clip(self, column: int, feature: FeaturePlan) -> tuple[float, float] | None:
        quantiles = feature.transform.clip_quantiles
        if quantiles is None:
            return None
        low, high = np.quantile(self._sampled(column, feature), quantiles)
        return float(low), float(high)

    def _scale(
        self, column: int, feature: FeaturePlan, clip: tuple[float, float] | None
    ) -> tuple[float, float]:
        """Return shift and spread, of the clipped values where there are bounds.

        Where half of the values are equal, the quartiles coincide: a feature of robust scale then
        gets mean and standard deviation.
        """
        scale, moments = feature.transform.scale, self._moments
        if scale == "none":
            return 0.0, 1.0
        if clip is None and scale != "robust":
            if scale == "minmax":
                return moments.min[column], moments.max[column] - moments.min[column]
            return moments.mean[column], moments.deviation[column]
        values = self._sampled(column, feature)
        if clip is not None:
            values = np.clip(values, *clip)
            if scale == "minmax":
                return clip[0], clip[1] - clip[0]
        if scale == "robust":
            low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
            if high > low:
                return median, (high - low) / NORMAL_QUARTILES
        return values.mean(), values.std()


def empty_constants(plan: DatasetExpressions) -> dict[str, Constants]:
    """Return group -> constants of a dataset before anything is fitted."""
    constants = {CANDIDATE: Constants(CANDIDATE, plan.candidate)}
    return constants | {group.name: Constants(group.name, group.features) for group in plan.groups}


def fit(constants: Mapping[str, Constants], block: Block) -> None:
    """Add training candidates, without missing features, to the constants of all groups."""
    keys, labels = sampling_keys(block.event_numbers, block.entries), block.labels
    constants[CANDIDATE].update(block.candidate, keys, labels)
    for name, (values, offsets) in block.groups.items():
        counts = np.diff(offsets)
        constants[name].update(values, np.repeat(keys, counts), np.repeat(labels, counts))
