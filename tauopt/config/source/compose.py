"""From a file to one tree: what it extends, what is overridden, and the dataset it names."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from tauopt.config.source import tree
from tauopt.config.source.removal import remove_nulls
from tauopt.config.source.yaml_source import OVERRIDE, Node, Place, describe, read_yaml
from tauopt.errors import ConfigError, Problem, nearest

MAX_EXTENDS = 10
"""Files in a chain of `extends`."""


def read_tree(path: Path | str) -> tuple[Node, list[Problem]]:
    """Read a file laid on the files that it extends.

    Returns:
        The merged mapping, without `extends`, and the problems that don't hinder reading on.
    Raises:
        ConfigError: a file of the chain can't be read, or the chain runs in a circle.
    """
    return _read(str(path), ())


def _read(path: str, chain: tuple[Path, ...]) -> tuple[Node, list[Problem]]:
    root, problems = read_yaml(path)
    return _extended(root, problems, (*chain, Path(path).resolve()))


def _extended(
    root: Node, problems: list[Problem], chain: tuple[Path, ...]
) -> tuple[Node, list[Problem]]:
    extends = root.entries.get("extends")
    if extends is None:
        return root, problems
    root = tree.without(root, "extends")
    if not isinstance(extends.value, str) or not extends.value:
        got = describe(extends.plain())
        return root, [
            *problems,
            extends.place.problem(f"extends: expected the path of a file, got {got}"),
        ]
    target = beside(extends.place, extends.value)
    if target.resolve() in chain:
        raise ConfigError(
            [
                *problems,
                extends.place.problem(
                    f"extends: {extends.value} extends this file in turn; a circle"
                ),
            ]
        )
    if len(chain) >= MAX_EXTENDS:
        raise ConfigError(
            [*problems, extends.place.problem(f"extends: more than {MAX_EXTENDS} files deep")]
        )
    base, more = _named(extends, target, chain, "extends")
    base, root, wrong = remove_nulls(base, root)
    return tree.merge(base, root, types_replace=("model",)), [*problems, *more, *wrong]


def _named(
    node: Node, target: Path, chain: tuple[Path, ...], key: str
) -> tuple[Node, list[Problem]]:
    """Read the file that `node` names; one that is missing is a problem where it is named."""
    if not target.is_file():
        names = [entry.name for entry in _entries(target.parent)]
        hint = nearest(target.name, names)
        raise ConfigError(
            [node.place.problem(f"{key}: there is no file {describe(node.value)}{hint}")]
        )
    return _read(str(target), chain)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:1000]
    except OSError:
        return []


def beside(place: Place, path: str) -> Path:
    """Return `path` relative to the file in which it stands; of `--set` to the working folder."""
    folder = Path() if place.file.startswith(OVERRIDE) else Path(place.file).parent
    return folder / path


def with_dataset(root: Node) -> tuple[Node, list[Problem]]:
    """Put the dataset file that `data` names in its place; a mapping may extend a file.

    Raises:
        ConfigError: the dataset file can't be read.
    """
    data = root.entries.get("data")
    if data is not None and isinstance(data.value, str):
        dataset, problems = _named(data, beside(data.place, data.value), (), "data")
    elif data is not None and "extends" in data.entries:
        dataset, problems = _extended(data, [], (Path(data.place.file).resolve(),))
    else:
        return root, []
    return Node({**root.entries, "data": dataset}, root.place, root.keys), problems


def with_absolute_files(dataset: Node) -> Node:
    """Make a dataset's globs absolute, unless they are looked for in a simulated sample."""
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
    folder = glob.escape(os.path.abspath(beside(node.place, "")))
    path = os.path.join(folder, os.path.expanduser(node.value))
    return Node(os.path.abspath(path), node.place)
