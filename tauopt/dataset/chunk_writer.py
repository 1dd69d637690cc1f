"""Arrays -> one chunk of a prepared dataset on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tauopt import durable
from tauopt.dataset.manifest import ChunkFile, ChunkInfo
from tauopt.errors import DataError

Array = npt.NDArray[Any]


def chunk_name(split: str, number: int) -> str:
    """Return the name of a chunk and its folder: `train-00000`."""
    return f"{split}-{number:05d}"


def write_chunk(
    folder: Path,
    name: str,
    *,
    classes: Sequence[str],
    labels: Array,
    weights: Array,
    event_numbers: Array,
    spectators: Array,
    candidate: Array | None = None,
    groups: Mapping[str, tuple[Array, Array]] | None = None,
    places: tuple[Array, Array] | None = None,
) -> ChunkInfo:
    """Write one chunk into `folder / name`, which must not exist.

    Numbers are converted to the dtypes on disk. Files are not synchronised here: the caller writes
    the dataset inside `durable.new_folder`, which does it for all files.

    Args:
        folder: folder of the dataset, still without a manifest.
        name: see `chunk_name`.
        classes: names of the classes, by index.
        labels: (candidate) integers.
        weights: (candidate).
        event_numbers: (candidate) integers.
        spectators: (candidate, spectator).
        candidate: (candidate, feature), physical values; None in a direct chunk.
        groups: name -> values (object, feature), offsets (candidate + 1); None in a direct chunk.
        places: of a direct chunk: (candidate) index into the manifest's sources, and (candidate)
            entry in that file.
    Returns:
        The chunk's entry in the manifest.
    Raises:
        DataError: lengths disagree, a label or an offset is out of range, or a feature or weight
            is not finite in float32.
        InvalidNameError: a group's name can't be part of a file name.
    """
    arrays: dict[str, Array] = {
        "labels": np.asarray(labels, np.int16),
        "weights": _float32(weights),
        "event_numbers": np.asarray(event_numbers, np.int64),
        "spectators": _float32(spectators),
    }
    groups = groups or {}
    if candidate is not None:
        arrays["candidate"] = _float32(candidate)
    if places is not None:
        arrays["files"] = np.asarray(places[0], np.int32)
        arrays["entries"] = np.asarray(places[1], np.int64)
    for group, (values, offsets) in groups.items():
        durable.check_name(group, what="group")
        arrays[f"{group}.values"] = _float32(values)
        arrays[f"{group}.offsets"] = np.asarray(offsets, np.int64)
    _check(arrays, groups, name=name, classes=len(classes))
    (folder / name).mkdir(parents=True)
    files = {f"{key}.npy": _write(folder / name / f"{key}.npy", arrays[key]) for key in arrays}
    return ChunkInfo(
        name=name,
        candidates=len(arrays["labels"]),
        counts=tuple(np.bincount(arrays["labels"], minlength=len(classes)).tolist()),
        weights=tuple(
            np.bincount(arrays["labels"], arrays["weights"], minlength=len(classes)).tolist()
        ),
        files=files,
    )


def write_report(folder: Path, name: str, content: Any) -> ChunkFile:
    """Write `content` as JSON beside the chunks; return its entry in the manifest's `reports`."""
    durable.write_json(folder / name, content)
    return _entry(folder / name)


def _float32(values: Array) -> Array:
    with np.errstate(over="ignore"):  # an overflow becomes infinite, which `_check` refuses
        return np.ascontiguousarray(values, np.float32)


def _write(path: Path, array: Array) -> ChunkFile:
    np.save(path, array, allow_pickle=False)
    return _entry(path)


def _entry(path: Path) -> ChunkFile:
    return ChunkFile(sha256=durable.sha256_file(path), bytes=path.stat().st_size)


_ROWS = ("weights", "event_numbers", "candidate", "spectators", "files", "entries")
"""Arrays with one row a candidate, beside the labels."""


def _check(
    arrays: Mapping[str, Array], groups: Mapping[str, Any], *, name: str, classes: int
) -> None:
    count = len(arrays["labels"])
    if not count:
        raise DataError(f"chunk {name}: expected candidates, got none")
    for key in set(arrays) & set(_ROWS):
        if len(arrays[key]) != count:
            raise DataError(
                f"chunk {name}: expected {count} rows of {key}, one for each label, got "
                f"{len(arrays[key])}"
            )
    if arrays["labels"].min() < 0 or arrays["labels"].max() >= classes:
        labels = arrays["labels"]
        raise DataError(
            f"chunk {name}: expected labels from 0 to {classes - 1}, got {labels.min()} to "
            f"{labels.max()}"
        )
    floats = ("weights", "candidate", *(f"{group}.values" for group in groups))
    for key in (key for key in floats if key in arrays):
        bad = arrays[key].size - int(np.isfinite(arrays[key]).sum())
        if bad:
            raise DataError(f"chunk {name}: {bad} values of {key} are NaN or infinite in float32")
    for group in groups:
        fault = offsets_fault(arrays[f"{group}.offsets"], count, len(arrays[f"{group}.values"]))
        if fault:
            raise DataError(f"chunk {name}: {group}: {fault}")


def offsets_fault(offsets: Array, candidates: int, objects: int) -> str:
    """Return what is wrong with a group's offsets; empty if they are safe without bounds checks."""
    if offsets.shape != (candidates + 1,):
        return f"expected {candidates + 1} offsets, got shape {offsets.shape}"
    if offsets[0] != 0 or offsets[-1] != objects:
        return f"offsets go from {offsets[0]} to {offsets[-1]}, expected 0 to {objects}"
    if np.any(offsets[1:] < offsets[:-1]):
        return "offsets decrease"
    return ""
