"""Scores that a saved model computes from its class probabilities, in its own graph.

By output name, for N candidates:
    `probabilities`: (N, class), in the order of the task's classes;
    `signal_score`: (N,) sum over the signal classes, if the task has background classes;
    `mode_scores`: (N, signal class) P(class | signal), in the order of the task's classes, if the
        task has background classes and several signal classes;
    `against_<class>`: (N,) p(signal) / (p(signal) + p(class)) for each background class, if the
        task has several: one discriminator against each, as in DeepTau.
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
"""Lower bound of denominators, so that scores are finite."""


class _ClassScore(layers.Layer):
    """Base of the scores that are computed from the probabilities of some classes.

    Args:
        classes: positions of the classes.
    """

    def __init__(self, classes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})
        self.classes = tuple(classes)

    def _select(self, p: Any) -> Any:
        """Return the probabilities of `classes`, (N, class) -> (N, selected class)."""
        return ops.take(p, np.array(self.classes, np.int32), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "classes": list(self.classes)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SumOfClasses(_ClassScore):
    """Sum of the probabilities of some classes, (N, class) -> (N,)."""

    def call(self, p: Any) -> Any:
        """Return the sum."""
        return ops.sum(self._select(p), axis=-1)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N,)."""
        return (p_shape[0],)


@keras.saving.register_keras_serializable(package=PACKAGE)
class AmongClasses(_ClassScore):
    """Probability of each of some classes given any of them, (N, class) -> (N, selected class)."""

    def call(self, p: Any) -> Any:
        """Return the probabilities; zeros where those of all selected classes are zero."""
        selected = self._select(p)
        return selected / ops.maximum(ops.sum(selected, axis=-1, keepdims=True), SMALLEST)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N, selected class)."""
        return (p_shape[0], len(self.classes))


@keras.saving.register_keras_serializable(package=PACKAGE)
class AgainstClass(_ClassScore):
    """Discriminator of some classes against one other class, (N, class) -> (N,).

    Args:
        classes: positions of the classes.
        other: position of the class against which they are discriminated.
    """

    def __init__(self, classes: Sequence[int], other: int, **kwargs: Any) -> None:
        super().__init__(classes, **kwargs)
        self.other = other

    def call(self, p: Any) -> Any:
        """Return p(classes) / (p(classes) + p(other)); zero where both are zero."""
        total = ops.sum(self._select(p), axis=-1)
        return total / ops.maximum(total + p[:, self.other], SMALLEST)

    def compute_output_shape(self, p_shape: Any) -> Any:
        """Return (N,)."""
        return (p_shape[0],)

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "other": self.other}


def with_scores(
    network: keras.Model, *, classes: Sequence[str], signal: Sequence[str]
) -> keras.Model:
    """Return a model with the same layers and weights, whose outputs are all scores by name.

    Args:
        network: its only output are class probabilities (N, class).
        classes: classes of the task, in the order of the output.
        signal: the signal classes among them.
    """
    p = network.output
    signal_indices = [index for index, name in enumerate(classes) if name in signal]
    background = {name: index for index, name in enumerate(classes) if name not in signal}
    scores: dict[str, layers.Layer] = {}
    if background:
        scores[SIGNAL_SCORE] = SumOfClasses(signal_indices)
    if background and len(signal_indices) > 1:
        scores[MODE_SCORES] = AmongClasses(signal_indices)
    if len(background) > 1:
        for name, index in background.items():
            scores[f"{AGAINST}{name}"] = AgainstClass(signal_indices, index)
    outputs = {PROBABILITIES: p} | {name: layer(p) for name, layer in scores.items()}
    return keras.Model(network.input, outputs, name=network.name)


def only_probabilities(model: keras.Model) -> keras.Model:
    """Return the part of a model whose output are class probabilities, without other scores."""
    if not isinstance(model.output, dict):
        return model
    return keras.Model(model.input, model.output[PROBABILITIES], name=model.name)
