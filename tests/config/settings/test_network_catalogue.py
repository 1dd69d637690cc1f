"""The catalogue lists every network and every setting, with the bounds that are validated."""

import re
from typing import get_args

import pytest
from pydantic import ValidationError

from tauopt.config.settings.network_catalogue import catalogue, knobs, network_class
from tauopt.config.settings.networks import AnyNetwork
from tauopt.errors import UsageError
from tauopt.models.hyperparameters import values

TYPES = [entry.type for entry in catalogue()]


def test_every_network_is_listed_with_description_size_and_source():
    assert len(TYPES) == len(get_args(AnyNetwork))
    for entry in catalogue():
        assert entry.what.endswith(".")
        assert entry.parameters > 1000
        assert entry.source
        assert entry.groups or entry.type == "dense"


@pytest.mark.parametrize("type_", TYPES)
def test_the_settings_are_those_that_the_model_declares_with_their_defaults(type_):
    network = network_class(type_).model_validate({"type": type_})
    listed = {knob.path: knob for knob in knobs(type_)}
    declared = values(network)
    del declared["model.type"]
    for path, value in declared.items():
        general = re.sub(r"^model\.groups\.[^.]*", "model.groups.<group>", path)
        assert general in listed
        if general == path:
            assert listed[path].default == value
        assert listed[general].what
    assert {path for path in listed if "<group>" not in path and "widths" not in path} == {
        path for path in declared if not path.startswith("model.groups.")
    }


def test_listed_bounds_are_those_that_are_validated():
    (layers,) = (knob for knob in knobs("transformer") if knob.path == "model.layers")
    assert layers.values == "whole numbers 1 to 12"
    transformer = network_class("transformer")
    assert transformer.model_validate({"type": "transformer", "layers": 12})
    with pytest.raises(ValidationError, match="less than or equal to 12"):
        transformer.model_validate({"type": "transformer", "layers": 13})


def test_an_unknown_network_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"no network 'transfomer' \(did you mean 'transformer'"):
        knobs("transfomer")
