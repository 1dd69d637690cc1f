"""What a saved model gives beside class probabilities: scores to cut on, computed in its graph.

By output name, for N candidates:
    `probabilities`: (N, class), in the order of the task's classes;
    `signal_score`: (N,) the sum over the signal classes, where there is background;
    `mode_scores`: (N, signal class) P(class | signal), in the order of the task's classes, where
        there are background and several signal classes;
    `against_<class>`: (N,) signal / (signal + class), for each of several background classes: one
        discriminator against each, as DeepTau has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tauopt.models.preprocessing import PACKAGE, full_precision

PROBABILITIES, SIGNAL_SCORE, MODE_SCORES = "probabilities", "signal_score", "mode_scores"
AGAINST = "against_"
SMALLEST = 1e-37
"""Sums of probabilities that others are divided by are at least this."""


class _OfClasses(layers.Layer):
    """A score of class probabilities (N, class)."""

    def __init__(self, classes: Sequence[int], **kwargs: Any) -> None:
        """Take the positions of the classes that it is about."""
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.classes = tuple(classes)

    def _of(self, p: Any) -> Any:
        return ops.take(p, np.array(self.classes, np.int32), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "classes": list(self.classes)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SumOfClasses(_OfClasses):
    """The probability of being of any of some classes, (N,)."""

    def call(self, p: Any) -> Any:
        """Return the sum."""
        return ops.sum(self._of(p), axis=-1)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N,)."""
        return (p_shape[0],)


@keras.saving.register_keras_serializable(package=PACKAGE)
class AmongClasses(_OfClasses):
    """The probability of each of some classes if it is one of them, (N, their number)."""

    def call(self, p: Any) -> Any:
        """Return the probabilities; zeros where all of them are."""
        these = self._of(p)
        return these / ops.maximum(ops.sum(these, axis=-1, keepdims=True), SMALLEST)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N, number of classes)."""
        return (p_shape[0], len(self.classes))


@keras.saving.register_keras_serializable(package=PACKAGE)
class AgainstClass(_OfClasses):
    """The probability of some classes if it is one of them or the class `other`, (N,)."""

    def __init__(self, classes: Sequence[int], other: int, **kwargs: Any) -> None:
        """Take positions of the classes, and of the one that they are told from."""
        super().__init__(classes, **kwargs)
        self.other = other

    def call(self, p: Any) -> Any:
        """Return the discriminator; zero where all of them are."""
        these = ops.sum(self._of(p), axis=-1)
        return these / ops.maximum(these + p[:, self.other], SMALLEST)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N,)."""
        return (p_shape[0],)

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "other": self.other}


def with_scores(
    network: keras.Model, *, classes: Sequence[str], signal: Sequence[str]
) -> keras.Model:
    """Return a model of the same layers and weights whose outputs are named, with all scores.

    Args:
        network: gives class probabilities (N, class), and nothing else.
        classes: of the task, in the order of the output.
        signal: those of them that are signal.
    """
    p = network.output
    ours = [index for index, name in enumerate(classes) if name in signal]
    others = {name: index for index, name in enumerate(classes) if name not in signal}
    scores: dict[str, layers.Layer] = {}
    if others:
        scores[SIGNAL_SCORE] = SumOfClasses(ours)
    if others and len(ours) > 1:
        scores[MODE_SCORES] = AmongClasses(ours)
    if len(others) > 1:
        scores |= {f"{AGAINST}{name}": AgainstClass(ours, other) for name, other in others.items()}
    outputs = {PROBABILITIES: p} | {name: layer(p) for name, layer in scores.items()}
    return keras.Model(network.input, outputs, name=network.name)


def only_probabilities(model: keras.Model) -> keras.Model:
    """Return the part of a model that gives class probabilities: all of one without scores."""
    if not isinstance(model.output, dict):
        return model
    return keras.Model(model.input, model.output[PROBABILITIES], name=model.name)
