"""Composition of the text of a first search space."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from tauopt.config.first_space.commented_lines import (
    CommentedLine,
    aligned,
    paragraph,
    without_repeated_comments,
)
from tauopt.config.first_space.guess_task import guess_task
from tauopt.config.first_space.section_lines import (
    model_lines,
    objective_lines,
    search_lines,
    task_lines,
    tracking_lines,
    training_lines,
)
from tauopt.config.first_space.usable_groups import UsableGroups, usable_groups
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.network_catalogue import network_class
from tauopt.config.settings.networks import NetworkSettings
from tauopt.config.settings.networks.input_selection import ALL
from tauopt.config.source.yaml_text import scalar_text
from tauopt.config.space.range_extraction import MAX_RANGES
from tauopt.errors import UsageError

MAX_OTHERS = 50
"""Ranges that are reserved for settings outside of groups."""
_NAMED = 5
"""Most groups that a message names."""
_NEXT_STEPS = (
    "Written by `tauopt init`, to be changed. Any single value below `model` and `training` may be "
    "a range; these are the usual ones. Settings that are not named take the literature's values, "
    "which are also the first point of the search. Fix settings that you need not search: fewer "
    "ranges need fewer trials."
)


def first_space(type_: str, dataset: Dataset, *, file: str, data: str, schema: str = "") -> str:
    """Write a commented search space for a built-in network and a dataset.

    Args:
        type_: type of the network.
        dataset: the training data.
        file: name of the file; without its suffix it is the name of the search.
        data: path of the dataset file, relative to the written file.
        schema: path of the JSON Schema, for editors; empty if there is none beside the file.
    Returns:
        YAML text of a valid experiment file.
    Raises:
        UsageError: there is no such network, or it can't be trained on this dataset.
    """
    network = network_class(type_)
    usable = usable_groups(network, dataset)
    _check(type_, network, dataset, usable)
    task = guess_task(dataset, decay_modes=network.classifies_decay_modes)
    name = CommentedLine(f"name: {scalar_text(PurePath(file).stem)}")
    data_line = CommentedLine(f"data: {scalar_text(data)}", "the dataset file")
    model = without_repeated_comments(model_lines(network, usable, type_=type_))
    blocks = [
        _header(type_, network, file=file, schema=schema),
        aligned([name, data_line]),
        [*task_lines(task)],
        [*aligned(model), *_suggestions(network, dataset, usable)],
        aligned(training_lines(network)),
        aligned(objective_lines(task)),
        aligned(search_lines()),
        aligned(tracking_lines(dataset.name)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _check(
    type_: str, network: type[NetworkSettings], dataset: Dataset, usable: UsableGroups
) -> None:
    """Refuse a network without usable groups in the dataset, and a space with too many ranges."""
    if not network.model_fields["groups"].default:
        return
    if not dataset.groups:
        raise UsageError(
            f"{type_} needs a group of objects, and the dataset has none; add one to the dataset "
            "file, or use --model dense"
        )
    if not usable.groups:
        raise UsageError(
            f"{type_} needs the objects' coordinates, and no group of the dataset has features "
            f"d_eta and d_phi; add them in the dataset file (to {_first_few(usable.without)}), or "
            "use --model transformer"
        )
    ranges_per_group = sum(path.startswith("groups.") for path in network.usual) + 1  # + length
    if ranges_per_group * len(usable.groups) > MAX_RANGES - MAX_OTHERS:
        raise UsageError(
            f"{len(usable.groups)} groups would make more than {MAX_RANGES} ranges; leave some out "
            "of the dataset file"
        )


def _header(type_: str, network: type[NetworkSettings], *, file: str, schema: str) -> list[str]:
    """Return the header: the network, its source, the next commands, and how ranges work."""
    lines = [f"# yaml-language-server: $schema={schema}", "#"] if schema else []
    for part in (inspect.getdoc(network) or "").split("\n\n"):
        lines += paragraph(" ".join(part.split()))
    lines += paragraph(f"Source: {network.source}.")
    width = len(f"tauopt search {file} --dry-run")
    commands = {
        f"tauopt validate {file}": "checks the file and shows the search space",
        f"tauopt search {file} --dry-run": "shows the first trials without training",
        f"tauopt search {file}": "runs the search",
        f"tauopt models {type_}": "lists all settings of the network",
    }
    return [
        *lines,
        "#",
        *(f"#   {command:<{width}}   {effect}" for command, effect in commands.items()),
        "#",
        *paragraph(_NEXT_STEPS),
    ]


def _suggestions(
    network: type[NetworkSettings], dataset: Dataset, usable: UsableGroups
) -> Iterator[str]:
    """Yield comments below `model`: groups and settings that are left out, and one to add."""
    names = _first_few(usable.without)
    if usable.without and "pairwise" in network.model_fields:
        text = f"Not searched: `pairwise`, since `coordinates` finds no features in {names}."
        yield from paragraph(text, indent=2)
    elif usable.without:
        text = f"Left out, since `coordinates` finds no features in them: {names}."
        yield from paragraph(text, indent=2)
    if not network.model_fields["groups"].default and dataset.groups:
        group = next(iter(dataset.groups))
        text = f"  # groups: {{{scalar_text(group)}: {{length: 5}}}}"
        yield from aligned([CommentedLine(text, "flattened objects beside the candidate")])
    elif len(usable.groups) > 1:
        default = network.model_fields["inputs"].default
        other = f"{ALL}-{usable.groups[-1]}" if default == ALL else ALL
        text = f"  # inputs: {{choice: [{default}, {other}]}}"
        yield from aligned([CommentedLine(text, "for ablation: groups that the network sees")])


def _first_few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
