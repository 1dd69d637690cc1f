"""The pieces that all networks are built of: inputs, towers, the output; seeded one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tauopt.config.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.config.networks import CandidateTower, MergeTower
from tauopt.models.normalization import Normalize
from tauopt.models.objects import Rows
from tauopt.models.preprocessing import PACKAGE, Preprocess


def seeds(seed: int) -> Iterator[int]:
    """Yield independent seeds for the layers of a network, one each in the order of building."""
    sequence = np.random.SeedSequence(seed)
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0] >> 1)


@dataclass(frozen=True)
class Group:
    """Objects of one kind, preprocessed, one row each, and where they belong.

    Attributes:
        rows: (N * object, feature).
        real_rows: (N * object,) bool, True = real object.
        real: (N, object) bool.
        length: objects a candidate.
    """

    rows: Any
    real_rows: Any
    real: Any
    length: int


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model and what the network sees of them, preprocessed.

    Attributes:
        raw: input name -> symbolic tensor, as `InputSpec` says.
        candidate: (N, feature).
        groups: by name.
    """

    raw: dict[str, Any]
    candidate: Any
    groups: dict[str, Group]


def inputs(spec: InputSpec) -> Inputs:
    """Make the inputs that `spec` names, with their preprocessing."""
    raw = {CANDIDATE: keras.Input((len(spec.candidate.features),), name=CANDIDATE)}
    candidate = Preprocess(spec.candidate.features, name=f"{CANDIDATE}_preprocess")(raw[CANDIDATE])
    groups = {}
    for name, length in spec.lengths.items():
        features, mask = spec.group(name).features, mask_name(name)
        raw[name] = keras.Input((length, len(features)), name=name)
        raw[mask] = keras.Input((length,), name=mask, dtype="bool")
        real_rows = Rows(name=f"{mask}_rows")(raw[mask])
        rows = Rows(name=f"{name}_rows")(raw[name])
        rows = Preprocess(features, name=f"{name}_preprocess")(rows, real_rows)
        groups[name] = Group(rows, real_rows, raw[mask], length)
    return Inputs(raw, candidate, groups)


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
        if not self.normalize:
            return layers.Dense(
                units, activation=self.activation, kernel_initializer=self.kernel(), name=name
            )(x)
        dense = layers.Dense(units, use_bias=False, kernel_initializer=self.kernel(), name=name)
        x = Normalize(name=f"{name}_normalize")(dense(x), real)
        return layers.Activation(self.activation, name=f"{name}_activate")(x)

    def tower(self, x: Any, widths: Sequence[int], *, name: str, real: Any = None) -> Any:
        """Apply dense layers of these widths."""
        for number, units in enumerate(widths, start=1):
            x = self.dense(x, units, name=f"{name}_dense_{number}", real=real)
        return x

    def drop(self, x: Any, *, name: str) -> Any:
        """Apply dropout; nothing where the rate is zero."""
        if self.dropout == 0:
            return x
        return layers.Dropout(self.dropout, seed=next(self.seeds), name=f"{name}_dropout")(x)


def candidate_widths(tower: CandidateTower) -> list[int]:
    """Return the widths of the candidate's layers."""
    return [tower.units] * tower.layers + [tower.output_units]


def shrinking(units: int, count: int, reduction: float) -> list[int]:
    """Return `count` widths from `units` on, each `reduction` times the one before, at least 1."""
    return [max(1, round(units * reduction**number)) for number in range(count)]


def merge_widths(tower: MergeTower) -> list[int]:
    """Return the widths of the layers behind the merged branches."""
    return shrinking(tower.units, tower.layers, tower.reduction)


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
        super().__init__(**{**kwargs, "dtype": "float32"})
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


def probabilities(x: Any, spec: InputSpec, make: Layers) -> Any:
    """Return the class probabilities (N, class): one sigmoid unit for two classes, else softmax.

    They are float32 also where the network computes in half precision.
    """
    two = len(spec.classes) == 2
    p = layers.Dense(
        1 if two else len(spec.classes),
        activation="sigmoid" if two else "softmax",
        kernel_initializer=make.kernel(),
        dtype="float32",
        name="output",
    )(x)
    if two:
        return TwoClasses(spec.classes.index(spec.signal[0]), name="probabilities")(p)
    return p
