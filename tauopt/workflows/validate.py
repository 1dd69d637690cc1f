"""Validate experiment and dataset files without opening data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tauopt.config.load import ExperimentFile, FileKind, kind_of, read_dataset, read_experiment
from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.ranges import describe_range, points
from tauopt.errors import ConfigError, Problem


@dataclass(frozen=True)
class ValidFile:
    """Summary of a valid file."""

    path: Path
    kind: FileKind
    name: str
    summary: str
    """One line on its content."""
    ranges: Mapping[str, str] = field(default_factory=dict)
    """Path of a setting -> description of its range; of an experiment only."""
    inactive: Mapping[str, str] = field(default_factory=dict)
    """Path of a range that is never active -> reason."""
    defaults: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    """The literature's value of each range that the first trials take: trial 0, or with several
    architectures the first one of each."""


def validate(path: Path | str, *, overrides: Sequence[str] = ()) -> ValidFile:
    """Validate one file and summarise it.

    Args:
        path: an experiment or a dataset file; its keys decide which.
        overrides: `path=value` each, applied to the file in order.
    Raises:
        ConfigError: the file is wrong; lists every problem with its place.
    """
    if kind_of(path) == "experiment":
        return _experiment(read_experiment(path, overrides=overrides))
    dataset = read_dataset(path, overrides=overrides)
    features = len(dataset.candidate) + sum(len(g.features) for g in dataset.groups.values())
    summary = (
        f"{len(dataset.samples)} samples, {len(dataset.classes)} classes, "
        f"{features} features in {1 + len(dataset.groups)} groups"
    )
    return ValidFile(Path(path), "dataset", dataset.name, summary)


def validate_all(
    paths: Sequence[Path | str], *, overrides: Sequence[str] = ()
) -> tuple[list[ValidFile], list[Problem]]:
    """Validate several files; return the summaries of valid ones and all problems of others."""
    valid: list[ValidFile] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            valid.append(validate(path, overrides=overrides))
        except ConfigError as error:
            problems.extend(error.problems)
    return valid, problems


def _experiment(experiment: ExperimentFile) -> ValidFile:
    task = experiment.base.task
    continuous = sum(math.isinf(points(range_)) for range_ in experiment.space.values())
    ranges = len(experiment.space)
    summary = f"{experiment.network}, {len(task.classes)} task classes, " + (
        _size(ranges, experiment.points, continuous) if ranges else "no ranges"
    )
    if isinstance(experiment.base.model, OwnModel):
        summary += "; hyperparameters of the model itself: tauopt search --dry-run"
    return ValidFile(
        experiment.path,
        "experiment",
        experiment.name,
        summary,
        {path: describe_range(range_) for path, range_ in experiment.space.items()},
        experiment.inactive,
        {path: v for start in reversed(experiment.starts()) for path, v in start.items()},
    )


def _size(ranges: int, size: float, continuous: int) -> str:
    count = f"{ranges} range{'s' if ranges > 1 else ''}"
    if continuous:
        return f"{count}, {continuous} of them continuous"
    return f"{count}, {size:.3g} points" if size >= 1e6 else f"{count}, {size:.0f} points"
