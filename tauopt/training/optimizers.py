"""From settings to a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tauopt.config.experiment import Training

NO_DECAY = ["bias", "gamma", "beta"]
"""Parts of the names of weights that are never decayed."""


class Adam(keras.optimizers.Adam):
    """Keras's Adam by TensorFlow's kernel: one operation a weight in place of forty.

    The formula is the same. A training step's graph shrinks by a third, which is traced and, for
    small batches, run in that much less time.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Work out once what all weights share, then update them."""
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, tf.float32)
        beta1, beta2 = tf.constant(self.beta_1), tf.constant(self.beta_2)
        self._shared = {
            "beta1": beta1,
            "beta2": beta2,
            "beta1_power": tf.pow(beta1, step),
            "beta2_power": tf.pow(beta2, step),
            "epsilon": tf.constant(self.epsilon),
        }
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a weight and its moments."""
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            lr=tf.convert_to_tensor(learning_rate),
            grad=gradient,
            **self._shared,
        )


class Sgd(keras.optimizers.SGD):
    """Keras's SGD by TensorFlow's kernels: one operation a weight.

    Attributes:
        changing_momentum: a variable to set, if the momentum is to change; else None.
    """

    def __init__(self, *, momentum_changes: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changing_momentum = (
            self.add_variable((), keras.initializers.Constant(self.momentum), name="momentum_now")
            if momentum_changes and self.momentum
            else None
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a weight and its momentum."""
        rate = tf.convert_to_tensor(learning_rate)
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=_handle(variable), alpha=rate, delta=gradient
            )
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=_handle(variable),
            accum=_handle(self.momentums[self._get_variable_index(variable)]),
            lr=rate,
            grad=gradient,
            momentum=self._momentum_now(),
            use_nesterov=self.nesterov,
        )

    def _momentum_now(self) -> Any:
        changing = self.changing_momentum
        return self.momentum if changing is None else tf.convert_to_tensor(changing)


def _handle(variable: Any) -> Any:
    """Return the resource of a weight, be it Keras's or TensorFlow's variable."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def make_optimizer(training: Training) -> Any:
    """Return the optimizer of the settings.

    Weight decay is decoupled from the gradient for every optimizer (Loshchilov and Hutter,
    arXiv:1711.05101), and leaves biases and normalisations alone.

    Raises:
        ValueError: there is no such optimizer.
    """
    shared: dict[str, Any] = {
        "name": training.optimizer,
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay or None,
        "global_clipnorm": training.clip_norm or None,
    }
    optimizer: Any
    if training.optimizer == "sgd":
        optimizer = Sgd(
            momentum=training.momentum,
            nesterov=training.nesterov and training.momentum > 0,
            momentum_changes=training.schedule == "one_cycle" and training.momentum_dip > 0,
            **shared,
        )
    elif training.optimizer in ("adam", "adamw"):  # one algorithm: the decay is decoupled anyway
        optimizer = Adam(**shared)
    elif training.optimizer == "nadam":
        optimizer = keras.optimizers.Nadam(**shared)
    else:
        raise ValueError(f"expected adam, adamw, nadam or sgd, got {training.optimizer!r}")
    if training.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NO_DECAY)
    return optimizer
