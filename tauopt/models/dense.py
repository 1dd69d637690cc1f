"""Multilayer perceptron on the candidate's own features and on flattened objects."""

from __future__ import annotations

import keras

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import Dense
from tauopt.models import blocks
from tauopt.models.object_layers import FlatObjects, Objects


def dense(spec: InputSpec, settings: Dense, *, seed: int) -> keras.Model:
    """Build a multilayer perceptron."""
    inputs = blocks.inputs(spec, settings)
    make = blocks.Layers(
        blocks.seeds(seed),
        activation=settings.activation,
        normalize=settings.batch_normalization,
        dropout=settings.dropout,
    )
    branches = [] if inputs.candidate is None else [inputs.candidate]
    for name, objects in inputs.groups.items():
        x = Objects(objects.length, name=f"{name}_objects")(objects.rows)
        branches.append(FlatObjects(name=f"{name}_flat")(x, objects.real))
    x = blocks.merged(branches)
    for number, units in enumerate(settings.sizes(), start=1):
        x = make.drop(make.dense(x, units, name=f"dense_{number}"), name=f"dense_{number}")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name="dense")
