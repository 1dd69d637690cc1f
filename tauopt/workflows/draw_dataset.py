"""Draw a prepared dataset: features, correlations, multiplicities, spectra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tauopt.progress import Progress, Silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tauopt.config.settings.inputs import FittedGroup
    from tauopt.dataset.manifest import Manifest
    from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
    from tauopt.figures.dataset.dataset_figures import DrawnCandidates, DrawnObjects
    from tauopt.figures.figure_style import SampleLabel

MOST = 100_000
"""Candidates that are drawn."""
BOOK = "data"
"""Name of the PDF of all figures."""
Item = TypeVar("Item")


def draw(
    prepared: PreparedDataset,
    folder: Path,
    *,
    lengths: Mapping[str, int] | None = None,
    most: int = MOST,
    progress: Progress | None = None,
) -> list[Path]:
    """Draw the training split of a prepared dataset.

    Args:
        prepared: the dataset.
        folder: where figures go, made if missing.
        lengths: group -> objects that a model keeps, to draw them against.
        most: candidates that are drawn at most, from all chunks; each figure says N.
        progress: who is told.
    Returns:
        `data.pdf`, and of each figure a PNG and the JSON of its points.
    Raises:
        CorruptError: a chunk is damaged.
    """
    from tauopt.figures.dataset.dataset_figures import number_of_pages, pages
    from tauopt.figures.save_figure import save_book
    from tauopt.prepare import chunk_validation, spectra

    progress = progress or Silent()
    candidates = _read(prepared.train, most=most)
    balanced = _report(prepared, spectra.REPORT) or []
    validated = _report(prepared, chunk_validation.REPORT)
    validated = validated if validated and validated["tests"] else None
    sample = _sample(prepared.manifest, drawn=len(candidates.labels))
    figures = pages(
        candidates,
        lengths=lengths or {},
        spectra=balanced,
        validation=validated,
        sample=sample,
    )
    total = number_of_pages(candidates, balanced=len(balanced), validated=validated is not None)
    progress.begin(f"drawing {prepared.manifest.name}", total, "figures")
    return save_book(_told(figures, progress), folder, name=BOOK)


def _report(prepared: PreparedDataset, name: str) -> Any:
    return prepared.report(name) if name in prepared.manifest.reports else None


def _told(figures: Iterable[Item], progress: Progress) -> Iterator[Item]:
    for figure in figures:
        yield figure
        progress.advance(1)


def _sample(manifest: Manifest, *, drawn: int) -> SampleLabel:
    from tauopt.config.settings.dataset import Dataset
    from tauopt.figures.figure_style import SampleLabel

    total = manifest.splits["train"].candidates
    part = "training split"
    if drawn < total:
        part = f"{drawn:,} of {total:,} in training split"
    if not manifest.settings:
        return SampleLabel(manifest.name, part)
    return SampleLabel.from_dataset(Dataset.model_validate(manifest.settings), part)


def _read(split: SplitReader, *, most: int) -> DrawnCandidates:
    """Read candidates of all chunks of a split, evenly spread where they are too many."""
    import numpy as np

    from tauopt.figures.dataset.dataset_figures import DrawnCandidates
    from tauopt.physics.jagged import take_index

    share = min(1.0, most / split.candidates)
    labels, weights, own = [], [], []
    groups: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {g.name: [] for g in split.groups}
    for chunk in split.chunks:
        kept = max(1, int(chunk.candidates * share))
        rows = np.arange(kept) * chunk.candidates // kept
        labels.append(chunk.labels[rows])
        weights.append(chunk.weights[rows].astype(np.float64))
        features = chunk.features(tuple(groups))
        own.append(features.candidate[rows])
        for name, (values, offsets) in features.groups.items():
            index, chosen = take_index(offsets, rows)
            groups[name].append((values[index], np.diff(chosen)))
    count = sum(map(len, labels))
    return DrawnCandidates(
        classes=split.classes,
        labels=np.concatenate(labels),
        weights=np.concatenate(weights),
        own=_objects(split.candidate, np.concatenate(own), np.arange(count)),
        groups=[
            _objects(
                fitted,
                np.concatenate([values for values, _ in groups[fitted.name]]),
                np.repeat(np.arange(count), np.concatenate([n for _, n in groups[fitted.name]])),
            )
            for fitted in split.groups
        ],
    )


def _objects(fitted: FittedGroup, physical: NDArray[Any], owner: NDArray[np.int64]) -> DrawnObjects:
    import numpy as np

    from tauopt.figures.dataset.dataset_figures import DrawnObjects
    from tauopt.prepare.constants import seen_by_networks

    seen = np.empty(physical.shape, np.float32)
    for column, feature in enumerate(fitted.features):
        seen[:, column] = seen_by_networks(physical[:, column], feature)
    return DrawnObjects(fitted, physical, seen, owner)
