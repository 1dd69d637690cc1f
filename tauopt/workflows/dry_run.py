"""What a search would do, without doing or writing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.progress import Progress, Silent
from tauopt.workflows.own import hyperparameters, own_space, settled, without_constants
from tauopt.workflows.prepare import survey

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile

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
    """The first trials, which take the defaults, and sampled ones."""
    defaults: int
    """How many take the defaults: one for each architecture."""
    summary: str
    """Keras's table of the first trial's layers."""


def dry_run(
    path: Path | str, *, overrides: Sequence[str] = (), progress: Progress | None = None
) -> DryRun:
    """Say what a search would do; writes nothing, and opens no database.

    Args:
        path: experiment file.
        overrides: `path=value` each, laid on the file in order.
        progress: is told while candidates are counted.
    Raises:
        ConfigError: the file is wrong.
        DataError: the ntuples are wrong.
    """
    from tauopt.config.load import read_experiment
    from tauopt.config.ranges import describe_range
    from tauopt.models.build import describe

    file = read_experiment(path, overrides=overrides)
    experiment = settled(file)
    counted = survey(experiment.data, progress=progress or Silent())
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
        trials=tuple(sampled(file)),
        defaults=len(file.starts()),
        summary=described.summary,
    )


def sampled(file: ExperimentFile) -> list[Mapping[str, Any]]:
    """Return the trials of the defaults and some that the sampler proposes, not trained."""
    from tauopt.search.preview import preview

    return preview(file, count=SAMPLES, own=own_space(file))
