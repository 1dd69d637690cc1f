"""Settings of the built-in networks: the one place that states their knobs, bounds and defaults.

Each scalar may be a range in a search space. The models declare the same fields to
`keras_tuner.HyperParameters` from these classes, so there is no second list. Defaults are the
literature's (PHYSICS: rnn-tauid's baseline; the unified DeepSets).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tauopt.config.settings import Settings, Variable

Activation = Literal["relu", "tanh", "swish", "gelu", "elu"]


class _Network(Settings):
    """A part that a file names in part keeps this network's defaults in what it doesn't name."""

    known_groups: ClassVar[dict[str, dict[str, Any]]] = {}
    """The literature's values for groups of these names."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        completed = {name: cls._completed(name, value) for name, value in values.items()}
        if isinstance(groups := completed.get("groups"), dict):
            completed["groups"] = {
                name: _laid_on(cls.known_groups.get(name, {}), group)
                for name, group in groups.items()
            }
        return completed

    @classmethod
    def _completed(cls, name: str, value: Any) -> Any:
        field = cls.model_fields.get(name)
        default = field.default if field else None
        return _laid_on(default.model_dump(), value) if isinstance(default, Settings) else value


def _laid_on(default: dict[str, Any], value: Any) -> Any:
    return {**default, **value} if isinstance(value, dict) else value


class RnnGroup(Settings):
    """A branch over objects: dense layers on each object, then recurrent layers."""

    length: int = Field(default=10, ge=1, le=100)
    """Objects kept a candidate; the first ones."""
    dense_layers: int = Field(default=1, ge=0, le=4)
    """Dense layers on each object."""
    dense_units: int = Field(default=32, ge=4, le=512)
    """Width of each of them."""
    rnn_layers: int = Field(default=1, ge=1, le=4)
    """Recurrent layers over the objects."""
    units: int = Field(default=32, ge=4, le=512)
    """Width of each recurrent layer."""


class CandidateTower(Settings):
    """Dense layers on the candidate's own features."""

    layers: int = Field(default=2, ge=0, le=6)
    """Dense layers."""
    units: int = Field(default=128, ge=4, le=1024)
    """Width of each of them."""
    output_units: int = Field(default=16, ge=1, le=512)
    """Width of a last layer after them."""


class MergeTower(Settings):
    """Dense layers on all branches together."""

    layers: int = Field(default=0, ge=0, le=6)
    """Dense layers before the output."""
    units: int = Field(default=64, ge=4, le=1024)
    """Width of the first layer."""
    reduction: float = Field(default=0.5, ge=0.1, le=1.0)
    """Each further layer's width, as a fraction of the one before."""


_RNN_GROUPS: dict[str, dict[str, Any]] = {
    "tracks": {"length": 10, "dense_units": 32, "units": 32},
    "clusters": {"length": 6, "dense_units": 32, "units": 24},
}


class Rnn(_Network):
    """The ATLAS tau RNN: recurrent branches over objects, and the candidate's own features."""

    known_groups = _RNN_GROUPS

    type: Literal["rnn"]
    """A recurrent network."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of recurrent layer."""
    bidirectional: bool = False
    """Read the objects in both directions."""
    activation: Activation = "relu"
    """Of all dense layers but the output."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Before the merged layers and the output."""
    groups: dict[Variable, RnnGroup] = Field(
        default={name: RnnGroup(**values) for name, values in _RNN_GROUPS.items()}, min_length=1
    )
    """The groups that the network sees; `tracks` and `clusters` start from the ATLAS baseline."""
    candidate: CandidateTower = CandidateTower()
    """The candidate's own features."""
    merge: MergeTower = MergeTower()
    """What all branches are joined into."""


class DeepSetsGroup(Settings):
    """A branch over objects: phi on each object, masked sum, F on the sum."""

    length: int = Field(default=10, ge=1, le=100)
    """Objects kept a candidate; the first ones."""
    phi_layers: int = Field(default=3, ge=1, le=6)
    """Layers of phi, on each object, the last one included."""
    phi_units: int = Field(default=30, ge=4, le=512)
    """Width of the layers of phi but the last."""
    phi_output_units: int = Field(default=20, ge=1, le=512)
    """Width of the last layer of phi."""
    f_layers: int = Field(default=2, ge=0, le=6)
    """Layers of F, on the sum over objects, before its last one."""
    f_units: int = Field(default=20, ge=4, le=512)
    """Width of the layers of F but the last."""
    f_output_units: int = Field(default=20, ge=1, le=512)
    """Width of the last layer of F."""


_DEEPSETS_GROUPS: dict[str, dict[str, Any]] = {
    "tracks": {"length": 10},
    "clusters": {"length": 6},
    "neutral_pfos": {
        "phi_layers": 4, "phi_units": 80, "phi_output_units": 60,
        "f_units": 60, "f_output_units": 40,
    },
    "shots": {"length": 6, "phi_units": 20},
    "conversions": {"length": 4},
}  # fmt: skip


class DeepSets(_Network):
    """The unified classifier's Deep Sets: permutation-invariant branches over objects."""

    known_groups = _DEEPSETS_GROUPS

    type: Literal["deepsets"]
    """A Deep Sets network."""
    activation: Activation = "swish"
    """Of all dense layers but the output."""
    batch_normalization: bool = True
    """Normalise each layer's outputs over the batch."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """Before each merged layer."""
    groups: dict[Variable, DeepSetsGroup] = Field(
        default={
            name: DeepSetsGroup(**_DEEPSETS_GROUPS[name])
            for name in ("tracks", "neutral_pfos", "conversions")
        },
        min_length=1,
    )
    """The groups that the network sees; known names start from the unified classifier's widths."""
    candidate: CandidateTower = CandidateTower(units=60, output_units=15)
    """The candidate's own features."""
    merge: MergeTower = MergeTower(layers=2, units=100)
    """What all branches are joined into."""


class Dense(_Network):
    """Dense layers on the candidate's own features alone."""

    type: Literal["dense"]
    """A network of dense layers."""
    activation: Activation = "relu"
    """Of all layers but the output."""
    batch_normalization: bool = False
    """Normalise each layer's outputs over the batch."""
    dropout: float = Field(default=0.0, ge=0.0, le=0.9)
    """After each layer."""
    layers: int = Field(default=3, ge=1, le=8)
    """Dense layers before the output."""
    units: int = Field(default=64, ge=4, le=1024)
    """Width of the first layer."""
    reduction: float = Field(default=1.0, ge=0.1, le=1.0)
    """Each further layer's width, as a fraction of the one before."""


Network = Annotated[Rnn | DeepSets | Dense, Field(discriminator="type")]
"""Settings of one built-in network, told apart by `type`."""


def group_lengths(network: Rnn | DeepSets | Dense) -> dict[str, int]:
    """Return objects kept a candidate for each group that `network` uses."""
    if isinstance(network, Dense):
        return {}
    return {name: group.length for name, group in network.groups.items()}
