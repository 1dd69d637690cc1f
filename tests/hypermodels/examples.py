"""HyperModels as users write them: hyperparameters of every kind, scopes, loops and ifs."""

import keras
import keras_tuner
from keras import layers

from tauopt.models import blocks
from tauopt.models.object_layers import Objects


class Towers(keras_tuner.HyperModel):
    """Two architectures under conditional scopes; layers in a loop; not compiled."""

    def __init__(self, classes, largest=32):
        super().__init__(name="towers")
        self.classes = classes
        self.largest = largest

    def build(self, hp):
        kind = hp.Choice("kind", ["wide", "deep"])
        model = keras.Sequential()
        with hp.conditional_scope("kind", ["wide"]):
            if kind == "wide":
                model.add(layers.Dense(hp.Int("units", 8, self.largest, step=8), "relu"))
        with hp.conditional_scope("kind", ["deep"]):
            if kind == "deep":
                for number in range(hp.Int("layers", 1, 3)):
                    with hp.name_scope(f"layer_{number}"):
                        units = hp.Int("units", 2, 16, step=2, sampling="log")
                        model.add(layers.Dense(units, hp.Choice("activation", ["relu", "tanh"])))
        if hp.Boolean("drop"):
            model.add(layers.Dropout(hp.Float("rate", 0.1, 0.5, step=0.1)))
        model.add(layers.Dense(self.classes, "softmax"))
        return model


class Knobs(keras_tuner.HyperModel):
    """One hyperparameter of every kind; compiled, with a single sigmoid output."""

    def build(self, hp):
        model = keras.Sequential(
            [
                layers.Dense(hp.Int("units", 4, 64, sampling="log"), "relu"),
                layers.Dense(
                    hp.Int("narrow", 2, 32, sampling="reverse_log"), hp.Fixed("f", "relu")
                ),
                layers.Dropout(hp.Float("rate", 0.01, 0.9, sampling="reverse_log")),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
        rate = hp.Float("lr", 1e-4, 1e-1, step=10, sampling="log")
        model.compile(keras.optimizers.SGD(rate, momentum=0.5), "binary_crossentropy")
        return model


class Sparse(keras_tuner.HyperModel):
    """As KerasTuner's guides have it: layers that take any shape, and labels as indices."""

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def build(self, hp):
        model = keras.Sequential()
        model.add(layers.Flatten())
        for i in range(hp.Int("num_layers", 1, 3)):
            units = hp.Int(f"units_{i}", min_value=32, max_value=512, step=32)
            model.add(layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
        model.add(layers.Dense(self.num_classes, activation="softmax"))
        rate = hp.Float("lr", min_value=1e-4, max_value=1e-1, sampling="log", default=0.01)
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate=rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model


def squared(hp):
    """Compiled to a least-squares fit of one output, which may lie outside of 0 to 1."""
    x = keras.Input((hp.Fixed("features", 7 + 3 * 5),))
    y = layers.Dense(hp.Int("units", 8, 32), "relu")(layers.Dropout(0.1)(x))
    model = keras.Model(x, layers.Dense(1)(y))
    model.compile(keras.optimizers.Adam(hp.Float("lr", 1e-3, 1e-1, default=0.02)), "mse")
    return model


def plain(hp):
    """A function in place of a class, which declares one name in two ways."""
    model = keras.Sequential()
    if hp.Boolean("large"):
        model.add(layers.Dense(hp.Int("size", 16, 32), "relu"))
    else:
        model.add(layers.Dense(int(hp.Choice("size", ["2", "4"])), "relu"))
    model.add(layers.Dense(2, "softmax"))
    return model


def picky(hp):
    """Refuses some of its own points, as a model does that does not fit into memory."""
    units = hp.Int("units", 1, 8)
    if units > 6:
        raise ValueError(f"too wide: {units}")
    return keras.Sequential(
        [layers.Dense(units, hp.Choice("activation", ["relu", "elu"])), layers.Dense(2, "softmax")]
    )


class OnTracks(keras_tuner.HyperModel):
    """Written for tauopt: takes the `spec` and sees tracks as objects, by their names."""

    def __init__(self, spec):
        super().__init__()
        self.spec = spec

    def build(self, hp):
        inputs = blocks.inputs(self.spec)
        tracks = inputs.groups["tracks"]
        x = Objects(tracks.length)(tracks.rows)
        x = layers.GRU(hp.Int("units", 4, 16))(x, mask=tracks.real)
        x = layers.Concatenate()([x, inputs.candidate])
        output = layers.Dense(len(self.spec.classes), "softmax")(x)
        return keras.Model(inputs.raw, output)
