"""What a search would do, without doing or writing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.progress import Progress, Silent
from tauopt.quiet import silenced_stderr
from tauopt.workflows.prepare import survey

if TYPE_CHECKING:
    from tauopt.config.experiment import Experiment
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.inputs import Feature, FittedGroup, InputSpec

SAMPLES = 3


@dataclass(frozen=True)
class DryRun:
    """A search that was not run."""

    configuration: Mapping[str, Any]
    """The experiment with every range at its default, resolved, as nested JSON values."""
    space: Mapping[str, str]
    """Path -> range in words."""
    branches: tuple[str, ...]
    """Branches that preparation reads; empty if the sample is still to be simulated."""
    counts: Mapping[str, Mapping[str, int]]
    """Split -> class -> candidates; empty if the sample is still to be simulated."""
    parameters: int
    """Of the network of the first trial."""
    trials: tuple[Mapping[str, Any], ...]
    """The first trial, which takes the defaults, and sampled ones."""
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

    with silenced_stderr():
        from tauopt.models.build import describe

    file = read_experiment(path, overrides=overrides)
    experiment = file.base
    counted = survey(experiment.data, progress=progress or Silent())
    described = describe(without_constants(experiment), experiment.model)
    return DryRun(
        configuration=experiment.model_dump(mode="json"),
        space={path: describe_range(range_) for path, range_ in file.space.items()},
        branches=counted.branches if counted else (),
        counts={split: dict(of) for split, of in counted.counts.items()} if counted else {},
        parameters=described.parameters,
        trials=tuple(sampled(file)),
        summary=described.summary,
    )


def sampled(file: ExperimentFile) -> list[Mapping[str, Any]]:
    """Return the trial of the defaults and some that the sampler proposes, not trained."""
    from tauopt.search.preview import preview

    return preview(file, count=SAMPLES)


def without_constants(experiment: Experiment) -> InputSpec:
    """Return what the network would see, before any constant is fitted."""
    from tauopt.config.inputs import CANDIDATE, InputSpec
    from tauopt.config.networks import group_lengths

    data, lengths = experiment.data, group_lengths(experiment.model)
    return InputSpec(
        candidate=_unfitted(CANDIDATE, data.candidate),
        groups=tuple(_unfitted(name, data.groups[name].features) for name in lengths),
        lengths=lengths,
        classes=tuple(experiment.task.classes),
        signal=experiment.task.signal,
    )


def _unfitted(name: str, features: Mapping[str, Feature]) -> FittedGroup:
    from tauopt.config.inputs import FittedFeature, FittedGroup, Transform

    return FittedGroup(
        name=name,
        features=tuple(
            FittedFeature(
                name=feature,
                transform=Transform(**settings.model_dump(exclude={"expression"})),
            )
            for feature, settings in features.items()
        ),
    )
