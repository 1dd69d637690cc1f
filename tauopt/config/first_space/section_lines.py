"""Lines of the sections of a first search space, each with a comment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo

from tauopt.config.first_space.commented_lines import (
    CommentedLine,
    aligned,
    comment,
    flow_list,
    paragraph,
)
from tauopt.config.first_space.guess_task import FirstTask
from tauopt.config.first_space.usable_groups import UsableGroups
from tauopt.config.settings.base import Settings
from tauopt.config.settings.experiment import Pruner, Sampler, Search, Task, Tracking, Training
from tauopt.config.settings.networks import NetworkSettings
from tauopt.config.settings.networks.network_base import ANY_GROUP
from tauopt.config.source.yaml_text import scalar_text

TRIALS = 60
"""Number of trials in a first search space."""

LineValues = Mapping[str, str]
"""Path of a setting below `model` -> its value or range, as a file writes it."""


def task_lines(task: FirstTask) -> Iterator[str]:
    """Yield the lines of `task`."""
    yield "task:"
    yield from paragraph(task.note, indent=2) if task.note else ()
    has_groups = any(members != (name,) for name, members in task.classes.items())
    if has_groups:
        yield from aligned([CommentedLine("  classes:", _field_comment(Task, "classes"))])
        for name, members in task.classes.items():
            yield from flow_list(scalar_text(name), [*map(scalar_text, members)], indent=4)
    else:
        first, *others = flow_list("classes", [*map(scalar_text, task.classes)], indent=2)
        yield from aligned([CommentedLine(first, "" if others else "classes to separate")])
        yield from others
    if task.signal:
        names = ", ".join(map(scalar_text, task.signal))
        yield from aligned([CommentedLine(f"  signal: [{names}]", "the others are background")])


def model_lines(
    network: type[NetworkSettings], usable: UsableGroups, *, type_: str
) -> Iterator[CommentedLine]:
    """Yield the lines of `model`: the usual search ranges of a network.

    Args:
        network: its settings class.
        usable: the dataset's groups that it can use.
        type_: its type.
    """
    values = _usual_ranges(network, usable.groups)
    values |= {f"coordinates.{key}": scalar_text(text) for key, text in usable.coordinates.items()}
    if usable.without:
        values.pop("pairwise", None)
    yield CommentedLine("model:")
    yield CommentedLine(f"  type: {type_}")
    yield from _settings_lines(network, values, above="", indent=2)


def _usual_ranges(network: type[NetworkSettings], groups: tuple[str, ...]) -> dict[str, str]:
    """Return path -> usual search range, with each range of `<group>` for every group."""
    values: dict[str, str] = {}
    for path, value in network.usual.items():
        names = groups if ANY_GROUP in path else ("",)
        values |= {path.replace(ANY_GROUP, name): value for name in names}
    return values | {f"groups.{name}.length": network.usual_length(name) for name in groups}


def _settings_lines(
    settings: type[Settings], values: LineValues, *, above: str, indent: int
) -> Iterator[CommentedLine]:
    """Yield the lines of the settings below the path `above`, in the order of the class."""
    for name, field in settings.model_fields.items():
        path = f"{above}{name}"
        if path in values:
            yield CommentedLine(f"{' ' * indent}{name}: {values[path]}", comment(field.description))
        elif isinstance(field.default, Settings):
            part = type(field.default)
            below = [*_settings_lines(part, values, above=f"{path}.", indent=indent + 2)]
            yield from _mapping_lines(name, field, below, indent=indent)
        elif name == "groups":
            below = [*_group_lines(field, values, indent=indent + 2)]
            yield from _mapping_lines(name, field, below, indent=indent)


def _group_lines(field: FieldInfo, values: LineValues, *, indent: int) -> Iterator[CommentedLine]:
    default = next(iter(field.default.values()), None)
    if not isinstance(default, Settings):
        return
    names = dict.fromkeys(path.split(".")[1] for path in values if path.startswith("groups."))
    for name in names:
        above = f"groups.{name}."
        below = [*_settings_lines(type(default), values, above=above, indent=indent + 2)]
        yield from _mapping_lines(scalar_text(name), None, below, indent=indent)


def _mapping_lines(
    name: str, field: FieldInfo | None, below: list[CommentedLine], *, indent: int
) -> Iterator[CommentedLine]:
    """Yield a mapping and the lines below it, in one line if there is only a single value."""
    field_comment = comment(field.description) if field is not None else ""
    if len(below) == 1 and not below[0].text.endswith(":"):
        (value,) = below
        line = f"{' ' * indent}{name}: {{{value.text.strip()}}}"
        yield CommentedLine(line, field_comment or value.comment)
    elif below:
        yield CommentedLine(f"{' ' * indent}{name}:", field_comment)
        yield from below


def training_lines(network: type[NetworkSettings]) -> Iterator[CommentedLine]:
    """Yield the lines of `training`: the usual search ranges for a network."""
    fields = Training.model_fields
    values = {
        **network.usual_training,
        "epochs": str(fields["epochs"].default),
        "early_stopping": f"{{patience: {fields['early_stopping'].default.patience}}}",
    }
    yield CommentedLine("training:")
    for name, value in values.items():
        # A range with `when` shows by itself with which settings it is used.
        text = "" if "when:" in value else comment(fields[name].description)
        yield CommentedLine(f"  {name}: {value}", text)


def objective_lines(task: FirstTask) -> Iterator[CommentedLine]:
    """Yield the lines of `objective`: background rejection, or accuracy without background."""
    yield CommentedLine("objective:")
    if task.signal:
        yield CommentedLine(
            "  maximize: rejection@0.75", "of background, at 75 % signal efficiency"
        )
    else:
        yield CommentedLine("  maximize: accuracy", "or balanced_accuracy: classes count the same")


def search_lines() -> Iterator[CommentedLine]:
    """Yield the lines of `search`."""
    sampler, pruner = Sampler(), Pruner()
    yield CommentedLine("search:")
    yield CommentedLine(f"  trials: {TRIALS}", _field_comment(Search, "trials"))
    yield CommentedLine(
        f"  sampler: {{type: {sampler.type}, seed: {sampler.seed}, startup: {sampler.startup}}}",
        _field_comment(Search, "sampler"),
    )
    yield CommentedLine(
        f"  pruner: {{type: {pruner.type}, reduction_factor: {pruner.reduction_factor}}}",
        _field_comment(Search, "pruner"),
    )
    yield CommentedLine("  resources: {cpus: 1}", "per trial; with GPUs {cpus: 2, gpus: 0.25}")
    yield CommentedLine("  # budget: {hours: 12}", "or until this time is over")


def tracking_lines(experiment: str) -> Iterator[CommentedLine]:
    """Yield the lines of `tracking`; `experiment` is MLflow's."""
    yield CommentedLine("tracking:")
    text = f"  experiment: {scalar_text(experiment)}"
    yield CommentedLine(text, _field_comment(Tracking, "experiment"))


def _field_comment(settings: type[Search | Task | Tracking], name: str) -> str:
    return comment(settings.model_fields[name].description)
