"""The pieces that all networks are built of: inputs, towers, the output; seeded one by one."""

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
from tauopt.models.normalization import Normalize
from tauopt.models.object_layers import KeepFeatures, Rows
from tauopt.models.preprocessing import PACKAGE, Preprocess, full_precision


@keras.saving.register_keras_serializable(package=PACKAGE)
class Gelu(layers.Layer):
    """Gaussian error linear unit, x Phi(x), of operations that ONNX has (Keras's has erfc).

    Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """

    def call(self, x: Any) -> Any:
        """Return the activated rows."""
        return 0.5 * x * (1.0 + ops.erf(x * 2**-0.5))

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Return the shape of the rows, which stays."""
        return x_shape


_OWN_LAYERS = {"prelu": layers.PReLU, "gelu": Gelu}
"""Activations that are layers of their own."""


def seeds(seed: int) -> Iterator[int]:
    """Yield independent seeds for the layers of a network, one each in the order of building."""
    sequence = np.random.SeedSequence(seed)
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0] >> 1)


@dataclass(frozen=True)
class PreprocessedGroup:
    """Objects of one kind, preprocessed, one row each, and where they belong.

    Attributes:
        rows: (N * object, feature).
        real_rows: (N * object,) bool, True = real object.
        real: (N, object) bool.
        length: objects a candidate.
        raw: (N * object, feature), not preprocessed; anything where masked.
        features: names in the order of the last axis.
    """

    rows: Any
    real_rows: Any
    real: Any
    length: int
    raw: Any
    features: tuple[str, ...]


@dataclass(frozen=True)
class NetworkInputs:
    """The inputs of a model and what the network sees of them, preprocessed.

    Attributes:
        raw: input name -> symbolic tensor, as `InputSpec` says, seen or not.
        candidate: (N, feature); None if it is not seen.
        groups: those that are seen, by name.
    """

    raw: dict[str, Any]
    candidate: Any
    groups: dict[str, PreprocessedGroup]


def inputs(spec: InputSpec, settings: NetworkSettings | None = None) -> NetworkInputs:
    """Make the inputs that `spec` names, with their preprocessing, without what is dropped.

    Args:
        spec: names, shapes and constants.
        settings: what the network sees of them; None sees all.
    Raises:
        ValueError: `settings` drop a feature that is not there, or all of a group.
    """
    raw = {CANDIDATE: keras.Input((len(spec.candidate.features),), name=CANDIDATE)}
    out = dropped_features(settings.drop) if settings is not None else {}
    candidate, groups = None, {}
    if settings is None or CANDIDATE in settings.seen():
        features, candidate = _kept(spec.candidate, raw[CANDIDATE], out.get(CANDIDATE, ()))
        candidate = Preprocess(features, name=f"{CANDIDATE}_preprocess")(candidate)
    for name, length in spec.lengths.items():
        group, mask = spec.group(name), mask_name(name)
        raw[name] = keras.Input((length, len(group.features)), name=name)
        raw[mask] = keras.Input((length,), name=mask, dtype="bool")
        real_rows = Rows(name=f"{mask}_rows")(raw[mask])
        features, rows = _kept(group, Rows(name=f"{name}_rows")(raw[name]), out.get(name, ()))
        seen = Preprocess(features, name=f"{name}_preprocess")(rows, real_rows)
        names = tuple(feature.name for feature in features)
        groups[name] = PreprocessedGroup(seen, real_rows, raw[mask], length, rows, names)
    return NetworkInputs(raw, candidate, groups)


def _kept(group: FittedGroup, x: Any, out: Sequence[str]) -> tuple[list[FittedFeature], Any]:
    """Return the features of a group that are not dropped, and their columns of `x`."""
    columns = kept_positions([feature.name for feature in group.features], out, group=group.name)
    features = [group.features[column] for column in columns]
    if not out:
        return features, x
    return features, KeepFeatures(columns, name=f"{group.name}_keep")(x)


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network: one activation, one way of normalising, seeded.

    Attributes:
        seeds: a fresh one for each layer that draws random numbers.
        initializer: of the kernels, `glorot_uniform` or `he_normal`.
        normalize: put batch normalisation between each dense layer and its activation.
    """

    seeds: Iterator[int]
    activation: str
    initializer: str = "glorot_uniform"
    normalize: bool = False
    dropout: float = 0.0

    def kernel(self) -> Any:
        """Return an initializer with a seed of its own."""
        known = {"glorot_uniform": "GlorotUniform", "he_normal": "HeNormal"}
        return getattr(keras.initializers, known[self.initializer])(seed=next(self.seeds))

    def dense(self, x: Any, units: int, *, name: str, real: Any = None) -> Any:
        """Apply a dense layer with normalisation and activation to the rows of `x`.

        Batch statistics are those of the rows that are True in `real`, if given.
        """
        bias = not self.normalize
        dense = layers.Dense(units, use_bias=bias, kernel_initializer=self.kernel(), name=name)
        if bias and self.activation not in _OWN_LAYERS:
            dense.activation = keras.activations.get(self.activation)
            return dense(x)
        return self.activated(dense(x), name=name, real=real)

    def linear(self, x: Any, units: int, *, name: str, bias: bool = True) -> Any:
        """Apply a dense layer alone to the rows of `x`."""
        return layers.Dense(units, use_bias=bias, kernel_initializer=self.kernel(), name=name)(x)

    def normalized(self, x: Any, *, name: str, real: Any = None) -> Any:
        """Normalise the rows of `x` over the batch, where this network does so."""
        return Normalize(name=f"{name}_normalize")(x, real) if self.normalize else x

    def activated(self, x: Any, *, name: str, real: Any = None) -> Any:
        """Normalise the rows of `x` where this network does so, and apply its activation."""
        return self.activate(self.normalized(x, name=name, real=real), name=f"{name}_activate")

    def activate(self, x: Any, *, name: str) -> Any:
        """Apply the activation to the rows of `x`."""
        if self.activation in _OWN_LAYERS:
            return _OWN_LAYERS[self.activation](name=name)(x)
        return layers.Activation(self.activation, name=name)(x)

    def tower(self, x: Any, tower: Tower, *, name: str, real: Any = None) -> Any:
        """Apply the dense layers of a tower."""
        for number, units in enumerate(tower.sizes(), start=1):
            x = self.dense(x, units, name=f"{name}_dense_{number}", real=real)
        return x

    def drop(self, x: Any, *, name: str) -> Any:
        """Apply dropout; nothing where the rate is zero."""
        if self.dropout == 0:
            return x
        return layers.Dropout(self.dropout, seed=next(self.seeds), name=f"{name}_dropout")(x)


def merged(branches: Sequence[Any]) -> Any:
    """Put the branches (N, unit) side by side."""
    return branches[0] if len(branches) == 1 else layers.Concatenate(name="merge")(list(branches))


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwoClasses(layers.Layer):
    """Turn the probability p of one class, (N, 1), into those of two, (N, 2).

    Args:
        index: of the class that gets p; the other gets 1 - p.
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
    """Join P(background class or signal) and P(class | signal) to probabilities of all classes.

    Call with the former, (N, background class + 1), signal last, and the latter, (N, signal class).

    Args:
        order: (class,) for each class its place in [background classes ..., signal classes ...].
    """

    def __init__(self, order: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.order = tuple(order)

    def call(self, outer: Any, inner: Any) -> Any:
        """Return the probabilities (N, class)."""
        every = ops.concatenate([outer[:, :-1], outer[:, -1:] * inner], axis=-1)
        return ops.take(every, np.array(self.order, np.int32), axis=-1)

    def compute_output_shape(self, outer_shape: Any, inner_shape: Any) -> Any:
        """Return (N, class)."""
        return (outer_shape[0], len(self.order))

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "order": list(self.order)}


def probabilities(x: Any, spec: InputSpec, make: Layers) -> Any:
    """Return the class probabilities (N, class), from one head or two.

    One head is one sigmoid unit for two classes, else softmax. Two are softmaxes: of each
    background class and signal, and of the signal classes given signal. Probabilities are float32
    also where the network computes in half precision.
    """
    if spec.heads == "two":
        return _two_heads(x, spec, make)
    two = len(spec.classes) == 2
    p = _head(x, 1 if two else len(spec.classes), make, name="output")
    if two:
        return TwoClasses(spec.classes.index(spec.signal[0]), name="probabilities")(p)
    return p


def _two_heads(x: Any, spec: InputSpec, make: Layers) -> Any:
    modes = [name for name in spec.classes if name in spec.signal]
    outer = _head(x, len(spec.background) + 1, make, name="identification")
    inner = _head(x, len(modes), make, name="mode")
    every = [*spec.background, *modes]
    order = [every.index(name) for name in spec.classes]
    return NestedClasses(order, name="probabilities")(outer, inner)


def _head(x: Any, units: int, make: Layers, *, name: str) -> Any:
    return layers.Dense(
        units,
        activation="sigmoid" if units == 1 else "softmax",
        kernel_initializer=make.kernel(),
        dtype=full_precision(),
        name=name,
    )(x)
