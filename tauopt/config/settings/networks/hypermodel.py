"""Settings of a model of the user's own: a KerasTuner HyperModel.

Its hyperparameters are known only when it is built, so a file may have any name here; the names
are compared with the model's before the first trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema

from tauopt.config.settings.base import Settings, Variable
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.config.settings.networks.network_base import ObjectGroup
from tauopt.config.settings.range_reader import read_range
from tauopt.config.settings.ranges import Range, as_plain
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, Place, Scalar, describe

OWN_TYPE = "module:Class"
"""Form of the `type` of such a model, in messages and as the key of its class."""
HYPERPARAMETERS = "model.hyperparameters."
"""Prefix of a hyperparameter's path; its name follows, which may contain dots."""
_TYPE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
_NOWHERE = Place("")


def _read(value: Any) -> Scalar | Range:
    """Return a value, or the range in a mapping."""
    if isinstance(value, (bool, int, float, str, Range)):
        return value
    node = _as_node(value)
    if not tree.is_range(node):
        raise ValueError(f"expected a value or a range, got {describe(value)}")
    draft, problems = read_range(node, ())
    if draft is None:
        raise ValueError("; ".join(problem.message.removeprefix(": ") for problem in problems))
    return draft.range


def _as_node(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): _as_node(part) for key, part in value.items()}, _NOWHERE)
    if isinstance(value, (list, tuple)):
        return Node(tuple(map(_as_node, value)), _NOWHERE)
    return Node(value, _NOWHERE)


def _as_json(value: Any) -> Any:
    """Return nested values as they are after a round trip through JSON."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(part) for key, part in value.items()}
    return [_as_json(part) for part in value] if isinstance(value, (list, tuple)) else value


Argument = Annotated[Any, PlainValidator(_as_json), WithJsonSchema({})]
"""An argument of the model's class: any value that a file can hold."""

Hyperparameter = Annotated[
    Any,
    PlainValidator(_read),
    PlainSerializer(lambda value: as_plain(value) if isinstance(value, Range) else value),
    WithJsonSchema({"type": ["boolean", "number", "string"]}),
]
"""A value that fixes a hyperparameter, or a range that narrows it."""


class OwnModel(Settings):
    """The user's own KerasTuner HyperModel, or function of `hp` that returns a Keras model."""

    type: Annotated[str, StringConstraints(pattern=_TYPE)]
    """Import path `package.module:Class`, importable where `tauopt` and Ray's workers run."""
    groups: dict[Variable, ObjectGroup] = {}
    """Groups that the model sees; by default all groups of the dataset."""
    arguments: dict[Variable, Argument] = {}
    """Keyword arguments of the class's constructor."""
    hyperparameters: dict[str, Hyperparameter] = Field(
        default={}, examples=[{"units": 64, "lr": {"float": [1e-4, 1e-2]}}]
    )
    """Hyperparameters that the file fixes (a value) or narrows (a range), by name; all others are
    searched as the model declares them."""
    architecture: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """Digest of the network with which a trial began; tauopt writes it, and refuses to continue
    with another network."""

    def seen(self) -> tuple[str, ...]:
        """Return the names of the inputs that the model sees: `candidate` and groups."""
        return (CANDIDATE, *self.groups)

    @property
    def narrowed(self) -> dict[str, Range]:
        """Hyperparameters that the file narrows to a range."""
        return {name: v for name, v in self.hyperparameters.items() if isinstance(v, Range)}


def is_own_type(type_: Any) -> bool:
    """Return whether a model's `type` is the import path of a user's own class."""
    return isinstance(type_, str) and ":" in type_


def short_type(type_: str) -> str:
    """Return a model's type for names of runs: a user's own class without its module."""
    return type_.rpartition(":")[2]


def with_default_groups(root: Node) -> Node:
    """Add all groups of the dataset to a user's own model, unless the file names its groups."""
    model, groups = tree.get(root, ("model",)), tree.get(root, ("data", "groups"))
    type_ = tree.get(root, ("model", "type"))
    if model is None or groups is None or type_ is None or not is_own_type(type_.value):
        return root
    if "groups" in model.entries:
        return root
    all_groups = {name: Node({}, model.place) for name in groups.entries}
    keys = dict.fromkeys(all_groups, model.place)
    return tree.put(root, ("model", "groups"), Node(all_groups, model.place, keys))
