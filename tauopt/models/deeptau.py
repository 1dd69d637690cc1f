"""CMS DeepTau: grids of cells around the candidate's axis, convolved down to one cell each.

Each cell holds the leading object of each group; empty cells are zero. The published 1x1
convolutions on one kind of object are dense layers here, applied to the objects before they are
put into the grid: on the hundreds of empty cells they would only compute constants.

Source: CMS, arXiv:2201.08458; layers and widths of TauMLTools' training code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import DeepTau, Grid, Tower
from tauopt.models import blocks
from tauopt.models.grid_layers import CellRows, Cells, FillGrid, LeadingInCell
from tauopt.models.joint_objects import LARGEST_ANGLE, raw_features

KERNEL_SIZE = 3
"""Cells along each side of a convolution's kernel."""


def deeptau(spec: InputSpec, settings: DeepTau, *, seed: int) -> keras.Model:
    """Build a DeepTau network."""
    inputs = blocks.inputs(spec, settings)
    make = blocks.Layers(
        blocks.seeds(seed),
        activation=settings.activation,
        initializer="he_normal",
        normalize=settings.batch_normalization,
        dropout=settings.dropout,
    )
    branches = []
    if inputs.candidate is not None:
        branches.append(_tower(inputs.candidate, settings.candidate, make, name="candidate"))
    if inputs.groups:
        for name, grid in (("inner", settings.inner), ("outer", settings.outer)):
            x = _fill_grid(inputs, settings, make, grid=grid, name=name)
            branches.append(_convolve_grid(x, settings, make, cells=grid.cells, name=name))
    x = _tower(blocks.merged(branches), settings.merge, make, name="merge")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name="deeptau")


def _tower(x: Any, tower: Tower, make: blocks.Layers, *, name: str, real: Any = None) -> Any:
    """Apply the dense layers of a tower, each followed by dropout."""
    for number, units in enumerate(tower.sizes(), start=1):
        layer = f"{name}_dense_{number}"
        x = make.drop(make.dense(x, units, name=layer, real=real), name=layer)
    return x


def _fill_grid(
    inputs: blocks.NetworkInputs, settings: DeepTau, make: blocks.Layers, *, grid: Grid, name: str
) -> Any:
    """Embed the objects of all groups and put them into cells, (N * cell * cell, unit)."""
    parts = []
    for group, objects in inputs.groups.items():
        prefix = f"{group}_{name}"
        angles = raw_features(
            {group: objects},
            (settings.coordinates.eta, settings.coordinates.phi),
            name=f"{name}_angles",
            bounds=(-LARGEST_ANGLE, LARGEST_ANGLE),
        )
        leading = LeadingInCell(grid.cells, grid.size, name=f"{prefix}_leading")
        cell, leads = leading(angles, objects.real)
        x = _tower(objects.rows, settings.groups[group].objects, make, name=prefix, real=leads)
        parts.append(FillGrid(grid.cells, name=f"{prefix}_grid")(x, cell, leads))
    return parts[0] if len(parts) == 1 else layers.Concatenate(name=f"{name}_grid")(parts)


def _convolve_grid(x: Any, settings: DeepTau, make: blocks.Layers, *, cells: int, name: str) -> Any:
    """Apply dense layers to each cell, then convolutions until one cell is left, (N, unit)."""
    x = _tower(x, settings.cells, make, name=f"{name}_cells")
    sizes = list(kernel_sizes(cells))
    filters = Tower(
        layers=len(sizes), units=settings.filters, reduction=settings.filter_reduction
    ).sizes()
    for number, (units, size) in enumerate(zip(filters, sizes, strict=True), start=1):
        layer = f"{name}_convolve_{number}"
        convolve = layers.Conv2D(
            units, size, use_bias=not make.normalize, kernel_initializer=make.kernel(), name=layer
        )
        x = convolve(Cells(cells, name=f"{layer}_in")(x))
        cells -= size - 1
        x = make.activated(CellRows(name=f"{layer}_out")(x), name=layer)
        x = make.drop(x, name=layer)
    return x


def kernel_sizes(cells: int) -> Iterator[int]:
    """Yield the kernel sizes that reduce a grid to one cell: 3s, and a last 2 where needed."""
    while cells > 1:
        size = min(cells, KERNEL_SIZE)
        yield size
        cells -= size - 1
