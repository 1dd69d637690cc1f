"""What a search would do, without doing or writing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.progress import Progress, Silent
from tauopt.study.hypermodel_check import (
    hypermodel_space,
    hyperparameters,
    settled,
    without_constants,
)
from tauopt.workflows.paths import output_folder
from tauopt.workflows.prepare import known_digest, survey

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.study.warm_trials import WarmStart

SAMPLES = 3


@dataclass(frozen=True)
class DryRun:
    """A search that was not run."""

    configuration: Mapping[str, Any]
    """The experiment with every range at its default, resolved, as nested JSON values."""
    space: Mapping[str, str]
    """Path -> range in words; of a model of the user's own also what its build asks for."""
    branches: tuple[str, ...]
    """Branches that preparation reads; empty if the sample is still to be simulated."""
    counts: Mapping[str, Mapping[str, int]]
    """Split -> class -> candidates; empty if the sample is still to be simulated."""
    parameters: int
    """Of the network of the first trial."""
    trials: tuple[Mapping[str, Any], ...]
    """The first trials, which take the defaults or points of an earlier search, and sampled ones.
    """
    defaults: int
    """How many take the defaults: one for each architecture."""
    taken: int
    """How many behind them take points of an earlier search."""
    warm_start: tuple[str, ...]
    """What is taken over from an earlier search and what is not, in lines."""
    summary: str
    """Keras's table of the first trial's layers."""


def dry_run(
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    output: Path | None = None,
    warm_start: str | None = None,
    progress: Progress | None = None,
) -> DryRun:
    """Say what a search would do; writes nothing, and opens a database only for a warm start.

    Args:
        path: experiment file.
        overrides: `path=value` each, laid on the file in order.
        output: output folder of the earlier search; None means `tauopt-output`.
        warm_start: name of an earlier search that is taken over from.
        progress: is told while candidates are counted.
    Raises:
        ConfigError: the file is wrong.
        DataError: the ntuples are wrong.
        UsageError: there is no such earlier search, or nothing of it can be taken over.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.config.load import read_experiment
    from tauopt.config.settings.ranges import describe_range
    from tauopt.models.build_model import describe
    from tauopt.study.search_setup import first_trials, starting_points

    file = read_experiment(path, overrides=overrides)
    warm = _warm(warm_start, file, output) if warm_start else None
    experiment = settled(file)
    counted = survey(experiment.data, progress=progress or Silent())
    hypermodel = hypermodel_space(file)
    described = describe(without_constants(experiment), experiment.model)
    return DryRun(
        configuration=experiment.model_dump(mode="json"),
        space={
            **{path: describe_range(range_) for path, range_ in file.space.items()},
            **hyperparameters(file),
        },
        branches=counted.branches if counted else (),
        counts={split: dict(of) for split, of in counted.counts.items()} if counted else {},
        parameters=described.parameters,
        trials=tuple(first_trials(file, count=SAMPLES, hypermodel=hypermodel, warm=warm)),
        defaults=len(file.starts()),
        taken=len(starting_points(file, hypermodel, warm)) - len(file.starts()) if warm else 0,
        warm_start=tuple(warm.lines()) if warm else (),
        summary=described.summary,
    )


def _warm(earlier: str, file: ExperimentFile, output: Path | None) -> WarmStart:
    from tauopt.workflows.warm_start import taken_over

    place = output_folder(output).absolute()
    return taken_over(earlier, file, output=place, dataset=known_digest(file.base.data))
