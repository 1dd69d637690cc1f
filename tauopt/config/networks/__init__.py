"""Settings of the built-in networks: the one place that states their knobs, bounds and defaults.

Each scalar may be a range in a search space. The models declare the same fields to
`keras_tuner.HyperParameters` from these classes, so there is no second list. Defaults are the
literature's. A network is one file here and one line in `AnyNetwork`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tauopt.config.networks.base import Activation, Coordinates, NetworkSettings, ObjectGroup
from tauopt.config.networks.deepsets import DeepSets, DeepSetsGroup
from tauopt.config.networks.deeptau import DeepTau, DeepTauGroup, Grid
from tauopt.config.networks.dense import Dense
from tauopt.config.networks.particlenet import ParticleNet
from tauopt.config.networks.rnn import DecayModeRnn, Recurrent, Rnn, RnnGroup
from tauopt.config.networks.towers import Tower
from tauopt.config.networks.transformer import Transformer

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

Network = Annotated[AnyNetwork, Field(discriminator="type")]
"""The same, told apart by `type`."""


def group_lengths(network: AnyNetwork) -> dict[str, int]:
    """Return objects kept a candidate for each group that `network` sees.

    Raises:
        ValueError: `inputs` names something that the network has not.
    """
    seen = network.seen()
    return {name: group.length for name, group in network.groups.items() if name in seen}
