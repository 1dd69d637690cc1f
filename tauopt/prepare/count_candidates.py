"""Count candidates by split and class without writing anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.physics.expressions import branches_of
from tauopt.prepare import input_files
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.label_candidates import label
from tauopt.progress import Progress, Silent


@dataclass(frozen=True)
class Survey:
    """Counts of a dataset after selection, by class and split."""

    files: int
    entries: int
    branches: tuple[str, ...]
    """All branches that preparation reads."""
    counts: dict[SplitName, dict[str, int]]
    """Split -> class -> candidates, before candidates with missing features are left out."""
    dropped: dict[str, int]
    """Reason -> candidates left out."""


def survey(dataset: Dataset, *, progress: Progress | None = None) -> Survey:
    """Count candidates by split and class, reading only the branches that decide these.

    Args:
        dataset: with absolute globs.
        progress: reports the entries read.
    Raises:
        DataError: as `prepare`, for errors that show in these branches.
    """
    progress = progress or Silent()
    plan = make_plan(dataset)
    files = input_files.with_entries(input_files.find_files(dataset, plan))
    input_files.check_bad_files(files, tolerated=dataset.bad_files)
    counts = np.zeros((len(SPLITS), len(plan.classes)), dtype=np.int64)
    dropped: Counter[str] = Counter()
    progress.begin(f"counting {dataset.name}", sum(file.entries for file in files), "candidates")
    for file in (file for file in files if file.entries and not file.problem):
        start = 0
        for columns in file.source.iterate(branches_of(plan.labelling)):
            where = f"{file.path}, entries from {start}"
            labels = label(plan, columns, allowed=file.classes, where=where)
            np.add.at(counts, (labels.splits, labels.labels), 1)
            dropped += labels.dropped
            start += labels.entries
            progress.advance(labels.entries)
    return Survey(
        files=len(files),
        entries=sum(file.entries for file in files),
        branches=tuple(dict.fromkeys(name for file in files for name in file.branches)),
        counts={
            split: dict(zip(plan.classes, counts[i].tolist(), strict=True))
            for i, split in enumerate(SPLITS)
        },
        dropped=dict(dropped),
    )
