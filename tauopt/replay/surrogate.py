"""Surrogate of a recorded space: curves of points that were never trained.

Extremely randomised trees give the expected curve of a point, never beyond the recorded ones. The
nearest recorded training lends what they leave unexplained of it: of its seed, and of its
validation samples. So noise is as it was recorded.

Sources:
    P. Geurts et al., Machine Learning 63 (2006) 3, for the trees; D. Salinas et al., Syne Tune,
    AutoML 2022, for searches simulated on surrogates of tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

from tauopt.config.settings.ranges import ChoiceRange, Range, is_active
from tauopt.config.source.yaml_source import Scalar
from tauopt.replay.curve_table import Curve, CurveTable

Floats = NDArray[np.float64]

_TREES = 200
_FOLDS = 10


def encoded(points: Sequence[Mapping[str, Scalar]], space: Mapping[str, Range]) -> Floats:
    """Return points as numbers, (point, number), each range from 0 to 1.

    A choice has one number a value; a range that is inactive at a point has its middle, and one
    more number says so.
    """
    return np.array(
        [[x for path in space for x in _encoded(point, path, space)] for point in points]
    )


def _encoded(point: Mapping[str, Scalar], path: str, space: Mapping[str, Range]) -> list[float]:
    range_, value = space[path], point.get(path)
    active = [float(is_active(range_, point))] if range_.when else []
    if isinstance(range_, ChoiceRange):
        return [*active, *(float(value == choice) / math.sqrt(2) for choice in range_.values)]
    if value is None:
        return [*active, 0.5]
    low, high, number = float(range_.low), float(range_.high), float(value)
    if range_.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return [*active, (number - low) / (high - low) if high > low else 0.5]


class Surrogate:
    """Curves of any point of a recorded space.

    Attributes:
        error: (metric,) root mean square of predicted less true value at the last report, in
            cross-validation over the points.
    """

    def __init__(self, table: CurveTable) -> None:
        """Fit the expected curves of a table whose trainings all reached the same last report."""
        self._table = table
        self._first = [table.trainings_of(point)[0] for point in range(len(table.points))]
        self._x = encoded(table.points, table.space)
        targets = [table.truth[:, self._first].transpose(1, 0, 2).reshape(len(self._x), -1)]
        targets += [np.log(loss[self._first]) for loss in table.loss]
        self._y = np.concatenate(targets, axis=1).astype(np.float64)
        self._trees = _trees().fit(self._x, self._y)
        self._fitted = self._trees.predict(self._x)
        left_out = cross_val_predict(_trees(), self._x, self._y, cv=_FOLDS)
        metrics, reports = table.truth.shape[0], table.truth.shape[-1]
        last = np.arange(metrics) * reports + reports - 1
        self.error = np.sqrt(np.mean((left_out - self._y)[:, last] ** 2, axis=0))

    def curve(self, point: Mapping[str, Scalar], *, sample: int) -> Curve:
        """Return the curve of a point on a validation sample."""
        table, x = self._table, encoded([point], self._table.space)
        nearest = int(np.argmin(((self._x - x) ** 2).sum(axis=1)))
        recorded = table.curve(self._first[nearest], sample=sample)
        # What the regression leaves unexplained of the recorded training: its seed.
        predicted = self._trees.predict(x)[0] + self._y[nearest] - self._fitted[nearest]
        metrics, reports = table.truth.shape[0], table.truth.shape[-1]
        truth = predicted[: metrics * reports].reshape(metrics, reports)
        begin = metrics * reports + sample * reports
        loss = np.exp(predicted[begin : begin + reports])
        return Curve(
            recorded.candidates, loss, truth + recorded.values - recorded.truth,
            recorded.influences, truth,
        )  # fmt: skip


def _trees() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(_TREES, min_samples_leaf=2, random_state=0)
