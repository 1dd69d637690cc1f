"""LSTM and GRU layers that are fast to trace and to run on a CPU, and use cuDNN on a GPU."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tauopt.models.preprocessing import PACKAGE

MAX_UNROLLED_STEPS = 20
"""Longest sequence for which a GRU is unrolled."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Lstm(keras.layers.LSTM):
    """Keras's LSTM, computed by TensorFlow's kernel for whole sequences where there is no GPU.

    It has the same weights, results and gradients as `keras.layers.LSTM(return_sequences=True)`.
    The graph of a training step is smaller, so tracing a step takes 1/2 to 2/3 of the time; a
    traced step takes 0.8 to 1.2 of the time, by batch size and machine. Set `whole_sequences` to
    False to compute step by step as Keras does, for instance to export the model.
    """

    whole_sequences = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **{**kwargs, "return_sequences": True})

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the states (N, object, unit) after each object."""
        unsupported = (  # by the kernel
            initial_state is not None or mask is not None or self.compute_dtype != "float32"
        )
        if unsupported or not self.whole_sequences or has_gpu():
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        cell = self.cell
        zero_state = tf.zeros((tf.shape(sequences)[0], self.units))
        no_peephole = tf.zeros((self.units,))
        # BlockLSTM and not BlockLSTMV2, whose gates are in Keras's order: TensorFlow (2.21)
        # registers the gradient of the former for both, where forget and cell gate are exchanged.
        states = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.cast(tf.shape(sequences)[1], tf.int64),
            x=tf.transpose(sequences, (1, 0, 2)),
            cs_prev=zero_state,
            h_prev=zero_state,
            w=_cell_before_forget(tf.concat([cell.kernel, cell.recurrent_kernel], axis=0)),
            wci=no_peephole,
            wcf=no_peephole,
            wco=no_peephole,
            b=_cell_before_forget(tf.convert_to_tensor(cell.bias)),
            forget_bias=0.0,
            cell_clip=0.0,
        )
        return tf.transpose(states.h, (1, 0, 2))


def _cell_before_forget(gates: Any) -> Any:
    """Reorder (..., 4 * unit) from Keras's input, forget, cell, output to BlockLSTM's order."""
    input_gate, forget_gate, cell_gate, output_gate = tf.split(gates, 4, axis=-1)
    return tf.concat([input_gate, cell_gate, forget_gate, output_gate], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Gru(keras.layers.GRU):
    """Keras's GRU, unrolled for short sequences where there is no GPU."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **{**kwargs, "return_sequences": True})

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Decide on unrolling from the number of steps, and create the weights."""
        steps = sequences_shape[1]
        # A third faster on a CPU; on a GPU cuDNN needs the loop.
        self.unroll = steps is not None and steps <= MAX_UNROLLED_STEPS and not has_gpu()
        super().build(sequences_shape, initial_state_shape)


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))
