"""Reads experiment and dataset files: every problem at once, or checked settings and a space."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from tauopt.config.any_architecture_file import joined
from tauopt.config.checks.class_defaults import with_sample_classes, with_task_classes
from tauopt.config.checks.cross_checks import check_dataset, check_experiment
from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.networks.hypermodel import with_own_groups
from tauopt.config.settings.problems import MAX_PROBLEMS, check
from tauopt.config.source.compose import read_tree, with_absolute_files, with_dataset
from tauopt.config.source.yaml_source import Node, Place
from tauopt.config.source.yaml_text import to_text
from tauopt.config.space.any_architecture import is_any, split, told_in_type
from tauopt.config.space.conditions import build_space
from tauopt.config.space.overrides import override
from tauopt.config.space.range_extraction import (
    SECTIONS,
    check_candidates,
    refuse_ranges,
    section_plain,
    take_ranges,
)
from tauopt.errors import ConfigError, Problem

__all__ = ["ExperimentFile", "FileKind", "kind_of", "read_dataset", "read_experiment"]

FileKind = Literal["experiment", "dataset"]


def kind_of(path: Path | str) -> FileKind:
    """Tell an experiment file from a dataset file by its keys.

    Raises:
        ConfigError: it can't be read as YAML.
    """
    return _kind(read_tree(path)[0])


def _kind(root: Node) -> FileKind:
    keys = set(root.entries)
    votes = len(keys & set(Dataset.model_fields)) - len(keys & set(Experiment.model_fields))
    return "dataset" if votes > 0 else "experiment"


def read_dataset(path: Path | str, *, overrides: Sequence[str] = ()) -> Dataset:
    """Read a dataset file.

    Args:
        path: the file; its globs are relative to it.
        overrides: `path=value` each, laid on the file in order.
    Returns:
        The dataset, its globs absolute unless they are of a simulated sample.
    Raises:
        ConfigError: the file is wrong; every problem with its place.
    """
    root, problems = read_tree(path)
    if _kind(root) == "experiment" and root.entries:
        message = "this is an experiment file; expected a dataset file"
        raise ConfigError([*problems, root.place.problem(message)])
    root, more = override(root, Dataset, overrides)
    problems += more
    root = with_sample_classes(with_absolute_files(root))
    root, more = refuse_ranges(root, Dataset)
    dataset, wrong = check(Dataset, root.plain(), root=root)
    problems += [*more, *wrong, *islice(check_dataset(root), MAX_PROBLEMS)]
    if problems or dataset is None:
        raise ConfigError(_in_order(problems))
    return dataset


def read_experiment(path: Path | str, *, overrides: Sequence[str] = ()) -> ExperimentFile:
    """Read an experiment file, the files that it extends, and the dataset file that it names.

    Args:
        path: the file.
        overrides: `path=value` each, laid on the file in order; values may be ranges.
    Raises:
        ConfigError: a file is wrong; every problem with its place.
    """
    root, problems = read_tree(path)
    if _kind(root) == "dataset":
        message = "this is a dataset file; expected an experiment file"
        raise ConfigError([*problems, root.place.problem(message)])
    root, more = override(root, Experiment, overrides)
    root, unread = _with_dataset(root)
    read = _of_any if is_any(root.entries.get("model")) else _of_one
    file, wrong = read(root, Path(path))
    if unread:
        wrong = [one for one in wrong if not one.message.startswith("data: ")]
    problems += [*more, *unread, *wrong]
    if problems or file is None:
        raise ConfigError(_in_order(problems))
    return file


def _of_one(root: Node, path: Path) -> tuple[ExperimentFile | None, list[Problem]]:
    """Check an experiment's tree; return the file, or None and every problem."""
    root = with_own_groups(root)
    taken = take_ranges(root)
    experiment, wrong = check(Experiment, taken.root.plain(), root=root)
    problems = [*taken.problems, *wrong, *islice(check_experiment(root), MAX_PROBLEMS)]
    problems += check_candidates(root, taken)
    space, inactive, wrong = build_space(taken, experiment)
    problems += wrong
    if problems or experiment is None:
        return None, problems
    file = ExperimentFile(
        path=path,
        name=experiment.name,
        space=space,
        inactive=inactive,
        without_ranges=experiment,
        text=to_text(root),
        skeleton={section: section_plain(taken.root, section) for section in SECTIONS},
        places={
            path: place
            for section in ("task", *SECTIONS)
            for path, place in _places(root.entries.get(section, root), section)
        },
    )
    return file, []


def _of_any(root: Node, path: Path) -> tuple[ExperimentFile | None, list[Problem]]:
    """Check the tree of an experiment of several architectures, each as an experiment of one.

    Of one that has none that can be read, all but the model is checked.
    """
    trees, problems = split(root)
    if not trees:
        wrong = _of_one(root, path)[1]
        others = [one for one in wrong if not re.search(r"^model|model\.", one.message)]
        return None, [*problems, *others]
    branches = {}
    for type_, tree_ in trees.items():
        file, wrong = _of_one(tree_, path)
        problems += [told_in_type(problem, type_) for problem in wrong]
        if file is not None:
            branches[type_] = file
    return (None if problems else joined(branches, text=to_text(root))), problems


def _with_dataset(root: Node) -> tuple[Node, list[Problem]]:
    """Put the dataset in its place, and its classes where they need not be repeated.

    One that can't be read is a problem among the others.
    """
    try:
        root, problems = with_dataset(root)
    except ConfigError as error:
        return root, list(error.problems)
    if (data := root.entries.get("data")) is not None:
        data = with_sample_classes(with_absolute_files(data))
        root = with_task_classes(Node({**root.entries, "data": data}, root.place, root.keys))
    return root, problems


def _places(node: Node, path: str) -> Iterator[tuple[str, Place]]:
    """Give where the value at `path`, and everything below it, stands."""
    yield path, node.place
    for key, entry in node.entries.items():
        yield from _places(entry, f"{path}.{key}")


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return each problem once, in the order of the files and of the lines in them."""
    once = list(dict.fromkeys(problems))
    files = list(dict.fromkeys(problem.file for problem in once))
    return sorted(
        once, key=lambda problem: (files.index(problem.file), problem.line, problem.column)
    )
