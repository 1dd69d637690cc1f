"""The manifest: contents of a prepared dataset, and the digest of every file in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError

from tauopt import durable
from tauopt.config.settings.base import Settings
from tauopt.config.settings.inputs import FittedGroup
from tauopt.errors import CorruptError, DataError

VERSION = 2
"""Version of the format on disk that this code writes; it reads this version and older ones."""

MANIFEST = "manifest.json"
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class ChunkFile(Settings):
    """Size and digest of one file, in a chunk or beside the chunks."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class ChunkInfo(Settings):
    """One chunk: its folder, its files, and its totals by class."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    candidates: int = Field(ge=1)
    counts: tuple[int, ...]
    """Candidates of each class, in the order of the manifest's classes."""
    weights: tuple[float, ...]
    """Sum of weights of each class, in the order of the manifest's classes."""
    files: dict[str, ChunkFile]


class SplitInfo(Settings):
    """The chunks of one split, in stored order, and its totals by class."""

    chunks: tuple[ChunkInfo, ...]
    counts: dict[str, int]
    """Class -> candidates."""
    weights: dict[str, float]
    """Class -> sum of weights."""

    @property
    def candidates(self) -> int:
        """Candidates in all chunks."""
        return sum(chunk.candidates for chunk in self.chunks)


class SourceFile(Settings):
    """A file that candidates were read from."""

    sample: str
    path: str
    entries: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = ""
    """SHA-256 of its content, or of something that identifies it; empty if not computed."""


class Resampled(Settings):
    """Counts of the resampled training split."""

    before: dict[str, int]
    """Class -> candidates before resampling."""
    different: dict[str, int]
    """Class -> candidates that were drawn once or more."""
    drawn: dict[str, int]
    """Class -> draws; they are the candidates of the split."""
    most: int = Field(ge=0)
    """Largest number of draws of one candidate."""


class Manifest(Settings):
    """Contents of a prepared dataset: everything that is needed without reading its chunks."""

    version: int = VERSION
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of all inputs of the preparation: settings, files, versions."""
    classes: tuple[str, ...] = Field(min_length=2)
    """Names of the classes, by label."""
    splits: dict[SplitName, SplitInfo]
    candidate: FittedGroup
    """The candidate's own features, with constants fitted on the training split."""
    groups: tuple[FittedGroup, ...]
    spectators: tuple[str, ...]
    sources: tuple[SourceFile, ...] = ()
    dropped: dict[str, int] = Field(default={})
    """Reason -> candidates left out."""
    left_out: dict[str, dict[str, dict[str, int]]] = Field(default={})
    """Sample -> cause -> class -> candidates left out. A candidate counts for the first cut that it
    fails; the class is empty where the candidate is of none. Older manifests lack this field."""
    imputed: dict[str, int] = Field(default={})
    """Feature -> values replaced by the training mean."""
    negative_weights: dict[str, int] = Field(default={})
    """Class -> candidates whose weight was negative when it was read."""
    resampled: Resampled | None = None
    """Counts of the resampled training split; None without resampling."""
    bad_files: tuple[str, ...] = ()
    """Problems of the files that could not be read and were tolerated."""
    reports: dict[str, ChunkFile] = Field(default={})
    """Reports beside the chunks, with counts and checks, by file name."""
    settings: dict[str, JsonValue] = Field(default={})
    """The settings of the dataset file."""

    def group(self, name: str) -> FittedGroup:
        """Return the group called `name`; KeyError if there is none."""
        return {group.name: group for group in self.groups}[name]


def split_info(chunks: Sequence[ChunkInfo], *, classes: Sequence[str]) -> SplitInfo:
    """Sum the chunks of one split by class."""
    return SplitInfo(
        chunks=tuple(chunks),
        counts={name: sum(chunk.counts[i] for chunk in chunks) for i, name in enumerate(classes)},
        weights={name: sum(chunk.weights[i] for chunk in chunks) for i, name in enumerate(classes)},
    )


def folder_name(name: str, digest: str) -> str:
    """Return the folder of a prepared dataset, for instance `demo-0123456789abcdef`."""
    return f"{name}-{digest[:16]}"


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder`'s manifest.

    Raises:
        DataError: there is no manifest (the preparation never finished), or its format is newer.
        CorruptError: the file is not a manifest.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder}: no prepared dataset here: {MANIFEST} is missing; run `tauopt prepare`"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{path}: not valid JSON ({error}); {_REMEDY}") from error
    _check_version(path, content)
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise CorruptError(f"{path}: not a manifest ({error}); {_REMEDY}") from error


_REMEDY = "delete its folder and run `tauopt prepare` again"


def _check_version(path: Path, content: Any) -> None:
    """Check the version before the fields, since a newer format may have other fields."""
    version = content.get("version") if isinstance(content, dict) else None
    if not isinstance(version, int) or version < 1:
        raise CorruptError(f"{path}: expected a format version, got {version!r}; {_REMEDY}")
    if version > VERSION:
        raise DataError(
            f"{path}: format version {version}, written by a newer tauopt; this one reads up to "
            f"{VERSION}: update tauopt, or prepare the dataset again with this version"
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`, after all other files: it marks the folder as complete."""
    durable.write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
