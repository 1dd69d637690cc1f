"""Scores in ntuples: a friend tree, or its like, for each file, written once and whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.layout import EventLayout
from tauopt.durable import sha256_json
from tauopt.evaluation.recorded_trial import Trial
from tauopt.export.scorer import Scorer
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.ntuples.event_trees import EventTree
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.friend_formats import FORMATS
from tauopt.ntuples.source import STEP
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.inference_features import FileStep, branches_for, steps
from tauopt.training.device_setup import limit_devices


@dataclass(frozen=True, eq=False)
class FileScorer:
    """What is applied to files; travels to other processes, where it is loaded once."""

    trial: Trial
    points: WorkingPoints | None
    default: float
    leave_out: tuple[str, ...] = ()
    """Names of the dataset file's `cuts` that candidates need not pass, such as those on truth."""

    @property
    def data(self) -> Dataset:
        """How candidates are read."""
        data = self.trial.experiment.data
        cuts = {name: text for name, text in data.cuts.items() if name not in self.leave_out}
        return data.model_copy(update={"cuts": cuts})

    @cached_property
    def key(self) -> str:
        """Equal for equal model, working points and default."""
        points = self.points.as_json() if self.points else None
        return sha256_json([self.trial.sha256, points, self.default])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileScorer) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class ScoreJob:
    """One file to be scored."""

    path: Path
    sample: str
    """Of the dataset file: says which tree and friends are read."""
    to: Path
    record: dict[str, Any]
    """Kept in the file that is written."""
    step: int = STEP
    format: str = "root"
    """Of the file that is written; see `ntuples.friend_formats`."""


@dataclass
class ScoredFile:
    """What came of one file."""

    path: Path
    to: Path
    entries: int = 0
    """Of the friend tree, which are those of the input."""
    candidates: int = 0
    scored: int = 0
    missing: int = 0
    """Candidates that are selected, but lack a feature."""
    skipped: bool = field(default=False)
    """Whether it was there already."""


def score_file(job: ScoreJob, applied: FileScorer, *, threads: float | None = None) -> ScoredFile:
    """Write the friend tree of one file.

    Args:
        job: the file.
        applied: the model.
        threads: that TensorFlow may use; None is all.
    Raises:
        DataError: the file is not what the dataset file says.
        BadFileError: it can't be read whole.
        CorruptError: the model is damaged.
    """
    limit_devices(cpus=threads)
    data = applied.data
    sample, plan, scorer = data.samples[job.sample], make_plan(data), _scorer(applied)
    source = open_source(job.path, tree=sample.tree, friends=sample.friends, layout=data.layout)
    found = ScoredFile(job.path, job.to)
    counts = None
    if isinstance(data.layout, EventLayout) and isinstance(source, EventTree):
        counts = source.counts(branches_for(plan, scorer.spectators))
    read = steps(plan, source, spectators=scorer.spectators, step=job.step)
    found.entries = FORMATS[job.format].write(
        job.to,
        (scorer(step) for step in _counting(read, found)),
        columns=scorer.columns,
        counts=counts,
        record=job.record,
    )
    return found


def _counting(read: Iterator[FileStep], found: ScoredFile) -> Iterator[FileStep]:
    for step in read:
        found.candidates += step.entries
        found.scored += len(step.rows)
        found.missing += step.missing
        yield step


@lru_cache(maxsize=1)
def _scorer(applied: FileScorer) -> Scorer:
    return Scorer(applied.trial, applied.points, default=applied.default)
