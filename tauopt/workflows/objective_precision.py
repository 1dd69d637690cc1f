"""How precisely the objective of an experiment can be measured on its prepared dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tauopt.config.settings.experiment import Experiment
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.metrics.expected_precision import ExpectedPrecision


def objective_precision(
    experiment: Experiment, dataset: PreparedDataset
) -> ExpectedPrecision | None:
    """Return the precision of the first objective; None where all candidates decide it."""
    import numpy as np

    from tauopt.config.settings.objective import parse_objective
    from tauopt.dataset.network_inputs import task_labels
    from tauopt.metrics.expected_precision import expected_precision

    objective, split = parse_objective(experiment.objective.first), dataset.validation
    has_prongs = "prongs" in dataset.manifest.spectators
    columns = split.columns(["labels", "weights", *(["prongs"] if has_prongs else [])])
    task = experiment.task
    labels = task_labels(dataset.manifest.classes, task)[columns["labels"]]
    kept = labels >= 0
    is_signal = np.array([name in task.signal for name in task.classes])[labels[kept]]
    return expected_precision(
        objective,
        is_signal,
        columns["weights"][kept],
        prongs=columns["prongs"][kept] if has_prongs else None,
    )


def precision_lines(experiment: Experiment, dataset: PreparedDataset | None) -> tuple[str, ...]:
    """Return the precision of the first objective in words; none where there is no dataset."""
    precision = None if dataset is None else objective_precision(experiment, dataset)
    return () if precision is None else tuple(precision.lines)


def lines_of_file(path: Path, dataset: PreparedDataset) -> tuple[str, ...]:
    """Return `precision_lines` of an experiment file; none for a dataset file."""
    from tauopt.config.load import kind_of, read_experiment

    if kind_of(path) != "experiment":
        return ()
    return precision_lines(read_experiment(path).base, dataset)
