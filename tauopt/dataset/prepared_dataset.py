"""A prepared dataset on disk: memory-mapped chunks, and a seal on the test split."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tauopt import durable
from tauopt.config.settings.inputs import FittedGroup
from tauopt.dataset.chunk_writer import offsets_fault
from tauopt.dataset.manifest import SPLITS, ChunkInfo, Manifest, SplitName, read_manifest
from tauopt.dataset.mapped_arrays import map_array
from tauopt.errors import CorruptError, DataError, nearest
from tauopt.physics.jagged import Jagged

logger = logging.getLogger(__name__)

COLUMNS = ("labels", "weights", "event_numbers")
"""Columns of every split beside its spectators."""

Array = npt.NDArray[Any]


class Features(NamedTuple):
    """Features of some candidates and of their objects, in physical units."""

    candidate: npt.NDArray[np.float32]
    """(candidate, feature)."""
    groups: dict[str, Jagged]
    """Name -> features of its objects, content (object, feature); the offsets are checked."""


class ReadFeatures(Protocol):
    """Read the features of directly streamed candidates from their source files."""

    def __call__(
        self, files: npt.NDArray[np.int32], entries: npt.NDArray[np.int64], *, groups: Sequence[str]
    ) -> Features:
        """Return the features of candidates in order, given their file and entry, (candidate)."""


@dataclass(frozen=True)
class Chunk:
    """Some candidates of a split, memory-mapped from disk.

    Each access to a property maps the file anew, so keep the result. Arrays are read-only. Every
    property raises CorruptError where a file does not fit the manifest.
    """

    folder: Path
    info: ChunkInfo
    columns: Mapping[str, int] = field(repr=False)
    """Columns in each two-dimensional file: `candidate`, `spectators`, `<group>.values`."""
    read: ReadFeatures | None = field(default=None, repr=False)
    """Reads the features of a direct chunk from the source files."""

    @property
    def candidates(self) -> int:
        """Candidates in the chunk."""
        return self.info.candidates

    @property
    def labels(self) -> npt.NDArray[np.int16]:
        """Index into the manifest's classes, (candidate)."""
        return self._map("labels", np.int16, (self.candidates,))

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """Physics weights, (candidate)."""
        return self._map("weights", np.float32, (self.candidates,))

    @property
    def event_numbers(self) -> npt.NDArray[np.int64]:
        """Event numbers, (candidate)."""
        return self._map("event_numbers", np.int64, (self.candidates,))

    @property
    def candidate(self) -> npt.NDArray[np.float32]:
        """The candidate's own features, (candidate, feature)."""
        return self._map("candidate", np.float32, (self.candidates, self.columns["candidate"]))

    @property
    def spectators(self) -> npt.NDArray[np.float32]:
        """Values that are no network inputs, (candidate, spectator)."""
        return self._map("spectators", np.float32, (self.candidates, self.columns["spectators"]))

    @property
    def is_direct(self) -> bool:
        """Whether the features are read from the source files."""
        return "candidate.npy" not in self.info.files

    def features(self, groups: Sequence[str]) -> Features:
        """Return the candidates' features: mapped, or read from the source files of a direct chunk.

        Args:
            groups: names of the groups to return.
        Raises:
            CorruptError: a file does not fit the manifest.
            DataError: a source file of a direct chunk is gone or has changed.
        """
        if not self.is_direct:
            return Features(self.candidate, {name: self.group(name) for name in groups})
        if self.read is None:
            raise RuntimeError(
                "a directly streamed dataset must be opened with "
                "tauopt.prepare.direct_streaming.open_dataset"
            )
        count = (self.candidates,)
        files, entries = self._map("files", np.int32, count), self._map("entries", np.int64, count)
        features = self.read(files, entries, groups=groups)
        for name, (values, offsets) in features.groups.items():
            fault = offsets_fault(offsets, self.candidates, len(values))
            if fault:
                raise CorruptError(f"{self.folder / self.info.name}: {name}: {fault}; {_REMEDY}")
        return features

    def group(self, name: str) -> Jagged:
        """Return the features of a group's objects, content (object, feature).

        The offsets are checked, so that compiled code may use them without bounds checks.
        """
        values = self._map(f"{name}.values", np.float32, (-1, self.columns[f"{name}.values"]))
        offsets = self._map(f"{name}.offsets", np.int64, (self.candidates + 1,))
        fault = offsets_fault(offsets, self.candidates, len(values))
        if fault:
            raise CorruptError(f"{self._path(f'{name}.offsets')}: {fault}; {_REMEDY}")
        return Jagged(values, offsets)

    def _path(self, key: str) -> Path:
        return self.folder / self.info.name / f"{key}.npy"

    def _map(self, key: str, dtype: type, shape: tuple[int, ...]) -> Array:
        path = self._path(key)
        try:
            array = map_array(path)
        except (OSError, ValueError) as error:
            raise CorruptError(f"{path}: {error}; {_REMEDY}") from error
        expected = tuple(array.shape[i] if n < 0 else n for i, n in enumerate(shape))
        if array.dtype != dtype or array.shape != expected or not array.flags.c_contiguous:
            raise CorruptError(
                f"{path}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}; "
                f"{_REMEDY}"
            )
        return array


_REMEDY = "delete the dataset's folder and run `tauopt prepare` again"


@dataclass(frozen=True)
class SplitReader:
    """The candidates of one split, in stored order."""

    name: SplitName
    chunks: tuple[Chunk, ...]
    classes: tuple[str, ...]
    candidate: FittedGroup = field(repr=False)
    groups: tuple[FittedGroup, ...] = field(repr=False)
    spectators: tuple[str, ...]

    @property
    def candidates(self) -> int:
        """Candidates in all chunks."""
        return sum(chunk.candidates for chunk in self.chunks)

    def columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Return columns of the whole split in stored order, each (candidate).

        Args:
            names: `labels`, `weights`, `event_numbers` or spectators.
        Raises:
            DataError: a name is no column.
        """
        known = (*COLUMNS, *self.spectators)
        for name in names:
            if name not in known:
                raise DataError(
                    f"no column {name!r}{nearest(name, known)}; there are {', '.join(known)}"
                )
        return {name: self._column(name) for name in names}

    def most_objects(self, group: str, *, enough: int) -> int | None:
        """Return the largest number of objects of a group in one candidate.

        Args:
            group: name of the group.
            enough: stop reading chunks once a candidate has this many; so a caller that compares
                the result with `enough` need not wait for all chunks.
        Returns:
            the largest number, or some number of at least `enough`; None if some chunks are direct:
            their objects are only in the source files.
        """
        if any(chunk.is_direct for chunk in self.chunks):
            return None
        most = 0
        for chunk in self.chunks:
            most = max(most, int(np.diff(chunk.group(group)[1]).max(initial=0)))
            if most >= enough:
                break
        return most

    def _column(self, name: str) -> Array:
        if name in COLUMNS:
            parts = [getattr(chunk, name) for chunk in self.chunks]
        else:
            index = self.spectators.index(name)
            parts = [chunk.spectators[:, index] for chunk in self.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


@dataclass(frozen=True)
class PreparedDataset:
    """An immutable folder of chunks with a manifest; pickled as its path."""

    folder: Path
    manifest: Manifest = field(repr=False)
    read: ReadFeatures | None = field(default=None, repr=False)
    """Reads the features of a directly streamed dataset from the source files."""

    def __reduce__(self) -> tuple[Callable[..., PreparedDataset], tuple[Any, ...]]:
        return _reopen, (self.folder, self.read)

    @property
    def is_direct(self) -> bool:
        """Whether the features of some chunks are read from the source files."""
        return any(
            "candidate.npy" not in chunk.files
            for split in self.manifest.splits.values()
            for chunk in split.chunks
        )

    @property
    def digest(self) -> str:
        """SHA-256 of all inputs of the preparation."""
        return self.manifest.digest

    @cached_property
    def train(self) -> SplitReader:
        """The split on which networks are trained."""
        return self._split("train")

    @cached_property
    def validation(self) -> SplitReader:
        """The split on which trials are compared."""
        return self._split("validation")

    def sealed_test(self, *, opened_by: str) -> SplitReader:
        """Open the test split, which no search may see; log who opened it.

        Args:
            opened_by: command and trial, for instance `promote 3f2a`.
        Raises:
            DataError: `opened_by` is empty.
        """
        if not opened_by.strip():
            raise DataError("the test split is sealed: `opened_by` is empty, expected who opens it")
        logger.info("test split of %s opened by %s", self.folder.name, opened_by)
        return self._split("test")

    def verify(self) -> None:
        """Read every file and compare it with its digest.

        Raises:
            CorruptError: names each file that differs.
        """
        bad = [
            str(path)
            for path, expected in self._files()
            if durable.sha256_file(path) != expected.sha256
        ]
        if bad:
            raise CorruptError(f"content differs from its digest: {', '.join(bad)}; {_REMEDY}")

    def report(self, name: str) -> Any:
        """Return the content of a report beside the chunks, see `Manifest.reports`.

        Raises:
            DataError: there is no such report: an older tauopt prepared the dataset.
            CorruptError: the report can't be read.
        """
        if name not in self.manifest.reports:
            raise DataError(
                f"{self.folder}: has no report {name}; an older tauopt prepared it, so prepare the "
                "dataset again"
            )
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorruptError(f"{self.folder / name}: {error}; {_REMEDY}") from error

    def check_sizes(self) -> None:
        """Compare the size of every file with the manifest.

        Reading beyond the end of a memory-mapped file kills the process with SIGBUS.

        Raises:
            CorruptError: names each file that is missing or of another size.
        """
        bad = []
        for path, expected in self._files():
            try:
                size = path.stat().st_size
            except OSError as error:
                bad.append(f"{path} ({error.strerror})")
            else:
                if size != expected.bytes:
                    bad.append(f"{path} (expected {expected.bytes} bytes, got {size})")
        if bad:
            raise CorruptError(f"damaged prepared dataset: {', '.join(bad)}; {_REMEDY}")

    def _files(self) -> list[tuple[Path, Any]]:
        reports = [(self.folder / name, report) for name, report in self.manifest.reports.items()]
        return reports + [
            (self.folder / chunk.name / name, expected)
            for split in self.manifest.splits.values()
            for chunk in split.chunks
            for name, expected in chunk.files.items()
        ]

    def _split(self, name: SplitName) -> SplitReader:
        manifest = self.manifest
        columns = {f"{group.name}.values": len(group.features) for group in manifest.groups}
        columns["candidate"] = len(manifest.candidate.features)
        columns["spectators"] = len(manifest.spectators)
        return SplitReader(
            name=name,
            chunks=tuple(
                Chunk(self.folder, info, columns, self.read)
                for info in manifest.splits[name].chunks
            ),
            classes=manifest.classes,
            candidate=manifest.candidate,
            groups=manifest.groups,
            spectators=manifest.spectators,
        )


def _reopen(folder: Path, read: ReadFeatures | None) -> PreparedDataset:
    return replace(open_dataset(folder), read=read)


def open_dataset(folder: Path | str) -> PreparedDataset:
    """Open a prepared dataset: read the manifest and check the size of every file.

    Raises:
        DataError: there is no prepared dataset, or its format is newer than this code.
        CorruptError: the manifest or a file is damaged, or a split is missing.
    """
    folder = Path(folder).resolve()
    manifest = read_manifest(folder)
    missing = [name for name in SPLITS if name not in manifest.splits]
    if missing:
        raise CorruptError(f"{folder}: the manifest lacks {', '.join(missing)}; {_REMEDY}")
    dataset = PreparedDataset(folder, manifest)
    dataset.check_sizes()
    return dataset
