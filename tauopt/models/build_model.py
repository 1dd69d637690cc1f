"""Build a Keras model from network settings, through KerasTuner's hyperparameters.

Each built-in network is a `keras_tuner.HyperModel`. To add a network, write

- its settings class: a file in `tauopt.config.settings.networks`, and a line in `AnyNetwork` there;
- its builder: a function from settings to a model in this package, and a line in `BUILDERS`;
- a line in `model_file.OUR_LAYERS` for each new layer class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from tauopt.models.hypermodel.hypermodel_network import build_recorded
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
    """A built-in network as a KerasTuner HyperModel: `build` declares every setting to `hp`."""

    def __init__(self, spec: InputSpec, base: AnyNetwork, *, seed: int) -> None:
        """Create the HyperModel.

        Args:
            spec: inputs and classes; group lengths come from the hyperparameters.
            base: settings, whose values are the defaults of the hyperparameters.
            seed: seed of the initial weights and of dropout.
        """
        super().__init__(name=base.type)
        self.spec = spec
        self.base = base
        self.seed = seed

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build the model from the values of `hp`, group lengths included."""
        settings = declare(hp, self.base)
        spec = self.spec.model_copy(update={"lengths": group_lengths(settings)})
        return BUILDERS[type(settings)](spec, settings, seed=self.seed)


def build_model(spec: InputSpec, network: AnyNetwork | OwnModel, *, seed: int) -> keras.Model:
    """Build a network; the same seed gives the same weights on any machine.

    Args:
        spec: inputs, preprocessing constants and classes of the model.
        network: settings, with the groups and lengths of `spec`.
        seed: seed of the initial weights and of dropout.
    Raises:
        ValueError: groups or lengths of `spec` and `network` differ.
        ChangedSpaceError: a user's own model declares other hyperparameters, or is another
            network, than when its values were recorded.
    """
    if dict(spec.lengths) != group_lengths(network):
        raise ValueError(
            f"the input spec has groups {dict(spec.lengths)}, the network settings have "
            f"{group_lengths(network)}; expected the same"
        )
    if isinstance(network, OwnModel):
        return build_recorded(network, spec, seed=seed).network
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values(network))
    return NetworkModel(spec, network, seed=seed).build(hp)


def build_trainable(
    spec: InputSpec, network: AnyNetwork | OwnModel, *, seed: int
) -> tuple[keras.Model, CompiledBy | None]:
    """Build a network as `build_model` does; return also its own optimizer and loss, if any."""
    if isinstance(network, OwnModel):
        built = build_recorded(network, spec, seed=seed)
        return built.network, built.compiled
    return build_model(spec, network, seed=seed), None


@dataclass(frozen=True)
class Description:
    """Number of parameters of a network, and Keras's table of its layers."""

    parameters: int
    summary: str


def describe(spec: InputSpec, network: AnyNetwork | OwnModel) -> Description:
    """Count the parameters of a network and list its layers, without training it."""
    model = build_model(spec, network, seed=0)
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=100)
    return Description(int(model.count_params()), "\n".join(lines))
