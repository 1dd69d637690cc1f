"""The `model` and `training` of a first search space: what people search, said line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo

from tauopt.config.first_space.commented_lines import CommentedLine, comment
from tauopt.config.first_space.usable_groups import UsableGroups
from tauopt.config.settings.base import Settings
from tauopt.config.settings.experiment import Training
from tauopt.config.settings.networks import NetworkSettings
from tauopt.config.settings.networks.network_base import ANY_GROUP
from tauopt.config.source.yaml_text import scalar_text

LineValues = Mapping[str, str]
"""Path of a setting -> what a file says of it."""


def model_lines(
    network: type[NetworkSettings], seen: UsableGroups, *, type_: str
) -> Iterator[CommentedLine]:
    """Give the lines of `model`.

    Args:
        network: its settings class.
        seen: the groups that it uses.
        type_: its name in files.
    """
    values = _of_groups(network, seen.groups)
    values |= {f"coordinates.{axis}": scalar_text(text) for axis, text in seen.coordinates.items()}
    if seen.without:
        values.pop("pairwise", None)
    yield CommentedLine("model:")
    yield CommentedLine(f"  type: {type_}")
    yield from _lines(network, values, above="", indent=2)


def training_lines(network: type[NetworkSettings]) -> Iterator[CommentedLine]:
    """Give the lines of `training`."""
    fields = Training.model_fields
    values = {
        **network.usual_training,
        "epochs": str(fields["epochs"].default),
        "early_stopping": f"{{patience: {fields['early_stopping'].default.patience}}}",
    }
    yield CommentedLine("training:")
    for name, value in values.items():
        # What a setting is `only` of, its `when` says.
        said = "" if "when:" in value else comment(fields[name].description)
        yield CommentedLine(f"  {name}: {value}", said)


def _of_groups(network: type[NetworkSettings], groups: tuple[str, ...]) -> dict[str, str]:
    """Return the usual ranges, those of a group for each, its length among them."""
    values: dict[str, str] = {}
    for path, value in network.usual.items():
        names = groups if ANY_GROUP in path else ("",)
        values |= {path.replace(ANY_GROUP, name): value for name in names}
    return values | {f"groups.{name}.length": network.usual_length(name) for name in groups}


def _lines(
    settings: type[Settings], values: LineValues, *, above: str, indent: int
) -> Iterator[CommentedLine]:
    """Give the lines of settings in their own order, below the path `above`."""
    for name, field in settings.model_fields.items():
        path = f"{above}{name}"
        if path in values:
            yield CommentedLine(f"{' ' * indent}{name}: {values[path]}", comment(field.description))
        elif isinstance(field.default, Settings):
            below = [*_lines(type(field.default), values, above=f"{path}.", indent=indent + 2)]
            yield from _part(name, field, below, indent=indent)
        elif name == "groups" and (kind := _group_class(field)):
            below = [*_groups(kind, values, indent=indent + 2)]
            yield from _part(name, field, below, indent=indent)


def _group_class(field: FieldInfo) -> type[Settings] | None:
    first = next(iter(field.default.values()), None)
    return type(first) if isinstance(first, Settings) else None


def _groups(kind: type[Settings], values: LineValues, *, indent: int) -> Iterator[CommentedLine]:
    names = dict.fromkeys(path.split(".")[1] for path in values if path.startswith("groups."))
    for name in names:
        below = [*_lines(kind, values, above=f"groups.{name}.", indent=indent + 2)]
        yield from _part(scalar_text(name), None, below, indent=indent)


def _part(
    name: str, field: FieldInfo | None, below: list[CommentedLine], *, indent: int
) -> Iterator[CommentedLine]:
    """Give a part with what stands below it, in one line if that is a single value."""
    said = comment(field.description) if field is not None else ""
    if len(below) == 1 and not below[0].text.endswith(":"):
        only = below[0]
        yield CommentedLine(f"{' ' * indent}{name}: {{{only.text.strip()}}}", said or only.comment)
    elif below:
        yield CommentedLine(f"{' ' * indent}{name}:", said)
        yield from below
