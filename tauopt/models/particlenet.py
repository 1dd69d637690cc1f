"""ParticleNet: convolutions over each object's nearest neighbours, found anew in each block.

All objects of a candidate are one cloud; neighbours are near in (d_eta, d_phi) in the first block,
in the units of the block before in the others. Neither the order of objects nor padding changes
the output. The first layer of an edge, on (x_i, x_j - x_i), is linear in both objects, so it is
computed once an object and added up for the edges: the same functions at a fraction of the cost.

Source: Qu and Gouskos, ParticleNet, arXiv:1902.08570; EdgeConv of Wang et al., arXiv:1801.07829.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import ParticleNet
from tauopt.models import blocks
from tauopt.models.joint_objects import LARGEST_ANGLE, Together, raw_features, together
from tauopt.models.neighbour_layers import MeanOfReal, NearestNeighbours, WithNeighbours, neighbours
from tauopt.models.object_layers import Objects, Rows


def particlenet(spec: InputSpec, settings: ParticleNet, *, seed: int) -> keras.Model:
    """Build the network."""
    inputs = blocks.inputs(spec, settings)
    make = blocks.Layers(
        blocks.seeds(seed),
        activation=settings.activation,
        initializer="he_normal",
        normalize=settings.batch_normalization,
        dropout=settings.dropout,
    )
    branches = [_cloud(inputs, make, settings)] if inputs.groups else []
    if inputs.candidate is not None:
        branches.append(make.tower(inputs.candidate, settings.candidate, name="candidate"))
    x = make.drop(blocks.merged(branches), name="merge")
    x = make.tower(x, settings.merge, name="merge")
    if settings.merge.sizes():
        x = make.drop(x, name="output")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name="particlenet")


def _cloud(inputs: blocks.NetworkInputs, make: blocks.Layers, settings: ParticleNet) -> Any:
    """Return the mean over objects of what the blocks make of them, (N, unit)."""
    objects = together(
        inputs.groups,
        lambda name, group: make.dense(
            group.rows, settings.embedding, name=f"{name}_embed", real=group.real_rows
        ),
    )
    where = raw_features(
        inputs.groups,
        (settings.coordinates.eta, settings.coordinates.phi),
        name="angles",
        bounds=(-LARGEST_ANGLE, LARGEST_ANGLE),
    )
    x = Rows(name="objects_rows")(objects.x)
    sizes = settings.channels.sizes()
    for number, (units, count) in enumerate(zip(sizes, counts(settings), strict=True), start=1):
        name = f"block_{number}"
        if number > 1:
            where = Objects(objects.length, name=f"{name}_where")(x)
        x = _edge_conv(
            x, where, objects, make, widths=[units] * settings.edge_layers, count=count, name=name
        )
    return MeanOfReal(objects.length, name="objects_mean")(x, objects.real_rows)


def counts(settings: ParticleNet) -> list[int]:
    """Return the neighbours that each block looks at, evenly spaced from the first to the last."""
    steps = settings.channels.layers - 1
    slope = (settings.last_neighbours - settings.neighbours) / max(1, steps)
    return [round(settings.neighbours + slope * step) for step in range(steps + 1)]


def _edge_conv(
    x: Any,
    where: Any,
    objects: Together,
    make: blocks.Layers,
    *,
    widths: list[int],
    count: int,
    name: str,
) -> Any:
    """Apply dense layers to each object with each neighbour; return their mean, and a shortcut."""
    count = neighbours(count, objects.length)
    rows, real = NearestNeighbours(count, name=f"{name}_neighbours")(where, objects.real)
    bias = not make.normalize
    centre = make.linear(x, widths[0], name=f"{name}_centre", bias=bias)
    neighbour = make.linear(x, widths[0], name=f"{name}_neighbour", bias=False)
    edges = WithNeighbours(count, name=f"{name}_edges")(centre, neighbour, rows)
    edges = make.activated(edges, name=f"{name}_edge_1", real=real)
    for number, units in enumerate(widths[1:], start=2):
        edges = make.dense(edges, units, name=f"{name}_edge_{number}", real=real)
    mean = MeanOfReal(count, name=f"{name}_mean")(edges, real)
    shortcut = make.linear(x, widths[-1], name=f"{name}_shortcut", bias=bias)
    shortcut = make.normalized(shortcut, name=f"{name}_shortcut", real=objects.real_rows)
    return make.activate(layers.Add(name=f"{name}_add")([mean, shortcut]), name=name)
