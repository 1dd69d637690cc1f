"""Build the user's own model between our preprocessing and class probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.networks.hypermodel import short_type
from tauopt.config.source.yaml_source import Scalar
from tauopt.durable import sha256_json
from tauopt.models import blocks
from tauopt.models.hypermodel.compiled_model import CLIPPED, CompiledBy, compiled_by
from tauopt.models.hypermodel.hyperparameter_options import HyperparameterRequest
from tauopt.models.hypermodel.load_hypermodel import WrongModelError, load_build
from tauopt.models.hypermodel.recording_hyperparameters import (
    AnswerRequest,
    ChangedSpaceError,
    RecordingHyperParameters,
    answer_recorded,
)
from tauopt.models.model_file import foreign_classes, is_known_layer
from tauopt.models.object_layers import Objects


@dataclass(frozen=True)
class BuiltHyperModel:
    """A built model of the user's own, with the hyperparameters that it declared.

    Attributes:
        network: inputs of the `InputSpec` -> class probabilities.
        compiled: the model's own optimizer and loss; None: those of the experiment's settings.
        architecture: SHA-256 of the configuration of its layers and optimizer, without weights.
        requests: hyperparameters, in the order in which `build` declared them.
        values: hyperparameter -> value, also those that are `Fixed`.
    """

    network: keras.Model
    compiled: CompiledBy | None
    architecture: str
    requests: tuple[HyperparameterRequest, ...]
    values: dict[str, Scalar]


def build(
    settings: OwnModel, spec: InputSpec, answer: AnswerRequest, *, seed: int
) -> BuiltHyperModel:
    """Build a model of the user's own.

    Args:
        settings: class and arguments; their hyperparameters are used by `answer` only.
        spec: inputs, preprocessing constants and classes.
        answer: chooses the value of each hyperparameter.
        seed: seed of the random numbers of Python, numpy and TensorFlow, and so of the weights.
    Raises:
        WrongModelError: the user's code returns no model, the model's shapes are not those of the
            data and the task, or it has a layer that saved models must not hold.
        Exception: the user's code raised it; untouched.
    """
    # Without this, Keras's automatic layer names, and so the digest, would depend on the models
    # built before.
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    hp = RecordingHyperParameters(answer)
    model = load_build(settings, spec)(hp)
    _check_layers(settings.type, model)
    inputs = blocks.inputs(spec)
    if not model.built:
        _build_on(model, flat_inputs(inputs), settings.type)
    config = _config(settings.type, model)
    arguments = _arguments(settings.type, model, inputs)
    # The copy is not compiled: a saved network holds no optimizer.
    copy = type(model).from_config(config)
    copy.set_weights(model.get_weights())
    output = copy(arguments)
    _check_output(settings.type, output, spec)
    single = output.shape[-1] != len(spec.classes)
    positive_class = spec.classes.index(spec.signal[0]) if single else None
    optimizer = keras.optimizers.serialize(model.optimizer) if model.compiled else None
    return BuiltHyperModel(
        network=keras.Model(
            inputs.raw,
            _probabilities(output, positive_class, clip=model.compiled),
            name=short_type(settings.type),
        ),
        compiled=compiled_by(model, positive_class=positive_class),
        architecture=sha256_json({"model": config, "optimizer": optimizer}),
        requests=tuple(hp.requests),
        values=dict(hp.values),
    )


def settle(settings: OwnModel, built: BuiltHyperModel) -> OwnModel:
    """Return the settings of a built model: a value for each hyperparameter, and its digest."""
    update = {"hyperparameters": built.values, "architecture": built.architecture}
    return settings.model_copy(update=update)


def build_recorded(settings: OwnModel, spec: InputSpec, *, seed: int) -> BuiltHyperModel:
    """Build a model again from settings that `settle` returned; arguments as of `build`.

    Raises:
        ChangedSpaceError: with the same values, the model declares other hyperparameters or is
            another network.
    """
    built = build(settings, spec, answer_recorded(settings.hyperparameters), seed=seed)
    if missing := [name for name in settings.hyperparameters if name not in built.values]:
        raise ChangedSpaceError(
            f"build does not ask for {', '.join(map(repr, missing))}, which it asked for before "
            "with the same values: it must depend on nothing but hp"
        )
    # The configuration of a layer names its dtype policy, and the recorded digest is of float32.
    is_comparable = keras.config.dtype_policy().name == "float32"
    if is_comparable and settings.architecture not in ("", built.architecture):
        raise ChangedSpaceError(
            f"build of {settings.type} returned another network than before with the same values: "
            "it must depend on nothing but hp, and its code must not change during a search"
        )
    return built


def flat_inputs(inputs: blocks.NetworkInputs) -> Any:
    """Concatenate all preprocessed features: the candidate's own, then the objects of each group.

    Returns:
        (N, flat feature) symbolic tensor; zero where masked.
    """
    parts = [inputs.candidate]
    for name, group in inputs.groups.items():
        objects = Objects(group.length, name=f"{name}_objects")(group.rows)
        parts.append(layers.Flatten(name=f"{name}_flat")(objects))
    return parts[0] if len(parts) == 1 else layers.Concatenate(name="features")(parts)


def _check_layers(type_: str, model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise WrongModelError(f"{type_} returned {model!r}; expected a keras.Model")
    if not is_known_layer(model):
        raise WrongModelError(
            f"{type_} returned a {type(model).__name__}, a class of its own, whose code a saved "
            "model does not hold; make it with keras.Sequential or keras.Model(inputs, outputs)"
        )
    for layer in _all_layers(model):
        if not is_known_layer(layer):
            raise WrongModelError(
                f"{type_}: layer {layer.name!r} is a {type(layer).__name__} of "
                f"{type(layer).__module__}, neither Keras's nor tauopt's: saved models are loaded "
                "without running code that they bring along; make it of Keras's own layers"
            )


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return all layers, also those of models within the model."""
    all_layers = []
    for layer in model.layers:
        all_layers.append(layer)
        if isinstance(layer, keras.Model):
            all_layers += _all_layers(layer)
    return all_layers


def _config(type_: str, model: keras.Model) -> dict[str, Any]:
    config: dict[str, Any] = model.get_config()
    if foreign := foreign_classes(config):
        name, module = foreign[0]
        raise WrongModelError(
            f"{type_} uses {name!r} of module {module!r}, which saved models are not loaded with: "
            "they may name Keras's and tauopt's own layers and nothing else; take Keras's layers "
            "in place of operations and of functions of your own"
        )
    return config


def _arguments(type_: str, model: keras.Model, inputs: blocks.NetworkInputs) -> Any:
    """Return the arguments of the model: our inputs by name, or all features in one tensor."""
    expected = {x.name: x for x in model.inputs}
    if expected.keys() <= inputs.raw.keys():
        for name, x in expected.items():
            _check_shape(type_, f"input {name!r}", x, inputs.raw[name])
        return keras.tree.map_structure(lambda x: inputs.raw[x.name], model.input)
    if len(expected) > 1:
        raise WrongModelError(
            f"{type_} takes {', '.join(expected)}; expected one input for all features laid flat, "
            f"or some of {', '.join(inputs.raw)}"
        )
    features = flat_inputs(inputs)
    _check_shape(type_, "input", model.inputs[0], features)
    return features


def _check_shape(type_: str, label: str, expected: Any, given: Any) -> None:
    same_rank = len(expected.shape) == len(given.shape)
    pairs = zip(expected.shape[1:], given.shape[1:], strict=False)
    if not same_rank or any(length not in (None, actual) for length, actual in pairs):
        raise WrongModelError(
            f"{type_}: its {label} has shape {tuple(expected.shape)}, the data give "
            f"{tuple(given.shape)}; without a name of tauopt's, an input takes all features flat"
        )


def _build_on(model: keras.Model, features: Any, type_: str) -> None:
    """Build a model without an input shape by calling it."""
    try:
        model(features)
    except (ValueError, TypeError) as error:
        raise WrongModelError(
            f"{type_} can't take all features laid flat, {tuple(features.shape)}: {error}"
        ) from error


def _check_output(type_: str, output: Any, spec: InputSpec) -> None:
    classes = len(spec.classes)
    shapes = [(None, classes), *([(None, 1)] if classes == 2 else [])]
    if getattr(output, "shape", None) in shapes:
        return
    got = [tuple(x.shape) for x in keras.tree.flatten(output)]
    raise WrongModelError(
        f"{type_} gives {' and '.join(map(str, got))}; expected "
        f"{' or '.join(map(str, shapes))}, a probability for each class: {', '.join(spec.classes)}"
    )


def _probabilities(output: Any, positive_class: int | None, *, clip: bool) -> Any:
    """Return the probabilities of both classes where the model returns one of them."""
    if positive_class is None:
        return output
    # Fitted by a loss of its own, for instance least squares, the output may lie slightly outside
    # of 0 to 1.
    p = layers.ReLU(max_value=1.0, name=CLIPPED)(output) if clip else output
    return blocks.TwoClasses(positive_class, name="probabilities")(p)
