"""What happens to raw features, inside the graph: transform, constants, mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tauopt.config.settings.inputs import FittedFeature

PACKAGE = "tauopt"
"""Prefix under which our layers are registered with Keras."""

SMALLEST = 1e-37
"""Logarithms are taken of no less than this, so that they are finite in float32."""
FLOAT_MAX = float(np.finfo(np.float32).max)
Bounds = tuple[float | None, float | None]
"""Lowest and highest value; none is no bound."""
LARGEST = 1e9
"""What a network sees is clipped to +-this, so that its sums stay finite in float32."""


def full_precision() -> str:
    """Return the dtype of layers that compute at no less than it, whatever the network does.

    Keras's `floatx`: float32, unless a program sets another.
    """
    return str(keras.config.floatx())


@keras.saving.register_keras_serializable(package=PACKAGE)
class Preprocess(keras.layers.Layer):
    """Turn raw features into what a network likes: (clip(transform(x)) - shift) / spread, masked.

    In this order, as `Transform` says: divide, absolute value, clip to limits, offset, log10,
    clip to fitted bounds, shift and spread.
    The result is finite for every finite input, and zero where masked, whatever lies there.
    The constants are part of the layer's configuration, so they are saved with the model and
    are no parameters.

    It computes in float32 also where the network does not: momenta in MeV are more than float16
    holds.

    Call with the features (..., feature) float32 and, for objects, the mask (...) bool,
    True = real object.
    """

    largest = LARGEST

    def __init__(self, features: Sequence[FittedFeature | dict[str, Any]], **kwargs: Any) -> None:
        """Take the features in the order of the last axis.

        Raises:
            ValueError: a spread is zero, or there are no features.
        """
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.features = tuple(FittedFeature.model_validate(feature) for feature in features)
        if not self.features:
            raise ValueError("expected at least one feature, got none")
        for feature in self.features:
            if feature.spread == 0:
                raise ValueError(f"feature {feature.name!r}: expected a spread other than 0")

    def call(self, x: Any, real: Any = None) -> Any:
        """Return the preprocessed features, of the shape of `x`."""
        x = x * self._per_feature(lambda f: 1.0 / f.transform.divide)
        x = self._where(lambda f: f.transform.abs, ops.abs, x)
        x = self._clip(x, lambda f: (f.transform.min, f.transform.max))
        x = x + self._per_feature(lambda f: f.transform.offset)
        x = self._where(lambda f: f.transform.log10, _safe_log10, x)
        if any(feature.clip for feature in self.features):
            x = self._clip(x, lambda f: f.clip or (None, None))
        x = x - self._per_feature(lambda f: f.shift)
        x = x * self._per_feature(lambda f: 1.0 / f.spread)
        x = ops.clip(x, -self.largest, self.largest)
        return x if real is None else ops.where(ops.expand_dims(real, -1), x, 0.0)

    def _per_feature(self, value: Callable[[FittedFeature], float]) -> Any:
        """Return a constant (feature)."""
        return np.array([value(feature) for feature in self.features], self.compute_dtype)

    def _clip(self, x: Any, bounds: Callable[[FittedFeature], Bounds]) -> Any:
        return ops.clip(
            x,
            self._per_feature(lambda f: _or(bounds(f)[0], -FLOAT_MAX)),
            self._per_feature(lambda f: _or(bounds(f)[1], FLOAT_MAX)),
        )

    def _where(
        self, chosen: Callable[[FittedFeature], bool], change: Callable[[Any], Any], x: Any
    ) -> Any:
        """Change the chosen features, and cost nothing if there are none."""
        mask = np.array([chosen(feature) for feature in self.features])
        if mask.all():
            return change(x)
        return ops.where(mask, change(x), x) if mask.any() else x

    def compute_output_shape(self, x_shape: Any, real_shape: Any = None) -> Any:
        """Return the shape of the features, which stays."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes, as JSON."""
        features = [feature.model_dump(mode="json") for feature in self.features]
        return {**super().get_config(), "features": features}


def _safe_log10(x: Any) -> Any:
    return ops.log10(ops.maximum(x, SMALLEST))


def _or(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound
