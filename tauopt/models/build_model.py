"""From settings to a Keras model, through KerasTuner's hyperparameters.

Each built-in network is a `keras_tuner.HyperModel`; another one is a settings class in
`tauopt.config.settings.networks` (a file, and a line in its `AnyNetwork`), a function from settings
to a model here and a line in `BUILDERS`, and its own layers in `model_file.OUR_LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import (
    AnyNetwork,
    DecayModeRnn,
    DeepSets,
    DeepTau,
    Dense,
    OwnModel,
    ParticleNet,
    Rnn,
    Transformer,
    group_lengths,
)
from tauopt.models.deepsets import deepsets
from tauopt.models.deeptau import deeptau
from tauopt.models.dense import dense
from tauopt.models.hypermodel.compiled_model import CompiledBy
from tauopt.models.hypermodel.settled_hypermodel import build_recorded
from tauopt.models.hyperparameters import declare, values
from tauopt.models.particlenet import particlenet
from tauopt.models.rnn import rnn
from tauopt.models.transformer import transformer

BUILDERS: dict[type[AnyNetwork], Callable[..., keras.Model]] = {
    Rnn: rnn,
    DecayModeRnn: rnn,
    DeepSets: deepsets,
    Transformer: transformer,
    ParticleNet: particlenet,
    DeepTau: deeptau,
    Dense: dense,
}
"""Settings class -> builder(spec, settings, seed=...)."""


class NetworkModel(keras_tuner.HyperModel):
    """A built-in network as KerasTuner knows it: `build` asks `hp` for every knob."""

    def __init__(self, spec: InputSpec, base: AnyNetwork, *, seed: int) -> None:
        """Take what the network sees, the defaults of its knobs, and the seed of its weights."""
        super().__init__(name=base.type)
        self.spec = spec
        self.base = base
        self.seed = seed

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the model that the values of `hp` describe; lengths of groups are among them."""
        settings = declare(hp, self.base)
        spec = self.spec.model_copy(update={"lengths": group_lengths(settings)})
        return BUILDERS[type(settings)](spec, settings, seed=self.seed)


def build_model(spec: InputSpec, network: AnyNetwork | OwnModel, *, seed: int) -> keras.Model:
    """Build a network with the same weights for the same seed, on any machine.

    Args:
        spec: what the network sees; inputs and output of the model are as it says.
        network: settings; its groups and lengths are those of `spec`.
        seed: of the initial weights and of dropout.
    Raises:
        ValueError: groups or lengths of `spec` and `network` differ.
        ChangedSpaceError: a model of the user's own is not what it was when its values were
            recorded.
    """
    if dict(spec.lengths) != group_lengths(network):
        raise ValueError(
            f"the input spec has groups {dict(spec.lengths)}, "
            f"the network {group_lengths(network)}; expected the same"
        )
    if isinstance(network, OwnModel):
        return build_recorded(network, spec, seed=seed).network
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values(network))
    return NetworkModel(spec, network, seed=seed).build(hp)


def build_trainable(
    spec: InputSpec, network: AnyNetwork | OwnModel, *, seed: int
) -> tuple[keras.Model, CompiledBy | None]:
    """Build a network, see `build_model`, with the optimizer and loss that it brings, if any."""
    if isinstance(network, OwnModel):
        built = build_recorded(network, spec, seed=seed)
        return built.network, built.compiled
    return build_model(spec, network, seed=seed), None


@dataclass(frozen=True)
class Description:
    """A network without its weights: parameters, and Keras's table of layers."""

    parameters: int
    summary: str


def describe(spec: InputSpec, network: AnyNetwork | OwnModel) -> Description:
    """Count the parameters of a network and list its layers, without training it."""
    model = build_model(spec, network, seed=0)
    lines: list[str] = []

    def take(line: str, **_: Any) -> None:
        lines.append(line)

    model.summary(print_fn=take, line_length=100)
    return Description(int(model.count_params()), "\n".join(lines))
