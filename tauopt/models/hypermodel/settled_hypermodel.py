"""A model of the user's own whose hyperparameters are settled: built again as it was."""

from __future__ import annotations

import keras

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel
from tauopt.models.hypermodel.hypermodel_network import BuiltHyperModel, build
from tauopt.models.hypermodel.recording_hyperparameters import ChangedSpaceError, recorded


def settle(own: OwnModel, built: BuiltHyperModel) -> OwnModel:
    """Return the settings of what was built: every hyperparameter a value, none left open."""
    settled = {"hyperparameters": built.values, "architecture": built.architecture}
    return own.model_copy(update=settled)


def build_recorded(own: OwnModel, spec: InputSpec, *, seed: int) -> BuiltHyperModel:
    """Build a model from settings that `settle` returned.

    Raises:
        ChangedSpaceError: it asks for other hyperparameters with these values, or is another
            network than then.
    """
    built = build(own, spec, recorded(own.hyperparameters), seed=seed)
    if unasked := [name for name in own.hyperparameters if name not in built.values]:
        raise ChangedSpaceError(
            f"build does not ask for {', '.join(map(repr, unasked))}, which it asked for before "
            "with the same values: it must depend on nothing but hp"
        )
    # Layers tell a policy of other precision in their configuration: the digest is of float32.
    is_comparable = keras.config.dtype_policy().name == "float32"
    if is_comparable and own.architecture not in ("", built.architecture):
        raise ChangedSpaceError(
            f"build of {own.type} returned another network than before with the same values: "
            "it must depend on nothing but hp, and its code must not change during a search"
        )
    return built
