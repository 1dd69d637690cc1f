"""Check before the first trial that an experiment fits its prepared dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tauopt.errors import ConfigError, Problem

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.dataset.prepared_dataset import PreparedDataset


def check_fits(file: ExperimentFile, dataset: PreparedDataset) -> None:
    """Check that the dataset has candidates of every task class, and enough objects.

    Args:
        file: the experiment.
        dataset: the prepared dataset.
    Raises:
        ConfigError: a task class can't be trained or evaluated on; or the file sets the length of a
            group (for a range its lower end) to more objects than any training candidate has. A
            length that the file leaves to the default of the architecture may be larger.
    """
    from tauopt.config.space.any_architecture import problem_with_type

    problems = [*_empty_classes(file, dataset)]
    files = file.alternatives
    for type_, alternative in files.items():
        too_long = _too_long(alternative, dataset)
        if len(files) > 1:
            too_long = (problem_with_type(problem, type_) for problem in too_long)
        problems += too_long
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
                f"expected at most {most}, the largest number of {group} of a training candidate, "
                f"got {got}; set a smaller length, or leave it out",
            )


def _least_lengths(file: ExperimentFile) -> Iterator[tuple[str, str, int]]:
    """Yield the lengths that the file sets: path of the setting, group, and smallest length."""
    from tauopt.config.settings.networks import group_lengths
    from tauopt.config.settings.ranges import candidates

    for group, length in group_lengths(file.base.model).items():
        path = f"model.groups.{group}.length"
        if path in file.space:
            yield path, group, min(int(value) for value in candidates(file.space[path]))
        elif path in file.places:
            yield path, group, length
