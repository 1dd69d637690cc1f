"""Whether an experiment and a prepared dataset go together: checked before the first trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tauopt.errors import ConfigError, Problem

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.dataset.prepared_dataset import PreparedDataset


def check_fits(file: ExperimentFile, dataset: PreparedDataset) -> None:
    """Check that there are candidates of every class, and as many objects as are to be kept.

    Raises:
        ConfigError: a task class can't be learned or judged; or the file says to keep more objects
            of a group than any training candidate has, in a range even at its lower end. What it
            leaves to the literature's default may be more.
    """
    from tauopt.config.space.any_architecture import problem_with_type

    problems = [*_empty_classes(file, dataset)]
    files = file.alternatives
    for type_, one in files.items():
        found = _too_long(one, dataset)
        problems += found if len(files) == 1 else (problem_with_type(p, type_) for p in found)
    if problems:
        raise ConfigError(problems)


def _empty_classes(file: ExperimentFile, dataset: PreparedDataset) -> Iterator[Problem]:
    from tauopt.dataset.network_inputs import task_faults

    for name, fault in task_faults(dataset.manifest, file.without_ranges.task).items():
        path = f"task.classes.{name}"
        yield file.problem(path if path in file.places else "task.classes", fault)


def _too_long(file: ExperimentFile, dataset: PreparedDataset) -> Iterator[Problem]:
    for path, group, least in _least_lengths(file):
        most = dataset.train.most_objects(group, enough=least)
        if most is not None and most < least:
            got = f"{least} or more" if path in file.space else least
            yield file.problem(
                path,
                f"expected at most {most}, which is how many {group} a training candidate has at "
                f"most, got {got}; take fewer, or leave it out",
            )


def _least_lengths(file: ExperimentFile) -> Iterator[tuple[str, str, int]]:
    """Give the lengths that the file says: setting, group, and the least that it may be."""
    from tauopt.config.settings.networks import group_lengths
    from tauopt.config.settings.ranges import candidates

    for group, length in group_lengths(file.base.model).items():
        path = f"model.groups.{group}.length"
        if path in file.space:
            yield path, group, min(int(value) for value in candidates(file.space[path]))
        elif path in file.places:
            yield path, group, length
