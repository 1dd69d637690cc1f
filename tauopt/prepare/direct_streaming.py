"""Direct streaming: features of a chunk are read from the source files when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.dataset import Dataset
from tauopt.dataset import prepared_dataset
from tauopt.dataset.manifest import Manifest
from tauopt.dataset.prepared_dataset import Features, PreparedDataset
from tauopt.errors import DataError
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.source import Reader, Seekable, Source
from tauopt.physics import jagged
from tauopt.physics.expressions import branches_of
from tauopt.prepare.dataset_expressions import DatasetExpressions, GroupPlan, make_plan
from tauopt.prepare.label_candidates import evaluate_features


def open_dataset(folder: Path | str) -> PreparedDataset:
    """Open a prepared dataset; a directly streamed one reads its features from the source files.

    Raises as `tauopt.dataset.prepared_dataset.open_dataset`.
    """
    dataset = prepared_dataset.open_dataset(folder)
    if not dataset.is_direct:
        return dataset
    return PreparedDataset(dataset.folder, dataset.manifest, SourceFeatures(dataset.manifest))


def seekable(source: Source, *, where: Path) -> Seekable:
    """Return the source as one that can be read from any entry on, as direct streaming needs.

    Raises:
        DataError: the format can only be read from its beginning.
    """
    if not isinstance(source, Seekable):
        raise DataError(
            f"{where}: `stream: direct` needs files that can be read from any entry on, that is "
            "ROOT or HDF5 files with one candidate an entry; set `stream: prepared`"
        )
    return source


OPEN_FILES = 100
"""Files kept open at most: opening one costs as much as reading ten thousand candidates."""


@dataclass(frozen=True)
class SourceFeatures:
    """Read the features of candidates from the files that a manifest names; safe in threads."""

    manifest: Manifest

    def __reduce__(self) -> tuple[type[SourceFeatures], tuple[Manifest]]:
        return SourceFeatures, (self.manifest,)  # parsed expressions don't travel

    @cached_property
    def _dataset(self) -> Dataset:
        return Dataset.model_validate(self.manifest.settings)

    @cached_property
    def _plan(self) -> DatasetExpressions:
        return make_plan(self._dataset)

    @cached_property
    def _opened(self) -> Callable[[int, tuple[str, ...]], Reader]:
        """Open a file for some branches, or return it from the cache of open files."""
        return lru_cache(maxsize=OPEN_FILES)(self._open)

    def __call__(
        self, files: NDArray[np.int32], entries: NDArray[np.int64], *, groups: Sequence[str]
    ) -> Features:
        """Read the features of some candidates.

        Args:
            files: (candidate) index into the manifest's sources, those of a file together.
            entries: (candidate) entry in the file, increasing within a file.
            groups: names of the groups to read.
        Returns:
            features in the order of the arguments.
        Raises:
            DataError: a file is gone, has another size than before, or can't be read whole.
        """
        plans = tuple(group for group in self._plan.groups if group.name in groups)
        edges = np.flatnonzero(np.diff(files)) + 1
        parts = [
            self._read(int(files[rows[0]]), entries[rows], plans)
            for rows in np.split(np.arange(len(files)), edges)
        ]
        return parts[0] if len(parts) == 1 else _join(parts)

    def _read(
        self, number: int, entries: NDArray[np.int64], groups: Sequence[GroupPlan]
    ) -> Features:
        """Read candidates of one file, at increasing entries."""
        source = self.manifest.sources[number]
        _check_size(Path(source.path), source.bytes)
        start, stop = int(entries[0]), int(entries[-1]) + 1
        expressions = [feature.expression for feature in self._plan.candidate]
        expressions += [part for group in groups for part in group.expressions]
        columns = self._opened(number, branches_of(expressions)).read(start, stop)
        rows = entries - start
        return Features(*evaluate_features(self._plan, columns, rows, groups=groups))

    def _open(self, number: int, branches: tuple[str, ...]) -> Reader:
        source = self.manifest.sources[number]
        path, sample = Path(source.path), self._dataset.samples[source.sample]
        layout = self._dataset.layout
        file = open_source(path, tree=sample.tree, friends=sample.friends, layout=layout)
        return seekable(file, where=path).open(branches)


def _check_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; its features are streamed directly from this file: bring "
            "it back, or prepare again"
        ) from error
    if size != expected:
        raise DataError(
            f"{path}: has {size} bytes, but had {expected} when the dataset was prepared; "
            "prepare again"
        )


def _join(parts: Sequence[Features]) -> Features:
    groups = {
        name: jagged.concatenate([part.groups[name] for part in parts]) for name in parts[0].groups
    }
    return Features(np.concatenate([part.candidate for part in parts]), groups)
