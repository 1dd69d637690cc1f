from __future__ import annotations

import keras_tuner
import pytest
from pydantic import ValidationError

from tauopt.config.networks import DeepSets, Dense, Rnn
from tauopt.models.build import NetworkModel
from tauopt.models.hyperparameters import declare, values
from tests.models.specs import SMALL, spec_for


@pytest.mark.parametrize(
    "network", [Rnn(type="rnn"), DeepSets(type="deepsets"), Dense(type="dense")]
)
def test_defaults_come_back_as_they_were(network):
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
