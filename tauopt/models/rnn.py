"""The ATLAS tau RNN: recurrent branches over objects beside the candidate's own features.

Source: ATLAS, ATL-PHYS-PUB-2019-033; layers and widths of the published training code, which
trains the decay-mode RNN too: the same layers on particle-flow objects, other defaults.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import Recurrent, RnnGroup
from tauopt.models import blocks
from tauopt.models.object_layers import LastObject, Objects, ReverseObjects
from tauopt.models.recurrent import Gru, Lstm

_CELLS = {"lstm": Lstm, "gru": Gru}


def rnn(spec: InputSpec, settings: Recurrent, *, seed: int) -> keras.Model:
    """Build the network; with defaults and two classes `rnn` is the published baseline."""
    inputs = blocks.inputs(spec, settings)
    make = blocks.Layers(
        blocks.seeds(seed), activation=settings.activation, dropout=settings.dropout
    )
    branches = []
    for name, objects in inputs.groups.items():
        group = settings.groups[name]
        rows = make.tower(objects.rows, group.dense, name=name)
        x = Objects(objects.length, name=f"{name}_objects")(rows)
        if settings.reversed:
            x = ReverseObjects(name=f"{name}_reversed")(x, objects.real)
        branches.append(_recurrent(x, objects.real, make, settings, group, name=name))
    if inputs.candidate is not None:
        branches.append(make.tower(inputs.candidate, settings.candidate, name="candidate"))
    x = blocks.merged(branches)
    if settings.merge.sizes():
        x = make.drop(x, name="merge")
        x = make.tower(x, settings.merge, name="merge")
    x = make.drop(x, name="output")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name=settings.type)


def _recurrent(
    x: Any, real: Any, make: blocks.Layers, settings: Recurrent, group: RnnGroup, *, name: str
) -> Any:
    """Read the objects in order, and backwards too where bidirectional; return the last states."""
    for number in range(1, group.rnn_layers + 1):
        sequences = [_layer(make, settings, group, f"{name}_{settings.cell}_{number}")(x)]
        if settings.bidirectional:
            back = _layer(make, settings, group, f"{name}_{settings.cell}_{number}_back")
            turned = ReverseObjects(name=f"{name}_turn_{number}")(x, real)
            sequences.append(back(turned))
        if number == group.rnn_layers:
            last = LastObject(name=f"{name}_last")
            return _side_by_side([last(sequence, real) for sequence in sequences], name)
        if settings.bidirectional:
            sequences[1] = ReverseObjects(name=f"{name}_return_{number}")(sequences[1], real)
        x = _side_by_side(sequences, f"{name}_{number}")
    return x


def _side_by_side(parts: list[Any], name: str) -> Any:
    """Put both directions side by side."""
    return parts[0] if len(parts) == 1 else layers.Concatenate(name=f"{name}_directions")(parts)


def _layer(make: blocks.Layers, settings: Recurrent, group: RnnGroup, name: str) -> Any:
    """Make a recurrent layer that gives the state at every object."""
    return _CELLS[settings.cell](
        group.units,
        kernel_initializer=make.kernel(),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(make.seeds)),
        name=name,
    )
