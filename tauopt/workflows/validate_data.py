"""Validate a prepared dataset: digests, and each chunk's homogeneity with its split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.progress import Progress, Silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
    from tauopt.prepare.chunk_histograms import ChunkHistograms, ColumnNames
    from tauopt.prepare.chunk_validation import ChunkValidation


def validate_data(
    source: Path | str, *, cache: Path | None = None, progress: Progress | None = None
) -> tuple[PreparedDataset, ChunkValidation]:
    """Validate a prepared dataset; writes nothing into it.

    Args:
        source: its folder, or a dataset or experiment file, which is prepared if it is not yet.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives the number of candidates read.
    Returns:
        the dataset, and the comparisons of its chunks; the caller decides on failures. There are
        no comparisons for a directly streamed dataset, whose chunks are slices of files and no
        random samples.
    Raises:
        CorruptError: a file's content differs from its digest.
        DataError: there is no prepared dataset; or errors of `prepare`.
    """
    from tauopt.prepare.chunk_validation import compare
    from tauopt.prepare.direct_streaming import open_dataset
    from tauopt.workflows.prepare import prepare

    progress = progress or Silent()
    if Path(source).is_dir():
        prepared = open_dataset(source)
    else:
        prepared = prepare(source, cache=cache, progress=progress)
    prepared.verify()
    if prepared.is_direct:
        return prepared, compare(())
    opener = f"validate-data {prepared.folder.name}"
    splits = (prepared.train, prepared.validation, prepared.sealed_test(opened_by=opener))
    total = sum(split.candidates for split in splits)
    progress.begin(f"validating {prepared.manifest.name}", total, "candidates")
    names = _column_names(prepared)
    return prepared, compare([_histograms(split, names, progress=progress) for split in splits])


def draw_validation(
    prepared: PreparedDataset, validation: ChunkValidation, folder: Path
) -> list[Path]:
    """Draw the p-values of all comparisons; return a PNG and the JSON of its points.

    Raises:
        ValueError: there are no comparisons.
    """
    from tauopt.figures.dataset.validation_figure import validation_figure
    from tauopt.figures.figure_style import SampleLabel
    from tauopt.figures.save_figure import save_figure

    sample = SampleLabel(prepared.manifest.name)
    figure, points = validation_figure(validation.plain(), sample=sample)
    return save_figure(figure, points, folder, name="validation")


def _column_names(prepared: PreparedDataset) -> ColumnNames:
    from tauopt.prepare.chunk_histograms import ColumnNames

    manifest = prepared.manifest
    groups = {group.name: tuple(f.name for f in group.features) for group in manifest.groups}
    candidate = tuple(feature.name for feature in manifest.candidate.features)
    return ColumnNames(candidate, groups, manifest.spectators)


@dataclass(frozen=True)
class _Content:
    """Arrays of a chunk's candidates, each mapped into memory once."""

    labels: NDArray[np.int16]
    weights: NDArray[Any]
    event_numbers: NDArray[np.int64]
    candidate: NDArray[np.float32]
    spectators: NDArray[np.float32]
    groups: Mapping[str, tuple[NDArray[np.float32], NDArray[np.int64]]]


def _histograms(split: SplitReader, names: ColumnNames, *, progress: Progress) -> ChunkHistograms:
    """Fill the histograms of all columns, for each chunk of a split."""
    from tauopt.prepare.chunk_histograms import ChunkHistograms

    histograms = ChunkHistograms(split.name, names, chunks=len(split.chunks))
    for chunk in split.chunks:
        content = _Content(
            labels=chunk.labels,
            weights=chunk.weights,
            event_numbers=chunk.event_numbers,
            candidate=chunk.candidate,
            spectators=chunk.spectators,
            groups={group: chunk.group(group) for group in names.groups},
        )
        histograms.add(chunk.info.name, content)
        progress.advance(chunk.candidates)
    return histograms
