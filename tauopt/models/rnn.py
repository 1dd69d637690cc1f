"""ATLAS tau RNN: one recurrent branch for each group of objects, beside the candidate's features.

The decay-mode RNN has the same layers, on particle-flow objects and with other defaults.

Source: ATLAS, ATL-PHYS-PUB-2019-033; layers and widths of the published training code.
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
    """Build a recurrent network; with defaults and two classes, `rnn` is the published baseline."""
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
    """Apply the recurrent layers, in both directions if bidirectional; return the last states."""
    for number in range(1, group.rnn_layers + 1):
        layer = f"{name}_{settings.cell}_{number}"
        states = [_recurrent_layer(make, settings, group, layer)(x)]
        if settings.bidirectional:
            backward = _recurrent_layer(make, settings, group, f"{layer}_back")
            states.append(backward(ReverseObjects(name=f"{name}_turn_{number}")(x, real)))
        if number == group.rnn_layers:
            last = LastObject(name=f"{name}_last")
            return _join_directions([last(sequence, real) for sequence in states], name)
        if settings.bidirectional:  # back to the order of the forward states
            states[1] = ReverseObjects(name=f"{name}_return_{number}")(states[1], real)
        x = _join_directions(states, f"{name}_{number}")
    return x


def _join_directions(states: list[Any], name: str) -> Any:
    return states[0] if len(states) == 1 else layers.Concatenate(name=f"{name}_directions")(states)


def _recurrent_layer(make: blocks.Layers, settings: Recurrent, group: RnnGroup, name: str) -> Any:
    """Create a recurrent layer that returns the state after every object."""
    return _CELLS[settings.cell](
        group.units,
        kernel_initializer=make.kernel(),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(make.seeds)),
        name=name,
    )
