"""Settings of DeepTau."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tauopt.config.settings.base import Settings, Variable
from tauopt.config.settings.networks.network_base import (
    DEMO,
    GROUPS,
    Activation,
    Coordinates,
    NetworkSettings,
    ObjectGroup,
)
from tauopt.config.settings.networks.towers import MAX_UNITS, Tower


class Grid(Settings):
    """A square grid of cells around the candidate's axis."""

    cells: int = Field(default=11, ge=1, le=41)
    """Cells along each side."""
    size: float = Field(default=0.02, ge=0.001, le=100.0)
    """Side of a cell, in pseudorapidity and in radians."""


class DeepTauGroup(ObjectGroup):
    """Objects of one kind; each cell of the grids holds the leading one."""

    objects: Tower = Tower(layers=3, units=24, last_units=12, reduction=0.625)
    """Dense layers on the object in a cell. Published: from 2.4 times as many units as the group
    has features down to 1.2 times."""


class DeepTau(NetworkSettings):
    """CMS DeepTau: an inner and an outer grid of cells, convolved down to one cell each.

    The grids are large: on a CPU take fewer cells, for instance `outer: {cells: 11, size: 0.1}`.
    """

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = {
        name: DeepTauGroup(length=group.length) for name, group in GROUPS.items()
    }
    usual: ClassVar[Mapping[str, str]] = {
        "inner.cells": "{choice: [5, 7, 11]}",
        "outer.cells": "{choice: [11, 15, 21]}",
        "cells.units": "{int: [16, 128], log: true}",
        "filters": "{int: [16, 64], log: true}",
        "filter_reduction": "{float: [0.6, 1.0]}",
        "dropout": "{float: [0.0, 0.4]}",
        "merge.layers": "{int: [1, 4]}",
        "merge.units": "{int: [64, 200], log: true}",
    }
    usual_training: ClassVar[Mapping[str, str]] = {
        "optimizer": "nadam",
        "learning_rate": "{float: [1.0e-4, 1.0e-2], log: true}",
        "loss": "{choice: [crossentropy, focal]}",
        "focal_gamma": "{float: [0.5, 3.0], when: {training.loss: focal}}",
        "batch_size": "{choice: [256, 512, 1024]}",
    }

    parameters: ClassVar[int] = 746_527
    source: ClassVar[str] = "CMS, arXiv:2201.08458"

    type: Literal["deeptau"]
    """A convolutional network on grids."""
    inner: Grid = Grid(cells=11, size=0.02)
    """Fine grid, for the candidate's decay products."""
    outer: Grid = Grid(cells=21, size=0.05)
    """Coarse grid, for the surroundings of the candidate."""
    activation: Activation = "prelu"
    """Activation of all layers but the output."""
    batch_normalization: bool = True
    """Batch normalisation of each layer's outputs."""
    dropout: float = Field(default=0.2, ge=0.0, le=0.9)
    """Dropout rate after each layer."""
    coordinates: Coordinates = Coordinates()
    """Features that place an object in a cell."""
    groups: dict[Variable, DeepTauGroup] = Field(
        default={name: DeepTauGroup(length=GROUPS[name].length) for name in DEMO}, min_length=1
    )
    """Groups whose objects fill the grids."""
    candidate: Tower = Tower(layers=3, units=104, last_units=52, reduction=0.714)
    """Dense layers on the candidate's own features."""
    cells: Tower = Tower(layers=1, units=64)
    """Dense layers on each cell, over the objects of all groups in it: 1x1 convolutions."""
    filters: int = Field(default=64, ge=1, le=MAX_UNITS)
    """Filters of the first convolution of 3x3 cells."""
    filter_reduction: float = Field(default=1.0, ge=0.1, le=1.0)
    """Filters of each further convolution, as a fraction of those of the one before."""
    merge: Tower = Tower(layers=4, units=200)
    """Dense layers on both grids and the candidate, concatenated."""
