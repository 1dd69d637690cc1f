"""Reading of experiment and dataset files: checked settings and a search space, or all problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from tauopt.config.any_architecture_file import join_architectures
from tauopt.config.checks.cross_checks import check_dataset, check_experiment
from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.networks.hypermodel import with_default_groups
from tauopt.config.settings.problems import MAX_PROBLEMS, check
from tauopt.config.source.compose import (
    read_tree,
    with_absolute_files,
    with_dataset,
    with_sample_classes,
    with_task_classes,
)
from tauopt.config.source.tree import without
from tauopt.config.source.yaml_source import Node, Place
from tauopt.config.source.yaml_text import to_text
from tauopt.config.space.any_architecture import is_any, problem_with_type, split_architectures
from tauopt.config.space.conditions import build_space
from tauopt.config.space.overrides import override
from tauopt.config.space.range_extraction import (
    SECTIONS,
    check_candidates,
    extract_ranges,
    refuse_ranges,
    section_plain,
)
from tauopt.errors import ConfigError, Problem

__all__ = ["ExperimentFile", "FileKind", "kind_of", "read_dataset", "read_experiment"]

FileKind = Literal["experiment", "dataset"]


def kind_of(path: Path | str) -> FileKind:
    """Return whether a file is an experiment or a dataset file, by its keys.

    Raises:
        ConfigError: the file can't be read as YAML.
    """
    return _kind(read_tree(path)[0])


def _kind(root: Node) -> FileKind:
    # By majority, so that a misspelled or misplaced key doesn't change the kind.
    keys = set(root.entries)
    excess = len(keys & set(Dataset.model_fields)) - len(keys & set(Experiment.model_fields))
    return "dataset" if excess > 0 else "experiment"


def read_dataset(path: Path | str, *, overrides: Sequence[str] = ()) -> Dataset:
    """Read a dataset file.

    Args:
        path: the file; its globs are relative to it.
        overrides: `path=value` each, applied to the file in order.
    Returns:
        The dataset; its globs are absolute unless they are relative to a simulated sample.
    Raises:
        ConfigError: the file is wrong; the error has all problems with their places.
    """
    root, problems = read_tree(path)
    if _kind(root) == "experiment" and root.entries:
        message = "this is an experiment file; expected a dataset file"
        raise ConfigError([*problems, root.place.problem(message)])
    root, override_problems = override(root, Dataset, overrides)
    root = with_sample_classes(with_absolute_files(root))
    root, range_problems = refuse_ranges(root, Dataset)
    dataset, setting_problems = check(Dataset, root.plain(), root=root)
    problems += [*override_problems, *range_problems, *setting_problems]
    problems += islice(check_dataset(root), MAX_PROBLEMS)
    if problems or dataset is None:
        raise ConfigError(_in_order(problems))
    return dataset


def read_experiment(path: Path | str, *, overrides: Sequence[str] = ()) -> ExperimentFile:
    """Read an experiment file, the files that it extends, and the dataset file that it names.

    Args:
        path: the file.
        overrides: `path=value` each, applied to the file in order; values may be ranges.
    Raises:
        ConfigError: a file is wrong; the error has all problems with their places.
    """
    root, problems = read_tree(path)
    if _kind(root) == "dataset":
        message = "this is a dataset file; expected an experiment file"
        raise ConfigError([*problems, root.place.problem(message)])
    root, override_problems = override(root, Experiment, overrides)
    root, dataset_problems = _with_dataset(root)
    several = is_any(root.entries.get("model"))
    file, file_problems = (_check_architectures if several else _check_single)(root, Path(path))
    if dataset_problems:
        # `data` is still the path of the unread file, which is no second problem.
        file_problems = [p for p in file_problems if p.setting != "data"]
    problems += [*override_problems, *dataset_problems, *file_problems]
    if problems or file is None:
        raise ConfigError(_in_order(problems))
    return file


def _check_single(root: Node, path: Path) -> tuple[ExperimentFile | None, list[Problem]]:
    """Check an experiment's tree; return the file, or None and every problem."""
    root = with_default_groups(root)
    extracted = extract_ranges(root)
    experiment, setting_problems = check(Experiment, extracted.root.plain(), root=root)
    problems = [*extracted.problems, *setting_problems]
    problems += islice(check_experiment(root), MAX_PROBLEMS)
    problems += check_candidates(root, extracted)
    space, inactive, condition_problems = build_space(extracted, experiment)
    problems += condition_problems
    if problems or experiment is None:
        return None, problems
    file = ExperimentFile(
        path=path,
        name=experiment.name,
        space=space,
        inactive=inactive,
        without_ranges=experiment,
        text=to_text(root),
        skeleton={section: section_plain(extracted.root, section) for section in SECTIONS},
        places={
            path: place
            for section in ("task", *SECTIONS)
            for path, place in _places(root.entries.get(section, root), section)
        },
    )
    return file, []


def _check_architectures(root: Node, path: Path) -> tuple[ExperimentFile | None, list[Problem]]:
    """Check the tree of an experiment with several architectures, each as its own experiment.

    If no architecture can be read, everything but the model is checked.
    """
    trees, problems = split_architectures(root)
    if not trees:
        file_problems = _check_single(without(root, "model"), path)[1]
        others = [p for p in file_problems if p.setting.partition(".")[0] != "model"]
        return None, [*problems, *others]
    branches = {}
    for type_, tree_ in trees.items():
        file, file_problems = _check_single(tree_, path)
        problems += [problem_with_type(problem, type_) for problem in file_problems]
        if file is not None:
            branches[type_] = file
    return (None if problems else join_architectures(branches, text=to_text(root))), problems


def _with_dataset(root: Node) -> tuple[Node, list[Problem]]:
    """Replace the path in `data` by the dataset, and fill in default classes.

    A dataset file that can't be read is returned as problems, so that the rest is checked too.
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
    """Yield the place of the value at `path` and of everything below it."""
    yield path, node.place
    for key, entry in node.entries.items():
        yield from _places(entry, f"{path}.{key}")


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return each problem once, in the order of the files and of the lines in them."""
    distinct = list(dict.fromkeys(problems))
    files = list(dict.fromkeys(problem.file for problem in distinct))
    return sorted(
        distinct, key=lambda problem: (files.index(problem.file), problem.line, problem.column)
    )
