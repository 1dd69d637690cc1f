"""Faster training steps: networks in mixed precision, or compiled by XLA."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import keras

from tauopt.config.settings.experiment import Training
from tauopt.errors import TrialFailed
from tauopt.models._keras_internals import all_layers
from tauopt.models.devices import gpus
from tauopt.models.preprocessing import Preprocess
from tauopt.models.recurrent import Lstm

logger = logging.getLogger(__name__)

LARGEST_HALF = 1e3
"""Inputs of a network in float16 are clipped to plus and minus this; float16 ends at 65504."""


def precision_of(training: Training) -> Literal["float32", "mixed"]:
    """Return the precision of a training on this machine: without a GPU always `float32`.

    A warning in the log says that `mixed` needs a GPU.
    """
    if training.precision == "mixed" and not gpus():  # on a CPU float16 is slower than float32
        logger.warning("precision: mixed needs a GPU, and there is none; training in float32")
        return "float32"
    return training.precision


def twin(
    build: Callable[[], keras.Model], training: Training, *, precision: str
) -> keras.Model | None:
    """Build the network that is trained in place of the saved one; None if that one is trained.

    Both have the same weights in the same order, in float32.

    Args:
        build: builds the network, each time with the same weights.
        training: settings, of which `jit_compile` is used.
        precision: `float32` or `mixed`.
    Raises:
        TrialFailed: XLA can't compile a layer.
    """
    if precision == "float32" and not training.jit_compile:
        return None
    before = keras.config.dtype_policy()
    try:
        if precision == "mixed":
            keras.config.set_dtype_policy("mixed_float16")
        network = build()
    finally:
        keras.config.set_dtype_policy(before)
    for layer in all_layers(network):
        if precision == "mixed" and isinstance(layer, Preprocess):
            layer.largest = LARGEST_HALF
        if training.jit_compile:
            _make_compilable(layer)
    return network


def _make_compilable(layer: keras.Layer) -> None:
    """Replace kernels of a layer that XLA does not support."""
    if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
        layer.use_cudnn, layer.supports_jit = False, True
    if isinstance(layer, Lstm):
        layer.whole_sequences = False
    if not layer.supports_jit:
        raise TrialFailed(f"training.jit_compile: XLA can't compile layer {layer.name!r}")
