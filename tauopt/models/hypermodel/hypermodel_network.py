"""A model of the user's own on our data: our preprocessing before it, class probabilities after."""

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
from tauopt.models.hypermodel.compiled_model import CLIPPED, CompiledBy, compiled
from tauopt.models.hypermodel.hypermodel_inputs import flat
from tauopt.models.hypermodel.hyperparameter_options import HyperparameterRequest
from tauopt.models.hypermodel.load_hypermodel import WrongModelError, builder
from tauopt.models.hypermodel.recording_hyperparameters import (
    AnswerRequest,
    RecordingHyperParameters,
)
from tauopt.models.model_file import foreign_classes, is_known_layer


@dataclass(frozen=True)
class BuiltHyperModel:
    """What a model of the user's own became.

    Attributes:
        network: inputs as `InputSpec` says -> class probabilities.
        compiled: its own optimizer and loss; None leaves them to the experiment's settings.
        architecture: SHA-256 of its layers and its optimizer, weights aside.
        questions: hyperparameters, as it asked for them.
        values: the answers, by name; those of `Fixed` ones are among them.
    """

    network: keras.Model
    compiled: CompiledBy | None
    architecture: str
    questions: tuple[HyperparameterRequest, ...]
    values: dict[str, Scalar]


def build(own: OwnModel, spec: InputSpec, answer: AnswerRequest, *, seed: int) -> BuiltHyperModel:
    """Build a model of the user's own.

    Names of layers, and with them its architecture, depend on nothing that was built before;
    weights are those of the seed, which Python's, numpy's and TensorFlow's random numbers get.

    Args:
        own: its class and arguments; hyperparameters are `answer`'s business.
        spec: what it sees.
        answer: chooses each hyperparameter.
        seed: of the initial weights.
    Raises:
        WrongModelError: it is no model, takes or gives other shapes than the data and the task
            have, or has a layer that a saved model could not be loaded with.
        Exception: whatever the user's code raises, untouched.
    """
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    hp = RecordingHyperParameters(answer)
    model = builder(own, spec)(hp)
    _check_kind(own.type, model)
    inputs = blocks.inputs(spec)
    if not model.built:
        _lay_on(model, flat(inputs), own.type)
    config = _config(own.type, model)
    arguments = _arguments(own.type, model, inputs)
    output = _output(own.type, _copy(model, config)(arguments), spec)
    of_two = spec.classes.index(spec.signal[0]) if output.shape[-1] != len(spec.classes) else None
    return BuiltHyperModel(
        network=keras.Model(
            inputs.raw, _probabilities(output, of_two, model.compiled), name=short_type(own.type)
        ),
        compiled=compiled(model, of_two=of_two),
        architecture=sha256_json({"model": config, "optimizer": _optimizer_config(model)}),
        questions=tuple(hp.questions),
        values=dict(hp.values),
    )


def _check_kind(type_: str, model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise WrongModelError(f"{type_} returned {model!r}; expected a keras.Model")
    if not is_known_layer(model):
        raise WrongModelError(
            f"{type_} returned a {type(model).__name__}, a class of its own, whose code a saved "
            "model does not hold; make it with keras.Sequential or keras.Model(inputs, outputs)"
        )
    for layer in _layers(model):
        if not is_known_layer(layer):
            raise WrongModelError(
                f"{type_}: layer {layer.name!r} is a {type(layer).__name__} of "
                f"{type(layer).__module__}, neither Keras's nor tauopt's: saved models are loaded "
                "without running code that they bring along; make it of Keras's own layers"
            )


def _layers(model: keras.Model) -> list[Any]:
    """Return all layers, those of models in the model too."""
    found = []
    for layer in model.layers:
        found.append(layer)
        if isinstance(layer, keras.Model):
            found += _layers(layer)
    return found


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


def _copy(model: keras.Model, config: dict[str, Any]) -> keras.Model:
    """Return the model with its weights, not compiled: a saved network holds no optimizer."""
    copied = type(model).from_config(config)
    copied.set_weights(model.get_weights())
    return copied


def _arguments(type_: str, model: keras.Model, inputs: blocks.NetworkInputs) -> Any:
    """Return what the model is called with: our inputs by name, or all features laid flat."""
    wanted = {x.name: x for x in model.inputs}
    if wanted.keys() <= inputs.raw.keys():
        for name, x in wanted.items():
            _check_shape(type_, f"input {name!r}", x, inputs.raw[name])
        return keras.tree.map_structure(lambda x: inputs.raw[x.name], model.input)
    if len(wanted) > 1:
        raise WrongModelError(
            f"{type_} takes {', '.join(wanted)}; expected one input for all features laid flat, "
            f"or some of {', '.join(inputs.raw)}"
        )
    features = flat(inputs)
    _check_shape(type_, "input", model.inputs[0], features)
    return features


def _check_shape(type_: str, what: str, wanted: Any, given: Any) -> None:
    same = len(wanted.shape) == len(given.shape)
    pairs = zip(wanted.shape[1:], given.shape[1:], strict=False)
    if not same or any(one not in (None, other) for one, other in pairs):
        raise WrongModelError(
            f"{type_}: its {what} has shape {tuple(wanted.shape)}, the data give "
            f"{tuple(given.shape)}; without a name of tauopt's, an input takes all features flat"
        )


def _lay_on(model: keras.Model, features: Any, type_: str) -> None:
    """Build a model that has no shape of input yet."""
    try:
        model(features)
    except (ValueError, TypeError) as error:
        raise WrongModelError(
            f"{type_} can't take all features laid flat, {tuple(features.shape)}: {error}"
        ) from error


def _output(type_: str, output: Any, spec: InputSpec) -> Any:
    """Return the output, if it may be class probabilities."""
    classes = len(spec.classes)
    shapes = [(None, classes), *([(None, 1)] if classes == 2 else [])]
    if getattr(output, "shape", None) in shapes:
        return output
    got = [tuple(x.shape) for x in keras.tree.flatten(output)]
    raise WrongModelError(
        f"{type_} gives {' and '.join(map(str, got))}; expected "
        f"{' or '.join(map(str, shapes))}, a probability for each class: {', '.join(spec.classes)}"
    )


def _probabilities(output: Any, of_two: int | None, is_compiled: bool) -> Any:
    """Return both probabilities where the model gives one.

    What was fitted by a loss of its own, for instance least squares, may lie a little outside of
    0 to 1, and is clipped.
    """
    if of_two is None:
        return output
    p = layers.ReLU(max_value=1.0, name=CLIPPED)(output) if is_compiled else output
    return blocks.TwoClasses(of_two, name="probabilities")(p)


def _optimizer_config(model: keras.Model) -> Any:
    return keras.optimizers.serialize(model.optimizer) if model.compiled else None
