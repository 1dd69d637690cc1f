"""Optimizers: settings -> Keras optimizer, with TensorFlow's fused kernels for Adam and SGD."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tauopt.config.settings.experiment import Training

NO_DECAY = ["bias", "gamma", "beta"]
"""Parts of the names of weights without weight decay."""


class _KernelOptimizer(keras.optimizers.Optimizer):
    """Optimizer that updates a weight by one TensorFlow kernel instead of some forty operations.

    The formulas are Keras's. A training step's graph shrinks by a third, and so does the time to
    trace it and, for small batches, to run it. Only methods that Keras documents for custom
    optimizers are used: its own optimizers keep their variables under private names.

    Attributes:
        slot_names: names of the variables that are kept for each weight, such as its momentum.
    """

    slot_names: tuple[str, ...] = ()

    def build(self, variables: Any) -> None:
        """Add the slot variables, in the order of Keras's own optimizers."""
        if self.built:
            return
        super().build(variables)
        self.slot_variables = self.add_optimizer_variables(variables, self.slot_names)
        self.index_of_weight = {
            _tensorflow_variable(weight).ref(): i for i, weight in enumerate(variables)
        }

    def slots_of(self, weight: Any) -> list[Any]:
        """Return the handles of a weight's slot variables."""
        index = self.index_of_weight[_tensorflow_variable(weight).ref()]
        return [_tensorflow_variable(variables[index]).handle for variables in self.slot_variables]


class Adam(_KernelOptimizer):
    """Keras's Adam, with its constants."""

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-7
    slot_names = "momentum", "velocity"

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Compute once the arguments that all weights share, then update the weights."""
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
        momentum, velocity = self.slots_of(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_tensorflow_variable(variable).handle,
            m=momentum,
            v=velocity,
            lr=tf.convert_to_tensor(learning_rate),
            grad=gradient,
            **self._shared,
        )


class Sgd(_KernelOptimizer):
    """Keras's SGD.

    Attributes:
        momentum, nesterov: as in Keras.
        changing_momentum: variable with the present momentum, if it changes; else None.
    """

    def __init__(
        self, *, momentum: float, nesterov: bool, momentum_changes: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.momentum, self.nesterov = momentum, nesterov
        self.slot_names = ("momentum",) if momentum else ()
        self.changing_momentum = (
            self.add_variable((), keras.initializers.Constant(momentum), name="momentum_now")
            if momentum_changes and momentum
            else None
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a weight and its momentum."""
        rate = tf.convert_to_tensor(learning_rate)
        weight = _tensorflow_variable(variable).handle
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=weight, alpha=rate, delta=gradient)
            return
        (accumulated,) = self.slots_of(variable)
        momentum = self.momentum if self.changing_momentum is None else self.changing_momentum
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=weight,
            accum=accumulated,
            lr=rate,
            grad=gradient,
            momentum=tf.convert_to_tensor(momentum),
            use_nesterov=self.nesterov,
        )


def _tensorflow_variable(variable: Any) -> Any:
    """Return the TensorFlow variable of a Keras or a TensorFlow variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def make_optimizer(training: Training) -> Any:
    """Return the optimizer of the settings.

    Weight decay is decoupled from the gradient for every optimizer (Loshchilov and Hutter,
    arXiv:1711.05101), and does not apply to biases and normalisations.

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
