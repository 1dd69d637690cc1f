"""Private parts of Keras 3.15 that models need; an upgrade checks them by their contract test."""

from __future__ import annotations

import keras

FUNCTIONAL_MODULE = "keras.src.models.functional"
"""Module that a `.keras` file names for a functional model."""
_MODELS, _LAYERS = "keras.src.models.", "keras.src.layers."


def all_layers(network: keras.Model) -> list[keras.Layer]:
    """Return all layers of a network, those inside of layers too."""
    return list(network._flatten_layers())


def is_keras_model(kind: type) -> bool:
    """Return whether Keras itself defines a class of models."""
    return kind.__module__.startswith(_MODELS)


def is_keras_layer(kind: type) -> bool:
    """Return whether Keras itself defines a class of layers."""
    return kind.__module__.startswith(_LAYERS)
