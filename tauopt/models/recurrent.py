"""Recurrent layers that are quick to trace and to run on a CPU, and cuDNN's on a GPU."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tauopt.models.preprocessing import PACKAGE

UNROLLED = 20
"""Steps up to which a GRU is unrolled on a CPU: a third faster there, where cuDNN, which
wants a loop, does not matter."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Lstm(keras.layers.LSTM):
    """Keras's LSTM, with TensorFlow's kernel for whole sequences where there is no GPU.

    The same weights, results and gradients as `keras.layers.LSTM(return_sequences=True)`. The
    graph of a training step is smaller: a step that is traced takes two thirds to half of the time.
    Others take 0.8 to 1.2 of Keras's, by batch size and machine. Set `whole_sequences` to False to
    run Keras's own steps, for instance to export the model.
    """

    whole_sequences = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **{**kwargs, "return_sequences": True})

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the states (N, object, unit) after each object."""
        apart = initial_state is not None or mask is not None or self.compute_dtype != "float32"
        if apart or not self.whole_sequences or has_gpu():
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        cell = self.cell
        nothing = tf.zeros((tf.shape(sequences)[0], self.units))
        no_peephole = tf.zeros((self.units,))
        # BlockLSTM and not BlockLSTMV2, whose gates are in Keras's order: TensorFlow (2.21)
        # registers the gradient of the former for both, where forget and cell gate are exchanged.
        states = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.cast(tf.shape(sequences)[1], tf.int64),
            x=tf.transpose(sequences, (1, 0, 2)),
            cs_prev=nothing,
            h_prev=nothing,
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
    """Reorder (..., 4 * unit) from Keras's input, forget, cell, output to BlockLSTM's gates."""
    of_input, forget, of_cell, output = tf.split(gates, 4, axis=-1)
    return tf.concat([of_input, of_cell, forget, output], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Gru(keras.layers.GRU):
    """Keras's GRU, its steps unrolled where there is no GPU."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **{**kwargs, "return_sequences": True})

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Decide on unrolling, now that the number of steps is known."""
        steps = sequences_shape[1]
        self.unroll = steps is not None and steps <= UNROLLED and not has_gpu()
        super().build(sequences_shape, initial_state_shape)


def has_gpu() -> bool:
    """Tell whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))
