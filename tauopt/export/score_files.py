"""Score ntuples: write a friend tree, or an HDF5 or Parquet file, for each input file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.layout import EventLayout
from tauopt.durable import sha256_json
from tauopt.evaluation.recorded_trial import Trial
from tauopt.export.scorer import Scorer
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.models.devices import limit_devices
from tauopt.ntuples.event_trees import EventTree
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.friend_formats import FORMATS
from tauopt.ntuples.source import STEP
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.inference_features import FileStep, branches_for, steps


@dataclass(frozen=True, eq=False)
class FileScorer:
    """A model to be applied to files; it is sent to other processes, which load it once each."""

    trial: Trial
    points: WorkingPoints | None
    default: float
    """Score of candidates that are not selected or lack a feature."""
    leave_out: tuple[str, ...] = ()
    """Names of the dataset file's `cuts` that candidates need not pass, such as those on truth."""

    @property
    def data(self) -> Dataset:
        """The trial's dataset file without the cuts that are left out."""
        data = self.trial.experiment.data
        cuts = {name: text for name, text in data.cuts.items() if name not in self.leave_out}
        return data.model_copy(update={"cuts": cuts})

    @cached_property
    def key(self) -> str:
        """Digest of model, working points and default."""
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
    """Sample of the dataset file that determines tree and friends."""
    to: Path
    """File to be written."""
    record: dict[str, Any]
    """Provenance that is stored in the file written."""
    step: int = STEP
    """Entries read at a time."""
    format: str = "root"
    """Format of the file written; see `ntuples.friend_formats`."""


@dataclass
class ScoredFile:
    """Counts of one scored file."""

    path: Path
    to: Path
    entries: int = 0
    """Entries of the friend tree, equal to those of the input."""
    candidates: int = 0
    scored: int = 0
    missing: int = 0
    """Candidates that are selected, but lack a feature."""
    skipped: bool = False
    """Whether the same scores had been written before."""


def score_file(
    job: ScoreJob, file_scorer: FileScorer, *, threads: float | None = None
) -> ScoredFile:
    """Write the scores of one file.

    Args:
        job: the file.
        file_scorer: the model.
        threads: number of threads that TensorFlow may use; None takes all cores.
    Raises:
        DataError: the file does not fit the dataset file.
        BadFileError: the file can't be read to its end.
        CorruptError: the model was altered.
    """
    limit_devices(cpus=threads)
    data = file_scorer.data
    sample, plan, scorer = data.samples[job.sample], make_plan(data), _scorer(file_scorer)
    source = open_source(job.path, tree=sample.tree, friends=sample.friends, layout=data.layout)
    scored = ScoredFile(job.path, job.to)
    counts = None
    if isinstance(data.layout, EventLayout) and isinstance(source, EventTree):
        # Scores of events are lists, as long as the lists of candidates.
        counts = source.counts(branches_for(plan, scorer.spectators))
    read = steps(plan, source, spectators=scorer.spectators, step=job.step)
    scored.entries = FORMATS[job.format].write(
        job.to,
        (scorer(step) for step in _counting(read, scored)),
        columns=scorer.columns,
        counts=counts,
        record=job.record,
    )
    return scored


def _counting(read: Iterator[FileStep], scored: ScoredFile) -> Iterator[FileStep]:
    for step in read:
        scored.candidates += step.entries
        scored.scored += len(step.rows)
        scored.missing += step.missing
        yield step


@lru_cache(maxsize=1)  # a process scores many files with one model
def _scorer(file_scorer: FileScorer) -> Scorer:
    return Scorer(file_scorer.trial, file_scorer.points, default=file_scorer.default)
