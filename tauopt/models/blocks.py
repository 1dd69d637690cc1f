"""Building blocks of all networks: inputs, dense layers, towers, output heads; each seeded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tauopt.config.settings.inputs import (
    CANDIDATE,
    FittedFeature,
    FittedGroup,
    InputSpec,
    mask_name,
)
from tauopt.config.settings.networks import NetworkSettings, Tower
from tauopt.config.settings.networks.input_selection import dropped_features, kept_positions
from tauopt.models.batch_normalization import Normalize
from tauopt.models.object_layers import KeepFeatures, Rows
from tauopt.models.preprocessing import PACKAGE, Preprocess, full_precision


@keras.saving.register_keras_serializable(package=PACKAGE)
class Gelu(layers.Layer):
    """Gaussian error linear unit (GELU), x Phi(x).

    Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """

    def call(self, x: Any) -> Any:
        """Return the activated rows."""
        # erf, which ONNX has; Keras's own GELU uses erfc, which ONNX has not.
        return 0.5 * x * (1.0 + ops.erf(x * 2**-0.5))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Return the unchanged shape of the rows."""
        return x_shape


_ACTIVATION_LAYERS = {"prelu": layers.PReLU, "gelu": Gelu}
"""Activations that are layers; the others are functions."""


def seeds(seed: int) -> Iterator[int]:
    """Yield independent random seeds, one for each layer in the order of building."""
    sequence = np.random.SeedSequence(seed)
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0] >> 1)


@dataclass(frozen=True)
class PreprocessedGroup:
    """Preprocessed objects of one group, for instance tracks, one row each, with their mask.

    Attributes:
        rows: preprocessed features (N * object, feature).
        real_rows: mask (N * object,) bool, True = real object.
        real: mask (N, object) bool, True = real object.
        length: objects a candidate, padding included.
        raw: features (N * object, feature), not preprocessed; arbitrary where masked.
        features: names of the features, in the order of the last axis.
    """

    rows: Any
    real_rows: Any
    real: Any
    length: int
    raw: Any
    features: tuple[str, ...]


@dataclass(frozen=True)
class NetworkInputs:
    """Inputs of a model, and the preprocessed features that the network uses.

    Attributes:
        raw: input name -> symbolic tensor; all inputs of the `InputSpec`, used or not.
        candidate: preprocessed features (N, feature); None if the network does not use them.
        groups: group name -> objects, of the groups that the network uses.
    """

    raw: dict[str, Any]
    candidate: Any
    groups: dict[str, PreprocessedGroup]


def inputs(spec: InputSpec, settings: NetworkSettings | None = None) -> NetworkInputs:
    """Create the inputs of a model with their preprocessing, without dropped features.

    Args:
        spec: names, shapes and preprocessing constants of the inputs.
        settings: `inputs` and `drop` choose what the network uses; None uses everything.
    Raises:
        ValueError: `settings` drop a feature that does not exist, or all features of a group.
    """
    raw = {CANDIDATE: keras.Input((len(spec.candidate.features),), name=CANDIDATE)}
    drop = dropped_features(settings.drop) if settings is not None else {}
    candidate, groups = None, {}
    if settings is None or CANDIDATE in settings.seen():
        features, candidate = _keep_features(
            spec.candidate, raw[CANDIDATE], drop=drop.get(CANDIDATE, ())
        )
        candidate = Preprocess(features, name=f"{CANDIDATE}_preprocess")(candidate)
    for name, length in spec.lengths.items():
        group, mask = spec.group(name), mask_name(name)
        raw[name] = keras.Input((length, len(group.features)), name=name)
        raw[mask] = keras.Input((length,), name=mask, dtype="bool")
        real_rows = Rows(name=f"{mask}_rows")(raw[mask])
        raw_rows = Rows(name=f"{name}_rows")(raw[name])
        features, raw_rows = _keep_features(group, raw_rows, drop=drop.get(name, ()))
        groups[name] = PreprocessedGroup(
            rows=Preprocess(features, name=f"{name}_preprocess")(raw_rows, real_rows),
            real_rows=real_rows,
            real=raw[mask],
            length=length,
            raw=raw_rows,
            features=tuple(feature.name for feature in features),
        )
    return NetworkInputs(raw, candidate, groups)


def _keep_features(
    group: FittedGroup, x: Any, *, drop: Sequence[str]
) -> tuple[list[FittedFeature], Any]:
    """Return the features of a group without those named in `drop`, and their columns of `x`."""
    columns = kept_positions([feature.name for feature in group.features], drop, group=group.name)
    features = [group.features[column] for column in columns]
    if not drop:
        return features, x
    return features, KeepFeatures(columns, name=f"{group.name}_keep")(x)


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network, all with the same activation and normalisation.

    Attributes:
        seeds: yields a seed for each layer that draws random numbers.
        activation: Keras's name of an activation, `prelu` or `gelu`.
        initializer: initializer of the kernels, `glorot_uniform` or `he_normal`.
        normalize: put batch normalisation between each dense layer and its activation.
        dropout: fraction of the units that dropout sets to zero.
    """

    seeds: Iterator[int]
    activation: str
    initializer: str = "glorot_uniform"
    normalize: bool = False
    dropout: float = 0.0

    def kernel(self) -> Any:
        """Return a kernel initializer with the next seed."""
        classes = {"glorot_uniform": "GlorotUniform", "he_normal": "HeNormal"}
        return getattr(keras.initializers, classes[self.initializer])(seed=next(self.seeds))

    def dense(self, x: Any, units: int, *, name: str, real: Any = None) -> Any:
        """Apply a dense layer with normalisation and activation to the rows of `x`.

        Args:
            x: (row, unit).
            units: units of the layer.
            name: name of the layer.
            real: mask (row,) bool of the rows that enter the batch statistics; None: all.
        """
        bias = not self.normalize  # batch normalisation has its own offset
        dense = layers.Dense(units, use_bias=bias, kernel_initializer=self.kernel(), name=name)
        if bias and self.activation not in _ACTIVATION_LAYERS:
            dense.activation = keras.activations.get(self.activation)
            return dense(x)
        return self.activated(dense(x), name=name, real=real)

    def linear(self, x: Any, units: int, *, name: str, bias: bool = True) -> Any:
        """Apply a dense layer without normalisation and activation to the rows of `x`."""
        return layers.Dense(units, use_bias=bias, kernel_initializer=self.kernel(), name=name)(x)

    def normalized(self, x: Any, *, name: str, real: Any = None) -> Any:
        """Apply batch normalisation to the rows of `x`, if `normalize` is set."""
        return Normalize(name=f"{name}_normalize")(x, real) if self.normalize else x

    def activated(self, x: Any, *, name: str, real: Any = None) -> Any:
        """Apply batch normalisation, if `normalize` is set, and the activation."""
        return self.activate(self.normalized(x, name=name, real=real), name=f"{name}_activate")

    def activate(self, x: Any, *, name: str) -> Any:
        """Apply the activation to the rows of `x`."""
        if self.activation in _ACTIVATION_LAYERS:
            return _ACTIVATION_LAYERS[self.activation](name=name)(x)
        return layers.Activation(self.activation, name=name)(x)

    def tower(self, x: Any, tower: Tower, *, name: str, real: Any = None) -> Any:
        """Apply the dense layers of a tower to the rows of `x`; `real` as in `dense`."""
        for number, units in enumerate(tower.sizes(), start=1):
            x = self.dense(x, units, name=f"{name}_dense_{number}", real=real)
        return x

    def drop(self, x: Any, *, name: str) -> Any:
        """Apply dropout, if its rate is not zero."""
        if self.dropout == 0:
            return x
        return layers.Dropout(self.dropout, seed=next(self.seeds), name=f"{name}_dropout")(x)


def merged(branches: Sequence[Any]) -> Any:
    """Concatenate the branches of a network, (N, unit) each."""
    return branches[0] if len(branches) == 1 else layers.Concatenate(name="merge")(list(branches))


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwoClasses(layers.Layer):
    """Turn the probability p of one class, (N, 1), into the probabilities of two, (N, 2).

    Args:
        index: index of the class with probability p; the other class has 1 - p.
    """

    def __init__(self, index: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.index = index

    def call(self, p: Any) -> Any:
        """Return the probabilities of both classes."""
        return ops.concatenate([1.0 - p, p] if self.index else [p, 1.0 - p], axis=-1)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N, 2)."""
        return (p_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "index": self.index}


@keras.saving.register_keras_serializable(package=PACKAGE)
class NestedClasses(layers.Layer):
    """Compute all class probabilities by P(signal class) = P(signal) P(class | signal).

    Call with the probabilities of each background class and of signal, (N, background class + 1),
    signal last, and with P(class | signal), (N, signal class).

    Args:
        order: (class,) for each class its index in [background classes ..., signal classes ...].
    """

    def __init__(self, order: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.order = tuple(order)

    def call(self, outer: Any, inner: Any) -> Any:
        """Return the probabilities (N, class)."""
        p = ops.concatenate([outer[:, :-1], outer[:, -1:] * inner], axis=-1)
        return ops.take(p, np.array(self.order, np.int32), axis=-1)

    def compute_output_shape(self, outer_shape: Any, inner_shape: Any) -> Any:
        """Return (N, class)."""
        return (outer_shape[0], len(self.order))

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "order": list(self.order)}


def probabilities(x: Any, spec: InputSpec, make: Layers) -> Any:
    """Return the class probabilities (N, class), from one output head or two.

    One head is a sigmoid unit for two classes, else a softmax. Two heads are two softmaxes: one
    over the background classes and signal, one over the signal classes given signal.
    """
    if spec.heads == "two":
        signal = [name for name in spec.classes if name in spec.signal]
        outer = _head(x, len(spec.background) + 1, make, name="identification")
        inner = _head(x, len(signal), make, name="mode")
        names = [*spec.background, *signal]
        order = [names.index(name) for name in spec.classes]
        return NestedClasses(order, name="probabilities")(outer, inner)
    if len(spec.classes) == 2:
        p = _head(x, 1, make, name="output")
        return TwoClasses(spec.classes.index(spec.signal[0]), name="probabilities")(p)
    return _head(x, len(spec.classes), make, name="output")


def _head(x: Any, units: int, make: Layers, *, name: str) -> Any:
    return layers.Dense(
        units,
        activation="sigmoid" if units == 1 else "softmax",
        kernel_initializer=make.kernel(),
        dtype=full_precision(),  # float32 also where the network computes in half precision
        name=name,
    )(x)
