"""Composes the text of a first search space."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from tauopt.config.first_space.commented_lines import CommentedLine, laid_out, paragraph, said_once
from tauopt.config.first_space.guess_task import first_task
from tauopt.config.first_space.model_lines import model_lines, training_lines
from tauopt.config.first_space.section_lines import (
    objective_lines,
    search_lines,
    task_lines,
    tracking_lines,
)
from tauopt.config.first_space.usable_groups import UsableGroups, sight
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.network_catalogue import network_class
from tauopt.config.settings.networks import NetworkSettings
from tauopt.config.settings.networks.input_selection import ALL
from tauopt.config.source.yaml_text import scalar_text
from tauopt.config.space.range_extraction import MAX_RANGES
from tauopt.errors import UsageError

MAX_OTHERS = 50
"""Ranges at most that are of no group."""
_NAMED = 5
"""Groups of which a message names no more."""
_OF_DATA = "where candidates come from"
_HOW_TO_GO_ON = (
    "Written by `tauopt init`, to be changed. Any single value below `model` and `training` may be "
    "a range; these are the usual ones. What is not named takes the literature's value, and the "
    "search tries the literature's first. Fix what you need not search: fewer ranges need fewer "
    "trials."
)


def first_space(type_: str, dataset: Dataset, *, file: str, data: str, schema: str = "") -> str:
    """Write a commented search space of a built-in network on a dataset.

    Args:
        type_: the network.
        dataset: what it is to learn from.
        file: name of the file to be; the search is called so, without the suffix.
        data: path of the dataset file, relative to the file to be.
        schema: path of the JSON Schema, for editors; empty if there is none beside the file.
    Returns:
        YAML text of an experiment file without problems.
    Raises:
        UsageError: there is no such network, or it can't be trained on this dataset.
    """
    network = network_class(type_)
    seen = sight(network, dataset)
    _check(type_, network, dataset, seen)
    task = first_task(dataset, modes=network.tells_modes)
    name = scalar_text(PurePath(file).stem)
    model = [*laid_out(said_once(model_lines(network, seen, type_=type_)))]
    model += _hints(network, dataset, seen)
    blocks = [
        _header(type_, network, file=file, schema=schema),
        laid_out(
            [CommentedLine(f"name: {name}"), CommentedLine(f"data: {scalar_text(data)}", _OF_DATA)]
        ),
        [*task_lines(task)],
        model,
        laid_out(training_lines(network)),
        laid_out(objective_lines(task)),
        laid_out(search_lines()),
        laid_out(tracking_lines(dataset.name)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _check(
    type_: str, network: type[NetworkSettings], dataset: Dataset, seen: UsableGroups
) -> None:
    """Refuse a network that finds no objects in a dataset, and a space too large to search."""
    if not network.model_fields["groups"].default:
        return
    if not dataset.groups:
        raise UsageError(
            f"{type_} needs a group of objects, and the dataset has none; add one to the dataset "
            "file, or take --model dense"
        )
    if not seen.groups:
        raise UsageError(
            f"{type_} needs to know where objects are, and no group of the dataset has features "
            f"d_eta and d_phi; add them in the dataset file (to {_some(seen.without)}), or take "
            "--model transformer"
        )
    a_group = sum(path.startswith("groups.") for path in network.usual) + 1
    if a_group * len(seen.groups) > MAX_RANGES - MAX_OTHERS:
        raise UsageError(
            f"{len(seen.groups)} groups would make more than {MAX_RANGES} ranges; leave some out "
            "of the dataset file"
        )


def _header(type_: str, network: type[NetworkSettings], *, file: str, schema: str) -> list[str]:
    what = [" ".join(part.split()) for part in (inspect.getdoc(network) or "").split("\n\n")]
    lines = [f"# yaml-language-server: $schema={schema}", "#"] if schema else []
    for part in what:
        lines += paragraph(part)
    lines += paragraph(f"Source: {network.source}.")
    width = len(f"tauopt search {file} --dry-run")
    commands = {
        f"tauopt validate {file}": "says what is searched, and whether all is well",
        f"tauopt search {file} --dry-run": "says what the first trials would be",
        f"tauopt search {file}": "searches",
        f"tauopt models {type_}": "lists all settings of the network",
    }
    return [
        *lines,
        "#",
        *(f"#   {command:<{width}}   {what}" for command, what in commands.items()),
        "#",
        *paragraph(_HOW_TO_GO_ON),
    ]


def _hints(network: type[NetworkSettings], dataset: Dataset, seen: UsableGroups) -> Iterator[str]:
    """Give what could stand below `model` too."""
    names = _some(seen.without)
    if seen.without and "pairwise" in network.model_fields:
        yield from paragraph(
            f"Not searched: `pairwise`, since `coordinates` finds no features in {names}.", indent=2
        )
    elif seen.without:
        yield from paragraph(
            f"Left out, since `coordinates` finds no features in them: {names}.",
            indent=2,
        )
    if not network.model_fields["groups"].default and dataset.groups:
        group = next(iter(dataset.groups))
        text = f"  # groups: {{{scalar_text(group)}: {{length: 5}}}}"
        yield from laid_out([CommentedLine(text, "objects laid flat beside the candidate")])
    elif len(seen.groups) > 1:
        usual = network.model_fields["inputs"].default
        other = f"{ALL}-{seen.groups[-1]}" if usual == ALL else ALL
        text = f"  # inputs: {{choice: [{usual}, {other}]}}"
        yield from laid_out([CommentedLine(text, "for ablation: what the network sees")])


def _some(names: Sequence[str]) -> str:
    """Name the first few."""
    left = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {left} more" if left > 0 else "")
