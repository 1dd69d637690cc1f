"""An extract: what the first pass keeps of one input file, for this and later preparations.

An extract is an immutable folder of the cache. Its name is the hash of all that decides its content
(`extract_digest`), so a file is read again only when it, or what is extracted from it, has changed.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt import durable
from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.manifest import SPLITS, Manifest
from tauopt.prepare import left_out
from tauopt.prepare.constants import Constants
from tauopt.prepare.dataset_digests import extract_digest
from tauopt.prepare.left_out import Causes
from tauopt.prepare.spill_files import SpillFile

FOLDER = "extracts"
"""Folder of the cache that holds all extracts."""
SUMMARY, CONSTANTS = "extract.json", "constants.npz"


@dataclass
class ExtractCounts:
    """Counts that are taken while a file is read."""

    classes: int
    counts: NDArray[np.int64] = field(init=False)
    """(split, class) candidates."""
    negative: NDArray[np.int64] = field(init=False)
    """(class) candidates of negative weight."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> candidates left out."""
    causes: Causes = field(default_factory=Causes)
    """The same by cut and class."""
    imputed: Counter[str] = field(default_factory=Counter)
    """Feature -> values to be imputed."""

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(SPLITS), self.classes), np.int64)
        self.negative = np.zeros(self.classes, np.int64)

    def add(self, other: ExtractCounts) -> None:
        """Add the counts of another file."""
        self.counts += other.counts
        self.negative += other.negative
        self.dropped += other.dropped
        self.causes += other.causes
        self.imputed += other.imputed


@dataclass(frozen=True)
class Extract:
    """A finished extract on the disk."""

    folder: Path
    entries: int
    jagged: Mapping[str, bool]
    """Branch -> whether it holds several values a candidate."""
    counted: ExtractCounts
    parts: tuple[SpillFile, ...]

    @property
    def bytes(self) -> int:
        """Size of the candidates on the disk."""
        return sum(part.bytes for part in self.parts)

    def constants(self, empty: Mapping[str, Constants]) -> dict[str, Constants]:
        """Return the constants that were fitted on the training candidates of this file.

        Args:
            empty: group -> constants before anything is fitted.
        Returns:
            group -> constants; empty where the extract holds the features themselves.
        """
        path = self.folder / CONSTANTS
        if not path.exists():
            return {}
        with np.load(path) as arrays:
            return {
                name: constants.with_state(
                    {key: arrays[f"{name}.{key}"] for key in constants.state()}
                )
                for name, constants in empty.items()
            }


def extract_folder(dataset: Dataset, *, sample: str, sha256: str, cache: Path) -> Path:
    """Return the folder of the extract of a file with this sample and content; it may not exist."""
    return cache / FOLDER / extract_digest(dataset, sample=sample, sha256=sha256)[:32]


def write_extract(
    folder: Path,
    counted: ExtractCounts,
    parts: Sequence[SpillFile],
    *,
    entries: int,
    jagged: Mapping[str, bool],
    constants: Mapping[str, Constants] | None,
) -> None:
    """Write the summary of an extract, after its parts; `constants` where features are not kept."""
    if constants is not None:
        state = {
            f"{name}.{key}": array
            for name, group in constants.items()
            for key, array in group.state().items()
        }
        np.savez(folder / CONSTANTS, allow_pickle=False, **state)
    durable.write_json(
        folder / SUMMARY,
        {
            "entries": entries,
            "jagged": dict(jagged),
            "counts": counted.counts.tolist(),
            "negative": counted.negative.tolist(),
            "dropped": counted.dropped,
            "causes": left_out.plain(counted.causes),
            "imputed": counted.imputed,
            "parts": [
                {"name": p.path.name, "rows": p.rows, "widths": p.widths, "groups": p.groups}
                for p in parts
            ],
        },
    )


def open_extract(folder: Path) -> Extract | None:
    """Open an extract; None if there is none, or if a part of it was removed or cut."""
    try:
        plain = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        extract = _from_plain(folder, plain)
        whole = all(part.path.stat().st_size == part.bytes for part in extract.parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return extract if whole else None


def _from_plain(folder: Path, plain: dict[str, Any]) -> Extract:
    counted = ExtractCounts(len(plain["negative"]))
    counted.counts[:] = plain["counts"]
    counted.negative[:] = plain["negative"]
    counted.dropped.update(plain["dropped"])
    counted.causes.update(left_out.from_plain(plain["causes"]))
    counted.imputed.update(plain["imputed"])
    parts = tuple(
        SpillFile(
            path=folder / part["name"],
            rows=tuple(part["rows"]),
            widths=part["widths"],
            groups={name: (shape[0], shape[1]) for name, shape in part["groups"].items()},
        )
        for part in plain["parts"]
    )
    return Extract(folder, plain["entries"], plain["jagged"], counted, parts)


def kept_extracts(manifest: Manifest, *, cache: Path) -> list[Extract]:
    """Return the extracts of a prepared dataset that still exist.

    Args:
        manifest: of the dataset.
        cache: in which it was prepared.
    """
    dataset = Dataset.model_validate(manifest.settings)
    folders = (
        extract_folder(dataset, sample=source.sample, sha256=source.sha256, cache=cache)
        for source in manifest.sources
    )
    return [extract for folder in folders if (extract := open_extract(folder))]


def discard(extracts: Iterable[Extract]) -> None:
    """Remove extracts; a process that reads one meanwhile gets a DataError: prepare again."""
    for extract in extracts:
        gone = extract.folder.with_name(f".{extract.folder.name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            extract.folder.rename(gone)  # never half an extract under its name
        except FileNotFoundError:
            continue
        shutil.rmtree(gone)
