"""Prepared dataset -> ntuples of another format, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import UsageError, nearest
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import make_folder

if TYPE_CHECKING:
    from tauopt.dataset.prepared_dataset import Chunk, PreparedDataset

FORMATS = ("root", "hdf5", "parquet")
Array = NDArray[Any]
TABLE = "candidates"
"""Name of the TTree, or of the HDF5 dataset, of the candidates."""


def convert(
    dataset: PreparedDataset, *, to: str, folder: Path, progress: Progress | None = None
) -> list[Path]:
    """Write every chunk of a prepared dataset as a file of its own.

    Candidates hold `label` (index of the class), `weight`, `event_number`, the spectators and
    the features, physical values without transforms; a name that two of them share gets
    `spectator_` in front for the latter. Objects are branches such as `tracks_pt`.

    Args:
        dataset: opened; its test split is written too, and says so in the log.
        to: format.
        folder: made if missing; files are called `train-00000.root` and so on.
        progress: is told.
    Returns:
        the files.
    Raises:
        UsageError: there is no such format, or the folder can't be written.
    """
    from tauopt.ntuples.write_ntuples import WRITERS

    check_format(to)
    progress = progress or Silent()
    make_folder(folder, option="--to-folder")
    splits = (dataset.train, dataset.validation, dataset.sealed_test(opened_by=f"convert to {to}"))
    chunks = [(split, chunk) for split in splits for chunk in split.chunks]
    progress.begin(f"writing {dataset.manifest.name} as {to}", len(chunks), "files")
    files = []
    for split, chunk in chunks:
        files.append(folder / f"{chunk.info.name}.{to}")
        scalars, groups = _columns(dataset, chunk, split.spectators)
        WRITERS[to](files[-1], TABLE, scalars, groups)
        progress.advance()
    return files


def check_format(name: str) -> None:
    """Refuse a format that can't be written, with a UsageError that names those that can."""
    if name not in FORMATS:
        raise UsageError(
            f"no format {name!r}{nearest(name, FORMATS)}; there are {', '.join(FORMATS)}"
        )


def _columns(
    dataset: PreparedDataset, chunk: Chunk, spectators: tuple[str, ...]
) -> tuple[dict[str, Array], dict[str, tuple[Array, dict[str, Array]]]]:
    manifest = dataset.manifest
    features = chunk.features([group.name for group in manifest.groups])
    scalars: dict[str, Array] = {
        "label": np.asarray(chunk.labels),
        "weight": np.asarray(chunk.weights),
        "event_number": np.asarray(chunk.event_numbers),
    }
    for index, feature in enumerate(manifest.candidate.features):
        scalars[feature.name] = np.ascontiguousarray(features.candidate[:, index])
    for index, name in enumerate(spectators):
        name = name if name not in scalars else f"spectator_{name}"
        scalars[name] = np.ascontiguousarray(chunk.spectators[:, index])
    groups = {}
    for group in manifest.groups:
        values, offsets = features.groups[group.name]
        fields = {f.name: np.ascontiguousarray(values[:, i]) for i, f in enumerate(group.features)}
        groups[group.name] = np.diff(offsets), fields
    return scalars, groups
