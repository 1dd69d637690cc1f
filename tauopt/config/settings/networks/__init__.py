"""Settings of the built-in networks: the one place that states their knobs, bounds and defaults.

Each scalar may be a range in a search space. The models declare the same fields to
`keras_tuner.HyperParameters` from these classes, so there is no second list. Defaults are the
literature's. A network is one file here and one line in `AnyNetwork`. A model of the user's own
(`module:Class`) declares its knobs itself: see `own`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from tauopt.config.settings.networks.deepsets import DeepSets, DeepSetsGroup
from tauopt.config.settings.networks.deeptau import DeepTau, DeepTauGroup, Grid
from tauopt.config.settings.networks.dense import Dense
from tauopt.config.settings.networks.hypermodel import OWN, OwnModel, is_own
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


def _whose(network: Any) -> str:
    """Return the tag of settings, or of values that shall become some."""
    is_plain = isinstance(network, dict)
    type_ = network.get("type") if is_plain else getattr(network, "type", None)
    return OWN if is_own(type_) else "built-in"


Network = Annotated[
    Annotated[_BuiltIn, Tag("built-in")] | Annotated[OwnModel, Tag(OWN)], Discriminator(_whose)
]
"""Settings of a network, told apart by `type`: built in, or the user's own."""


def group_lengths(network: AnyNetwork | OwnModel) -> dict[str, int]:
    """Return objects kept a candidate for each group that `network` sees.

    Raises:
        ValueError: `inputs` names something that the network has not.
    """
    seen = network.seen()
    return {name: group.length for name, group in network.groups.items() if name in seen}
