"""HyperModels that can't be used, each in its own way."""

import random

import keras
import keras_tuner
from keras import layers


def softmax(*hidden, classes=2):
    return keras.Sequential([*hidden, layers.Dense(classes, "softmax")])


def raising(hp):
    raise ZeroDivisionError(f"units are {hp.Int('units', 1, 4)}")


def nothing(hp):
    softmax(layers.Dense(hp.Int("units", 1, 4)))


def other_names(hp):
    return softmax(layers.Dense(hp.Int(f"units_{random.random()}", 1, 4)))


def other_bounds(hp):
    return softmax(layers.Dense(hp.Int("units", 1, random.randint(10, 10**9))))


def fewer(hp):
    if random.random() < SOMETIMES:
        hp.Int("sometimes", 1, 4)
    return softmax(layers.Dense(4))


SOMETIMES = 1.0


def other_network(hp):
    return softmax(layers.Dense(random.randint(10, 10**6)))


def ten_classes(hp):
    return softmax(classes=10)


def images(hp):
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(2)])


def convolution(hp):
    return softmax(layers.Conv2D(4, 3), layers.Flatten())


def two_inputs(hp):
    one, other = keras.Input((7,), name="one"), keras.Input((7,), name="other")
    return keras.Model([one, other], layers.Dense(2, "softmax")(layers.Add()([one, other])))


def operations(hp):
    x = keras.Input((7,))
    return keras.Model(x, layers.Dense(2, "softmax")(x + 1.0))


def logits(hp):
    return keras.Sequential([layers.Dense(2)])


def compiled_for_logits(hp):
    model = keras.Sequential([layers.Dense(2)])
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


def without_loss(hp):
    model = softmax()
    model.compile("adam")
    return model


def a_lambda(hp):
    return softmax(layers.Lambda(lambda x: 2 * x))


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


def own_layer(hp):
    return softmax(Doubled())


def double(x):
    return 2 * x


def own_activation(hp):
    return softmax(layers.Dense(4, activation=double))


class OwnNetwork(keras.Model):
    def call(self, x):
        return x


def own_class(hp):
    return OwnNetwork()


class Fitting(keras_tuner.HyperModel):
    def build(self, hp):
        return softmax()

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Int("batch_size", 32, 64), **kwargs)


class Needy(keras_tuner.HyperModel):
    def __init__(self, depth):
        super().__init__()
        self.depth = depth

    def build(self, hp):
        return softmax()


NUMBER = 3
