"""Features of the candidates of any file, for a network to score; truth is not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.dataset.prepared_dataset import Features
from tauopt.errors import DataError
from tauopt.ntuples.source import STEP, Source
from tauopt.physics.expressions import branches_of
from tauopt.physics.jagged import Jagged
from tauopt.prepare.dataset_expressions import DatasetExpressions
from tauopt.prepare.label_candidates import evaluate_features
from tauopt.prepare.missing import is_missing

FeatureColumns = Mapping[str, NDArray[np.generic] | Jagged]


@dataclass(frozen=True)
class FileStep:
    """Some entries of a file, in its order.

    Attributes:
        entries: number of entries; in files with one event an entry, number of candidates.
        rows: (candidate,) the entries that are selected and lack no feature, increasing.
        features: of these candidates, in physical units.
        spectators: of these candidates, by name, (candidate,).
        missing: number of entries that are selected, but lack a feature.
    """

    entries: int
    rows: NDArray[np.int64]
    features: Features
    spectators: Mapping[str, NDArray[np.float32]]
    missing: int


def branches_for(plan: DatasetExpressions, spectators: Sequence[str]) -> tuple[str, ...]:
    """Return the branches that a file must have to be scored; none of the truth."""
    expressions = [*plan.selection.values(), *(feature.expression for feature in plan.candidate)]
    expressions += [expression for group in plan.groups for expression in group.expressions]
    return branches_of([*expressions, *(plan.spectators[name] for name in spectators)])


def steps(
    plan: DatasetExpressions, source: Source, *, spectators: Sequence[str] = (), step: int = STEP
) -> Iterator[FileStep]:
    """Read a file step by step.

    Args:
        plan: the dataset's expressions; its classes, weights and splits are not used.
        source: the file.
        spectators: names of the spectators to read.
        step: entries read at a time; in files with one event an entry, events.
    Raises:
        DataError: a branch is missing, or an expression does not fit what it reads.
        BadFileError: the file can't be read whole.
    """
    for columns in source.iterate(branches_for(plan, spectators), step=step):
        yield _step(plan, columns, spectators)


def _step(plan: DatasetExpressions, columns: FeatureColumns, spectators: Sequence[str]) -> FileStep:
    first = next(iter(columns.values()))
    entries = len(first.offsets) - 1 if isinstance(first, Jagged) else len(first)
    selected = np.ones(entries, np.bool_)
    for cut in plan.selection.values():
        selected &= cut.mask(columns, entries=entries)
    rows = np.flatnonzero(selected)
    candidate, groups = evaluate_features(plan, columns, rows, groups=plan.groups)
    lacking = _lacking(plan, candidate, groups)
    values = {
        name: _spectator(plan, name, columns, entries=entries)[rows][~lacking]
        for name in spectators
    }
    return FileStep(
        entries,
        rows[~lacking],
        _take(Features(candidate, groups), np.flatnonzero(~lacking)),
        values,
        missing=int(lacking.sum()),
    )


def _spectator(
    plan: DatasetExpressions, name: str, columns: FeatureColumns, *, entries: int
) -> NDArray[np.float32]:
    values = plan.spectators[name].evaluate_flat(columns, entries=entries)
    if isinstance(values, Jagged):
        raise DataError(f"spectators.{name}: has several values a candidate, expected one")
    return values.astype(np.float32)


def _lacking(
    plan: DatasetExpressions,
    candidate: NDArray[np.float32],
    groups: Mapping[str, Jagged],
) -> NDArray[np.bool_]:
    """Return which candidates lack a feature, (candidate,)."""
    lacking = np.zeros(len(candidate), np.bool_)
    for column, feature in enumerate(plan.candidate):
        lacking |= is_missing(candidate[:, column], feature.transform)
    for group in plan.groups:
        values, offsets = groups[group.name]
        for column, feature in enumerate(group.features):
            bad = np.flatnonzero(is_missing(values[:, column], feature.transform))
            lacking[np.searchsorted(offsets, bad, side="right") - 1] = True
    return lacking


def _take(features: Features, rows: NDArray[np.int64]) -> Features:
    """Return the features of the candidates `rows`."""
    if len(rows) == len(features.candidate):
        return features
    groups = {name: objects.take(rows) for name, objects in features.groups.items()}
    return Features(features.candidate[rows], groups)
