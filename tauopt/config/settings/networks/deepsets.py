"""Settings of the Deep Sets network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tauopt.config.settings.base import Variable
from tauopt.config.settings.networks.network_base import Activation, NetworkSettings, ObjectGroup
from tauopt.config.settings.networks.towers import Tower


class DeepSetsGroup(ObjectGroup):
    """A Deep Sets branch over objects: phi on each object, masked sum, F on the sum."""

    phi: Tower = Tower(layers=3, units=30, last_units=20)
    """Dense layers phi on each object."""
    f: Tower = Tower(layers=3, units=20)
    """Dense layers F on the sum over objects."""


_GROUPS = {
    "tracks": DeepSetsGroup(length=10),
    "clusters": DeepSetsGroup(length=6),
    "neutral_pfos": DeepSetsGroup(
        length=10, phi=Tower(widths=(80, 80, 60, 60)), f=Tower(widths=(60, 40, 40))
    ),
    "shots": DeepSetsGroup(length=6, phi=Tower(layers=3, units=20)),
    "conversions": DeepSetsGroup(length=4),
}


class DeepSets(NetworkSettings):
    """The unified classifier's Deep Sets: permutation-invariant branches over objects."""

    known_groups: ClassVar[Mapping[str, ObjectGroup]] = _GROUPS
    ignores_order: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, str]] = {
        "activation": "{choice: [swish, relu]}",
        "dropout": "{float: [0.0, 0.4]}",
        "groups.<group>.phi.layers": "{int: [1, 4]}",
        "groups.<group>.phi.units": "{int: [16, 128], log: true}",
        "merge.layers": "{int: [1, 4]}",
        "merge.units": "{int: [32, 256], log: true}",
    }
    usual_training: ClassVar[Mapping[str, str]] = {
        "optimizer": "adam",
        "learning_rate": "{float: [1.0e-4, 1.0e-2], log: true}",
        "loss": "{choice: [crossentropy, focal]}",
        "focal_gamma": "{float: [0.5, 3.0], when: {training.loss: focal}}",
        "batch_size": "{choice: [256, 512, 1024, 2048, 4096]}",
    }

    parameters: ClassVar[int] = 50_455
    source: ClassVar[str] = "arXiv:1703.06114, ATLAS unified classifier"

    type: Literal["deepsets"]
    """A Deep Sets network."""
    activation: Activation = "swish"
    """Activation of all dense layers but the output."""
    batch_normalization: bool = True
    """Batch normalisation of each layer's outputs."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Dropout rate before each layer of `merge`."""
    groups: dict[Variable, DeepSetsGroup] = Field(
        default={name: _GROUPS[name] for name in ("tracks", "neutral_pfos", "conversions")},
        min_length=1,
    )
    """Groups with a branch in the network; known names have the unified classifier's widths as
    defaults."""
    candidate: Tower = Tower(layers=3, units=60, reduction=0.5)
    """Dense layers on the candidate's own features."""
    merge: Tower = Tower(layers=2, units=100, reduction=0.5)
    """Dense layers on all branches, concatenated."""
