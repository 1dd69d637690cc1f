"""How a training step computes where it is to be faster: in half precision, or compiled by XLA."""

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
"""What a network sees in float16 is clipped to +-this; the largest number is 65504."""


def precision_of(training: Training) -> Literal["float32", "mixed"]:
    """Return the precision that a training has here: `mixed` needs a GPU, and says so in the log.

    On a CPU float16 is slower than float32.
    """
    if training.precision == "mixed" and not gpus():
        logger.warning("precision: mixed needs a GPU, and there is none; training in float32")
        return "float32"
    return training.precision


def twin(
    build: Callable[[], keras.Model], training: Training, *, precision: str
) -> keras.Model | None:
    """Build the network that is trained in place of the one that is saved; None if that is it.

    Both have the same weights in the same order, in float32.

    Args:
        build: builds the network, each time with the same weights.
        training: its `jit_compile`.
        precision: `float32` or `mixed`.
    Raises:
        TrialFailed: a layer can't be compiled by XLA.
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
    """Take the kernels out of a layer that XLA has not."""
    if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
        layer.use_cudnn, layer.supports_jit = False, True
    if isinstance(layer, Lstm):
        layer.whole_sequences = False
    if not layer.supports_jit:
        raise TrialFailed(f"training.jit_compile: XLA can't compile layer {layer.name!r}")
