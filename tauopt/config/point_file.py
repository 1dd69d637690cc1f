"""Reading of points by hand: `tauopt extend SEARCH --try point.yaml`."""

from __future__ import annotations

from pathlib import Path

from tauopt.config.source.yaml_source import Node, Scalar, describe, read_document
from tauopt.config.space.searched_space import SearchedSpace, complete_point
from tauopt.errors import ConfigError, Problem


def read_points(path: Path | str, space: SearchedSpace) -> list[dict[str, Scalar]]:
    """Read the points of a file, each completed by the defaults of the ranges that it lacks.

    Args:
        path: YAML file with one mapping of path to value, nested or dotted, or a list of several.
        space: ranges of the search.
    Raises:
        ConfigError: the file is wrong; the error has all problems with their places.
    """
    root, problems = read_document(path)
    points: list[dict[str, Scalar]] = []
    for node in root.value if isinstance(root.value, tuple) else (root,):
        try:
            points.append(complete_point(_mapping(node), space))
        except ConfigError as error:
            problems.extend(error.problems)
    if not points and not problems:
        problems.append(Problem("expected a point, got an empty list", str(path)))
    if problems:
        raise ConfigError(problems)
    return points


def _mapping(node: Node) -> Node:
    if isinstance(node.value, dict):
        return node
    message = (
        f"expected a mapping of path to value, or a list of such, got {describe(node.plain())}"
    )
    raise ConfigError([node.place.problem(message)])
