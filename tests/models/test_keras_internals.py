"""What an upgrade of Keras must leave as it is, or `_keras_internals` must follow."""

import json
import zipfile

import keras

from tauopt.models._keras_internals import (
    FUNCTIONAL_MODULE,
    all_layers,
    is_keras_layer,
    is_keras_model,
)
from tauopt.models.recurrent import Lstm


def make_model():
    inputs = keras.Input((4, 3))
    x = keras.layers.Bidirectional(keras.layers.LSTM(2))(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def test_layers_inside_of_layers_are_among_all_layers():
    kinds = [type(layer).__name__ for layer in all_layers(make_model())]
    assert kinds.count("LSTM") == 2
    assert {"Bidirectional", "Dense"} <= set(kinds)


def test_a_file_names_the_module_of_functional_models(tmp_path):
    make_model().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert config["module"] == FUNCTIONAL_MODULE


def test_classes_of_keras_are_told_from_others():
    assert is_keras_model(type(make_model()))
    assert is_keras_layer(keras.layers.Dense)
    assert not is_keras_layer(Lstm)
    assert not is_keras_model(type("Own", (keras.Model,), {}))
