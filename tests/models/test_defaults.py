"""The networks with default settings, on the features of the demo sample."""

from __future__ import annotations

from typing import get_args

import pytest

from tauopt.config.settings.inputs import FittedGroup, InputSpec
from tauopt.config.settings.network_catalogue import catalogue
from tauopt.config.settings.networks import AnyNetwork, group_lengths
from tauopt.models.build_model import BUILDERS, describe
from tests.models.specs import group

FEATURES = {"tracks": 9, "clusters": 7, "neutral_pfos": 12, "conversions": 4}
PARAMETERS = {entry.type: entry.parameters for entry in catalogue()}
"""Documented numbers for default settings, two classes, 11 candidate features and these groups."""


def default(kind: str) -> AnyNetwork:
    classes = {get_args(c.model_fields["type"].annotation)[0]: c for c in BUILDERS}
    settings = {"type": kind}
    if kind == "decay_mode_rnn":  # the demo sample has neither charged PFOs nor shots
        settings["groups"] = {"neutral_pfos": {}, "conversions": {}}
    return classes[kind].model_validate(settings)


def demo_group(name: str, count: int) -> FittedGroup:
    """Return a group; features that networks use as coordinates have the demo sample's names."""
    unnamed = group(name, count)
    names = ["et" if name == "clusters" else "pt", "pt_jet_seed", "d_eta", "d_phi"]
    features = [
        feature.model_copy(update={"name": names[position] if position < 4 else feature.name})
        for position, feature in enumerate(unnamed.features)
    ]
    return unnamed.model_copy(update={"features": tuple(features)})


def test_the_catalogue_states_the_parameters_of_every_network():
    kinds = [get_args(c.model_fields["type"].annotation)[0] for c in get_args(AnyNetwork)]
    assert list(PARAMETERS) == kinds
    assert list(BUILDERS) == list(get_args(AnyNetwork))


@pytest.mark.parametrize("kind", PARAMETERS)
def test_defaults_have_the_stated_number_of_parameters(kind):
    network = default(kind)
    spec = InputSpec(
        candidate=group("candidate", 11),
        groups=tuple(demo_group(name, count) for name, count in FEATURES.items()),
        lengths=group_lengths(network),
        classes=("jet", "tau"),
        signal=("tau",),
    )
    assert describe(spec, network).parameters == PARAMETERS[kind]
