"""The literature's networks as one writes them in plain Keras, and their inputs in plain numpy.

Nothing of `tauopt.models` is in them: `TimeDistributed` layers and Keras's own masks, LSTMs and
batch normalisation. Each takes the weights of tauopt's network of the same settings, layer by
layer, so that both can train from the same start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from tauopt.config.settings.inputs import FittedGroup, InputSpec
from tauopt.config.settings.networks import AnyNetwork, DecayModeRnn, DeepSets, Dense, Rnn, Tower


def plain_network(spec: InputSpec, settings: AnyNetwork) -> keras.Model:
    """Build the network; its inputs are those of `preprocessed`."""
    build, outputs = _BUILDERS[type(settings)], len(spec.classes)
    inputs = {"candidate": keras.Input((len(spec.candidate.features),), name="candidate")}
    for name, length in spec.lengths.items():
        features = len(spec.group(name).features)
        inputs[name] = keras.Input((length, features), name=name)
        inputs[f"{name}_mask"] = keras.Input((length,), name=f"{name}_mask", dtype="bool")
    x = build(inputs, settings, spec)
    one = outputs == 2  # a sigmoid for the signal, as published
    x = layers.Dense(1 if one else outputs, "sigmoid" if one else "softmax", name="output")(x)
    return keras.Model(inputs, x)


def _rnn(inputs: Mapping[str, Any], settings: Any, spec: InputSpec) -> Any:
    branches = []
    for name in spec.lengths:
        group, x, mask = settings.groups[name], inputs[name], inputs[f"{name}_mask"]
        for number, units in enumerate(group.dense.sizes(), start=1):
            dense = layers.Dense(units, settings.activation, name=f"{name}_dense_{number}")
            x = layers.TimeDistributed(dense)(x)
        kind = layers.LSTM if settings.cell == "lstm" else layers.GRU
        recurrent = kind(
            group.units, go_backwards=settings.reversed, name=f"{name}_{settings.cell}_1"
        )
        branches.append(recurrent(x, mask=mask))
    if "candidate" in settings.seen():
        branches.append(
            _tower(inputs["candidate"], settings.candidate, settings, "candidate_dense")
        )
    x = branches[0] if len(branches) == 1 else layers.Concatenate()(branches)
    return _tower(x, settings.merge, settings, "merge_dense")


def _tower(x: Any, tower: Tower, settings: Any, name: str) -> Any:
    for number, units in enumerate(tower.sizes(), start=1):
        x = layers.Dense(units, settings.activation, name=f"{name}_{number}")(x)
    return x


def _deepsets(inputs: Mapping[str, Any], settings: DeepSets, spec: InputSpec) -> Any:
    def tower(x: Any, tower: Tower, name: str, mask: Any = None) -> Any:
        for number, units in enumerate(tower.sizes(), start=1):
            layer = f"{name}_dense_{number}"
            x = layers.Dense(units, use_bias=False, name=layer)(x)
            normalize = layers.BatchNormalization(name=f"{layer}_normalize")
            x = normalize(x) if mask is None else normalize(x, mask=mask)
            x = layers.Activation(settings.activation)(x)
        return x

    branches = []
    for name in spec.lengths:
        group, mask = settings.groups[name], inputs[f"{name}_mask"]
        x = tower(inputs[name], group.phi, f"{name}_phi", mask)
        x = keras.ops.sum(x * keras.ops.cast(mask, x.dtype)[..., None], axis=1)
        branches.append(tower(x, group.f, f"{name}_f"))
    branches.append(tower(inputs["candidate"], settings.candidate, "candidate"))
    return tower(layers.Concatenate()(branches), settings.merge, "merge")


def _dense(inputs: Mapping[str, Any], settings: Dense, spec: InputSpec) -> Any:
    return _tower(inputs["candidate"], settings, settings, "dense")


_BUILDERS: dict[type, Callable[..., Any]] = {
    Rnn: _rnn,
    DecayModeRnn: _rnn,
    DeepSets: _deepsets,
    Dense: _dense,
}


def take_weights(plain: keras.Model, network: keras.Model) -> None:
    """Give a plain network the weights that tauopt's of the same settings begins with."""
    for layer in plain.layers:
        layer = layer.layer if isinstance(layer, layers.TimeDistributed) else layer
        if layer.weights:
            found = network.get_layer(layer.name).get_weights()
            if isinstance(layer, layers.BatchNormalization):
                gamma, beta, moving, _ = found
                found = [gamma, beta, *moving]
            layer.set_weights(found)


def preprocessed(spec: InputSpec, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Do to raw features what the dataset file says, and put zeros where there is no object."""
    ready = {"candidate": _features(spec.candidate, raw["candidate"])}
    for name in spec.lengths:
        mask = raw[f"{name}_mask"]
        x = np.where(mask[..., None], raw[name], 1.0)
        ready[name] = np.where(mask[..., None], _features(spec.group(name), x), 0)
        ready[f"{name}_mask"] = mask
    return {n: x if x.dtype == bool else x.astype(np.float32) for n, x in ready.items()}


def _features(group: FittedGroup, raw: np.ndarray) -> np.ndarray:
    columns = []
    for number, feature in enumerate(group.features):
        x, what = raw[..., number].astype(np.float64), feature.transform
        x = x / what.divide
        x = np.abs(x) if what.abs else x
        x = np.clip(x, what.min, what.max) if (what.min, what.max) != (None, None) else x
        x = x + what.offset
        x = np.log10(np.maximum(x, 1e-37)) if what.log10 else x
        x = np.clip(x, *feature.clip) if feature.clip else x
        columns.append((x - feature.shift) / feature.spread)
    return np.stack(columns, axis=-1)


def probabilities(spec: InputSpec, output: np.ndarray) -> np.ndarray:
    """Return the probabilities of all classes, (candidate, class)."""
    if output.shape[-1] > 1:
        return output
    signal = spec.classes.index(spec.signal[0])
    return np.concatenate([output, 1 - output] if signal == 0 else [1 - output, output], axis=1)
