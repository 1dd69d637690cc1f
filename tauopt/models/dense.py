"""Dense layers on the candidate's own features alone."""

from __future__ import annotations

import keras

from tauopt.config.inputs import InputSpec
from tauopt.config.networks import Dense
from tauopt.models import blocks


def dense(spec: InputSpec, settings: Dense, *, seed: int) -> keras.Model:
    """Build the network; groups of objects in `spec` are not looked at."""
    inputs = blocks.inputs(spec.model_copy(update={"lengths": {}}))
    make = blocks.Layers(
        blocks.seeds(seed),
        activation=settings.activation,
        normalize=settings.batch_normalization,
        dropout=settings.dropout,
    )
    x = inputs.candidate
    widths = blocks.shrinking(settings.units, settings.layers, settings.reduction)
    for number, units in enumerate(widths, start=1):
        x = make.drop(make.dense(x, units, name=f"dense_{number}"), name=f"dense_{number}")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name="dense")
