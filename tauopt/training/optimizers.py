"""From settings to a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras

from tauopt.config.experiment import Training

NO_DECAY = ["bias", "gamma", "beta"]
"""Parts of the names of weights that are never decayed."""


def make_optimizer(training: Training) -> Any:
    """Return the optimizer of the settings.

    Weight decay is decoupled from the gradient for every optimizer (Loshchilov and Hutter,
    arXiv:1711.05101), and leaves biases and normalisations alone.

    Raises:
        ValueError: there is no such optimizer.
    """
    shared: dict[str, Any] = {
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay or None,
        "global_clipnorm": training.clip_norm or None,
    }
    optimizers = keras.optimizers
    if training.optimizer == "sgd":
        optimizer = optimizers.SGD(
            momentum=training.momentum, nesterov=training.nesterov and training.momentum > 0,
            **shared,
        )  # fmt: skip
    elif training.optimizer == "adamw":
        optimizer = optimizers.AdamW(**{**shared, "weight_decay": training.weight_decay})
    elif training.optimizer in ("adam", "nadam"):
        kind = optimizers.Adam if training.optimizer == "adam" else optimizers.Nadam
        optimizer = kind(**shared)
    else:
        raise ValueError(f"expected adam, adamw, nadam or sgd, got {training.optimizer!r}")
    if training.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NO_DECAY)
    return optimizer
