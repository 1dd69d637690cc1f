from __future__ import annotations

import keras_tuner
import pytest
from pydantic import ValidationError

from tauopt.config.settings.networks import DeepSets, Rnn
from tauopt.models.build_model import NetworkModel
from tauopt.models.hyperparameters import declare, values
from tests.models.specs import SMALL, spec_for


@pytest.mark.parametrize("network", [*SMALL.values(), Rnn(type="rnn"), DeepSets(type="deepsets")])
def test_declaring_without_values_returns_the_defaults(network):
    assert declare(keras_tuner.HyperParameters(), network) == network


@pytest.mark.parametrize("name", SMALL)
def test_every_scalar_is_declared_by_its_path_in_the_file(name):
    hp = keras_tuner.HyperParameters()
    declare(hp, SMALL[name])
    assert set(hp.values) == set(values(SMALL[name])) - {"model.type"}


def test_bounds_are_those_of_the_settings():
    hp = keras_tuner.HyperParameters()
    declare(hp, Rnn(type="rnn"))
    space = {knob.name: knob for knob in hp.space}
    units = space["model.groups.tracks.units"]
    assert (units.min_value, units.max_value, units.default) == (4, 512, 32)
    assert list(space["model.cell"].values) == ["lstm", "gru"]


def test_values_of_the_tuner_decide_the_network():
    network = SMALL["rnn"]
    hp = keras_tuner.HyperParameters()
    hp.values = {"model.cell": "gru", "model.groups.tracks.units": 7}
    model = NetworkModel(spec_for(network), network, seed=1).build(hp)
    assert model.get_layer("tracks_gru_1").units == 7


def test_a_length_that_the_tuner_chose_changes_the_inputs():
    network = SMALL["rnn"]
    hp = keras_tuner.HyperParameters()
    hp.values = {"model.groups.tracks.length": 9}
    model = NetworkModel(spec_for(network), network, seed=1).build(hp)
    assert model.get_layer("tracks_mask").output.shape == (None, 9)


def test_a_value_out_of_bounds_is_refused():
    hp = keras_tuner.HyperParameters()
    hp.values = {"model.dropout": 2.0}
    with pytest.raises(ValidationError):
        declare(hp, Rnn(type="rnn"))


def test_widths_are_fixed_and_a_pyramid_is_searched():
    hp = keras_tuner.HyperParameters()
    declare(hp, SMALL["deepsets"])
    assert "model.merge.units" in hp.values
    assert not [path for path in hp.values if path.startswith("model.groups.tracks.phi")]


def test_the_tuner_may_choose_the_inputs_of_the_network():
    hp = keras_tuner.HyperParameters()
    hp.values = {"model.inputs": "all-clusters", "model.drop": "tracks.f1"}
    model = NetworkModel(spec_for(SMALL["rnn"]), SMALL["rnn"], seed=1).build(hp)
    assert {x.name for x in model.inputs} == {"candidate", "tracks", "tracks_mask"}
    assert model.get_layer("tracks_dense_1").kernel.shape[0] == 3
