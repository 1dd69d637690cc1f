"""Settings of the networks: their hyperparameters, bounds and defaults.

Each scalar may be a range in a search space. The models declare the same fields to
`keras_tuner.HyperParameters` from these classes, so there is no second list. Defaults follow the
literature. A new network is one file here and one line in `AnyNetwork`.

network_base     base classes: groups, coordinates, inputs, usual ranges
input_selection  texts of `inputs` and `drop`: which groups and features a network sees
towers           stacks of dense layers
rnn              ATLAS tau RNN and decay-mode RNN
deepsets, transformer, particlenet, deeptau, dense
                 one network each
hypermodel       a KerasTuner HyperModel of the user's own (`module:Class`), which declares its
                 hyperparameters itself
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from tauopt.config.settings.networks.deepsets import DeepSets, DeepSetsGroup
from tauopt.config.settings.networks.deeptau import DeepTau, DeepTauGroup, Grid
from tauopt.config.settings.networks.dense import Dense
from tauopt.config.settings.networks.hypermodel import OWN_TYPE, OwnModel, is_own_type
from tauopt.config.settings.networks.network_base import (
    Activation,
    Coordinates,
    NetworkSettings,
    ObjectGroup,
)
from tauopt.config.settings.networks.particlenet import ParticleNet
from tauopt.config.settings.networks.rnn import DecayModeRnn, Recurrent, Rnn, RnnGroup
from tauopt.config.settings.networks.towers import Tower
from tauopt.config.settings.networks.transformer import Transformer

__all__ = [
    "Activation",
    "AnyNetwork",
    "Coordinates",
    "DecayModeRnn",
    "DeepSets",
    "DeepSetsGroup",
    "DeepTau",
    "DeepTauGroup",
    "Dense",
    "Grid",
    "Network",
    "NetworkSettings",
    "ObjectGroup",
    "OwnModel",
    "ParticleNet",
    "Recurrent",
    "Rnn",
    "RnnGroup",
    "Tower",
    "Transformer",
    "group_lengths",
]

AnyNetwork = Rnn | DecayModeRnn | DeepSets | Transformer | ParticleNet | DeepTau | Dense
"""Settings of one built-in network."""

_BuiltIn = Annotated[AnyNetwork, Field(discriminator="type")]


def _union_tag(network: Any) -> str:
    """Return the tag of a network's settings, or of the plain values before validation."""
    is_plain = isinstance(network, dict)
    type_ = network.get("type") if is_plain else getattr(network, "type", None)
    return OWN_TYPE if is_own_type(type_) else "built-in"


Network = Annotated[
    Annotated[_BuiltIn, Tag("built-in")] | Annotated[OwnModel, Tag(OWN_TYPE)],
    Discriminator(_union_tag),
]
"""Settings of a network, selected by `type`: built in, or a model of the user's own."""


def group_lengths(network: AnyNetwork | OwnModel) -> dict[str, int]:
    """Return the number of objects kept per candidate, for each group that a network sees.

    Raises:
        ValueError: `inputs` names a group that the network does not have.
    """
    seen = network.seen()
    return {name: group.length for name, group in network.groups.items() if name in seen}
