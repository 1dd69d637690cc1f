"""Composition of one tree: `extends`, the dataset file in `data`, absolute paths, classes."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from tauopt.config.source import tree
from tauopt.config.source.yaml_source import OVERRIDE, Node, Place, describe, read_yaml
from tauopt.errors import ConfigError, Problem, nearest

MAX_EXTENDS = 10
"""Most files in a chain of `extends`."""


def read_tree(path: Path | str) -> tuple[Node, list[Problem]]:
    """Read a file and merge it into the files that it extends.

    Returns:
        The merged mapping, without `extends`, and the problems that don't prevent reading.
    Raises:
        ConfigError: a file of the chain can't be read, or the chain is circular.
    """
    return _read(str(path), ())


def _read(path: str, chain: tuple[Path, ...]) -> tuple[Node, list[Problem]]:
    root, problems = read_yaml(path)
    return _extended(root, problems, (*chain, Path(path).resolve()))


def _extended(
    root: Node, problems: list[Problem], chain: tuple[Path, ...]
) -> tuple[Node, list[Problem]]:
    """Merge a mapping into the file that it extends; `chain` holds the files that led here."""
    extends = root.entries.get("extends")
    if extends is None:
        return root, problems
    root = tree.without(root, "extends")
    if not isinstance(extends.value, str) or not extends.value:
        message = f"extends: expected the path of a file, got {describe(extends.plain())}"
        return root, [*problems, extends.place.problem(message)]
    target = relative_to_file(extends.place, extends.value)
    if target.resolve() in chain:
        message = f"extends: {extends.value} extends this file in turn, which is circular"
        raise ConfigError([*problems, extends.place.problem(message)])
    if len(chain) >= MAX_EXTENDS:
        message = f"extends: more than {MAX_EXTENDS} files deep"
        raise ConfigError([*problems, extends.place.problem(message)])
    base, base_problems = _read_named(extends, target, chain, "extends")
    base, root, null_problems = tree.remove_nulls(base, root)
    merged = tree.merge(base, root, types_replace=("model",))
    return merged, [*problems, *base_problems, *null_problems]


def _read_named(
    node: Node, target: Path, chain: tuple[Path, ...], key: str
) -> tuple[Node, list[Problem]]:
    """Read the file `target`, whose path is in `node`; a missing file is a problem of `node`."""
    if not target.is_file():
        try:
            names = [entry.name for entry in sorted(target.parent.iterdir())[:1000]]
        except OSError:
            names = []
        hint = nearest(target.name, names)
        message = f"{key}: there is no file {describe(node.value)}{hint}"
        raise ConfigError([node.place.problem(message)])
    return _read(str(target), chain)


def relative_to_file(place: Place, path: str) -> Path:
    """Return `path` relative to the file of `place`; for `--set`, to the working folder."""
    folder = Path() if place.file.startswith(OVERRIDE) else Path(place.file).parent
    return folder / path


def with_dataset(root: Node) -> tuple[Node, list[Problem]]:
    """Replace the path in `data` by the dataset file's mapping; a mapping may extend a file.

    Raises:
        ConfigError: the dataset file can't be read.
    """
    data = root.entries.get("data")
    if data is not None and isinstance(data.value, str):
        dataset, problems = _read_named(data, relative_to_file(data.place, data.value), (), "data")
    elif data is not None and "extends" in data.entries:
        dataset, problems = _extended(data, [], (Path(data.place.file).resolve(),))
    else:
        return root, []
    return Node({**root.entries, "data": dataset}, root.place, root.keys), problems


def with_absolute_files(dataset: Node) -> Node:
    """Make a dataset's globs absolute, unless they are relative to a simulated sample."""
    simulate = dataset.entries.get("simulate")
    if simulate is not None and simulate.value is not None:
        return dataset
    samples = dataset.entries.get("samples", dataset)
    for name, sample in samples.entries.items():
        files = sample.entries.get("files")
        if files is not None and isinstance(files.value, tuple):
            absolute = Node(tuple(map(_absolute, files.value)), files.place)
            dataset = tree.put(dataset, ("samples", name, "files"), absolute)
    return dataset


def _absolute(node: Node) -> Node:
    if not isinstance(node.value, str) or "://" in node.value or not node.value:
        return node
    # Escaped, since the folder's own name may contain `*` or `[`, which are no wildcards.
    folder = glob.escape(os.path.abspath(relative_to_file(node.place, "")))
    path = os.path.join(folder, os.path.expanduser(node.value))
    return Node(os.path.abspath(path), node.place)


def with_sample_classes(dataset: Node) -> Node:
    """Set `classes` of every sample to all of the dataset's classes, if no sample sets its own.

    If some samples set theirs, the others stay without and are refused later: such a sample may
    hold all classes, or its list may have been forgotten.
    """
    samples, classes = dataset.entries.get("samples"), dataset.entries.get("classes")
    if samples is None or classes is None or not classes.entries:
        return dataset
    if any("classes" in sample.entries for sample in samples.entries.values()):
        return dataset
    for name, sample in samples.entries.items():
        if isinstance(sample.value, dict):
            dataset = tree.put(dataset, ("samples", name, "classes"), _names(classes))
    return dataset


def with_task_classes(root: Node) -> Node:
    """Set `task.classes` to the dataset's classes if these are two and the task sets none.

    With more classes the user must choose: they may be separated one by one, or in groups.
    """
    task, classes = root.entries.get("task"), tree.get(root, ("data", "classes"))
    if task is None or not isinstance(task.value, dict) or "classes" in task.entries:
        return root
    if classes is None or len(classes.entries) != 2:
        return root
    return tree.put(root, ("task", "classes"), _names(classes))


def _names(classes: Node) -> Node:
    return Node(tuple(Node(name, classes.place) for name in classes.entries), classes.place)
