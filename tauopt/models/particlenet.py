"""ParticleNet: edge convolutions over the k nearest neighbours of each object (dynamic graph CNN).

The objects of all groups of a candidate are one particle cloud. Neighbours are nearest in
(d_eta, d_phi) in the first block, and in the output of the block before in the others. Neither the
order of objects nor padding changes the output.

Source: Qu and Gouskos, ParticleNet, arXiv:1902.08570; EdgeConv of Wang et al., arXiv:1801.07829.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import ParticleNet
from tauopt.models import blocks
from tauopt.models.joint_objects import LARGEST_ANGLE, JointObjects, join_objects, raw_features
from tauopt.models.neighbour_layers import (
    MeanOfReal,
    NearestNeighbours,
    WithNeighbours,
    neighbour_count,
)
from tauopt.models.object_layers import Objects, Rows


def particlenet(spec: InputSpec, settings: ParticleNet, *, seed: int) -> keras.Model:
    """Build a ParticleNet."""
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
    """Apply the EdgeConv blocks to all objects; return the mean over real objects, (N, unit)."""
    objects = join_objects(
        inputs.groups,
        lambda name, group: make.dense(
            group.rows, settings.embedding, name=f"{name}_embed", real=group.real_rows
        ),
    )
    coordinates = raw_features(
        inputs.groups,
        (settings.coordinates.eta, settings.coordinates.phi),
        name="angles",
        bounds=(-LARGEST_ANGLE, LARGEST_ANGLE),
    )
    x = Rows(name="objects_rows")(objects.x)
    blocks_settings = zip(settings.channels.sizes(), neighbour_counts(settings), strict=True)
    for number, (units, count) in enumerate(blocks_settings, start=1):
        name = f"block_{number}"
        if number > 1:
            coordinates = Objects(objects.length, name=f"{name}_where")(x)
        widths = [units] * settings.edge_layers
        x = _edge_conv(x, coordinates, objects, make, widths=widths, count=count, name=name)
    return MeanOfReal(objects.length, name="objects_mean")(x, objects.real_rows)


def neighbour_counts(settings: ParticleNet) -> list[int]:
    """Return the number of neighbours in each block, evenly spaced from the first to the last."""
    steps = settings.channels.layers - 1
    slope = (settings.last_neighbours - settings.neighbours) / max(1, steps)
    return [round(settings.neighbours + slope * step) for step in range(steps + 1)]


def _edge_conv(
    x: Any,
    coordinates: Any,
    objects: JointObjects,
    make: blocks.Layers,
    *,
    widths: list[int],
    count: int,
    name: str,
) -> Any:
    """Apply dense layers to each edge; return the mean over edges plus a shortcut connection."""
    count = neighbour_count(count, objects.length)
    rows, real = NearestNeighbours(count, name=f"{name}_neighbours")(coordinates, objects.real)
    bias = not make.normalize
    # The first layer of an edge acts on (x_i, x_j - x_i) and is linear in both objects. So it is
    # computed once an object and added for each edge: the same functions at a fraction of the cost.
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
