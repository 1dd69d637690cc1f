"""Extracts that are kept for later preparations: found from what was prepared, and removed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.manifest import Manifest
from tauopt.prepare.collect_extracts import extract_folder
from tauopt.prepare.extract import Extract, open_extract


def kept_extracts(manifest: Manifest, *, cache: Path) -> list[Extract]:
    """Return the extracts of a prepared dataset that are still there.

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
    """Remove extracts; who reads one meanwhile is told to prepare again."""
    for extract in extracts:
        gone = extract.folder.with_name(f".{extract.folder.name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            extract.folder.rename(gone)  # never half an extract under its name
        except FileNotFoundError:
            continue
        shutil.rmtree(gone)
