"""Preprocess raw features inside the graph: transform, standardise, mask."""

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
"""Arguments of logarithms are raised to this, so that the logarithms are finite in float32."""
FLOAT_MAX = float(np.finfo(np.float32).max)
Bounds = tuple[float | None, float | None]
"""Lowest and highest value; None: no bound."""
LARGEST = 1e9
"""Preprocessed features are clipped to +-this, so that the network's sums are finite in float32."""


def full_precision() -> str:
    """Return the dtype of layers that compute in full precision in every network.

    That is Keras's `floatx`: float32, unless a program sets another.
    """
    return str(keras.config.floatx())


@keras.saving.register_keras_serializable(package=PACKAGE)
class Preprocess(keras.layers.Layer):
    """Scale raw features: (clip(transform(x)) - shift) / spread, zero where masked.

    The steps follow `Transform`: divide, absolute value, clip to limits, offset, log10, clip to
    fitted bounds, shift, spread. The result is finite for every finite input, and zero where
    masked, whatever the input there. The constants are part of the layer's configuration: they
    are saved with the model and are not parameters.

    Call with the features (..., feature) float32 and, for objects, the mask (...) bool,
    True = real object.

    Args:
        features: transforms and constants, in the order of the last axis.
    Raises:
        ValueError: a spread is zero, or there are no features.
    """

    largest = LARGEST

    def __init__(self, features: Sequence[FittedFeature | dict[str, Any]], **kwargs: Any) -> None:
        # float32 also in a network of half precision: float16 can't hold momenta in MeV.
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.features = tuple(FittedFeature.model_validate(feature) for feature in features)
        if not self.features:
            raise ValueError("Preprocess: expected at least one feature, got none")
        for feature in self.features:
            if feature.spread == 0:
                raise ValueError(f"feature {feature.name!r}: expected a spread other than 0, got 0")

    def call(self, x: Any, real: Any = None) -> Any:
        """Return the preprocessed features, with the shape of `x`."""
        x = x * self._per_feature(lambda f: 1.0 / f.transform.divide)
        x = self._apply_to(x, lambda f: f.transform.abs, ops.abs)
        x = self._clip(x, lambda f: (f.transform.min, f.transform.max))
        x = x + self._per_feature(lambda f: f.transform.offset)
        x = self._apply_to(
            x, lambda f: f.transform.log10, lambda y: ops.log10(ops.maximum(y, SMALLEST))
        )
        if any(feature.clip for feature in self.features):
            x = self._clip(x, lambda f: f.clip or (None, None))
        x = x - self._per_feature(lambda f: f.shift)
        x = x * self._per_feature(lambda f: 1.0 / f.spread)
        x = ops.clip(x, -self.largest, self.largest)
        return x if real is None else ops.where(ops.expand_dims(real, -1), x, 0.0)

    def _per_feature(self, value: Callable[[FittedFeature], float]) -> Any:
        """Return a constant of each feature, (feature,)."""
        return np.array([value(feature) for feature in self.features], self.compute_dtype)

    def _clip(self, x: Any, bounds: Callable[[FittedFeature], Bounds]) -> Any:
        return ops.clip(
            x,
            self._per_feature(lambda f: _value_or(bounds(f)[0], -FLOAT_MAX)),
            self._per_feature(lambda f: _value_or(bounds(f)[1], FLOAT_MAX)),
        )

    def _apply_to(
        self, x: Any, is_chosen: Callable[[FittedFeature], bool], function: Callable[[Any], Any]
    ) -> Any:
        """Apply a function to the chosen features; add no operation if there are none."""
        mask = np.array([is_chosen(feature) for feature in self.features])
        if mask.all():
            return function(x)
        return ops.where(mask, function(x), x) if mask.any() else x

    def compute_output_shape(self, x_shape: Any, real_shape: Any = None) -> Any:
        """Return the unchanged shape of the features."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes, as JSON."""
        features = [feature.model_dump(mode="json") for feature in self.features]
        return {**super().get_config(), "features": features}


def _value_or(value: float | None, default: float) -> float:
    return default if value is None else value
