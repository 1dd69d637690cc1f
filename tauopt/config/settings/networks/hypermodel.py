"""Settings of a model of the user's own: a KerasTuner HyperModel, and what the file says of it.

Which hyperparameters it has is known only when it is built, so any name may stand here; they are
held against what the model asks for before the first trial.
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

OWN = "module:Class"
"""How the type of such a model is written."""
HYPERPARAMETERS = "model.hyperparameters."
"""What the path of a hyperparameter begins with; its name follows, whatever it holds."""
_TYPE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
_NOWHERE = Place("")


def _read(value: Any) -> Scalar | Range:
    """Return a value, or the range that a mapping stands for."""
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


def _write(value: Scalar | Range) -> Any:
    return as_plain(value) if isinstance(value, Range) else value


def _as_json(value: Any) -> Any:
    """Return nested values as JSON would give them back."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(part) for key, part in value.items()}
    return [_as_json(part) for part in value] if isinstance(value, (list, tuple)) else value


Argument = Annotated[Any, PlainValidator(_as_json), WithJsonSchema({})]
"""Any value of a file."""

Hyperparameter = Annotated[
    Any,
    PlainValidator(_read),
    PlainSerializer(_write),
    WithJsonSchema({"type": ["boolean", "number", "string"]}),
]
"""A value that fixes a hyperparameter, or a range that narrows it."""


class OwnModel(Settings):
    """A KerasTuner HyperModel, or a function of `hp` that returns a model, of the user's own."""

    type: Annotated[str, StringConstraints(pattern=_TYPE)]
    """`package.module:Class`, importable where `tauopt` and Ray's workers run."""
    groups: dict[Variable, ObjectGroup] = {}
    """The groups that the model sees; by default all groups of the dataset."""
    arguments: dict[Variable, Argument] = {}
    """What the class is made with, by name."""
    hyperparameters: dict[str, Hyperparameter] = Field(
        default={}, examples=[{"units": 64, "lr": {"float": [1e-4, 1e-2]}}]
    )
    """Hyperparameters that the file fixes (a value) or narrows (a range), by name; the model
    asks for all others as it declares them."""
    architecture: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """Digest of the network that a trial was begun with; tauopt writes it, and refuses to go on
    with another network."""

    def seen(self) -> tuple[str, ...]:
        """Return what the model sees: `candidate`, and names of groups."""
        return (CANDIDATE, *self.groups)

    @property
    def narrowed(self) -> dict[str, Range]:
        """Hyperparameters that stand as ranges."""
        return {n: v for n, v in self.hyperparameters.items() if isinstance(v, Range)}


def is_own(type_: Any) -> bool:
    """Say whether a type of a model names a class of the user's own."""
    return isinstance(type_, str) and ":" in type_


def short_type(type_: str) -> str:
    """Return what a model's type is called in names of runs: a class without its module."""
    return type_.rpartition(":")[2]


def with_own_groups(root: Node) -> Node:
    """Give a model of the user's own all groups of the dataset, unless the file names some."""
    model, groups = tree.get(root, ("model",)), tree.get(root, ("data", "groups"))
    chosen = tree.get(root, ("model", "type"))
    if model is None or groups is None or chosen is None or not is_own(chosen.value):
        return root
    if "groups" in model.entries:
        return root
    all_groups = {name: Node({}, model.place) for name in groups.entries}
    keys = dict.fromkeys(all_groups, model.place)
    return tree.put(root, ("model", "groups"), Node(all_groups, model.place, keys))
