"""What `tauopt prepare` shows of a dataset: figures in a folder, a run in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
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


def present(
    prepared: PreparedDataset,
    *,
    file: Path,
    figures: Path | None = None,
    log: bool = False,
    output: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Draw a prepared dataset, and log it to MLflow, as far as asked.

    Args:
        prepared: the dataset.
        file: its dataset file, or an experiment file, whose model says how many objects it
            keeps and whose `tracking` says where runs are recorded.
        figures: folder of figures; None with `log` draws them into a temporary one.
        log: make a run in MLflow with figures, constants and the dataset.
        output: output folder, where MLflow's records are unless it has a server.
        progress: who is told.
    Returns:
        where things are: `figures` the PDF, `run` the id of MLflow's run.
    Raises:
        ServiceError: MLflow can't be used.
    """

    if figures is None and not log:
        return {}
    lengths, experiment = _of_experiment(file)
    with tempfile.TemporaryDirectory() as temporary:
        folder = figures or Path(temporary)
        files = draw(prepared, folder, lengths=lengths, progress=progress)
        where = {"figures": str(files[0])} if figures else {}
        if log:
            where["run"] = _log(prepared, files, experiment=experiment, output=output)
    return where


def _of_experiment(file: Path) -> tuple[dict[str, int], str]:
    """Return the lengths of a model's groups and the name of MLflow's experiment."""
    from tauopt.config.load import kind_of, read_experiment
    from tauopt.config.settings.experiment import Tracking
    from tauopt.config.settings.networks import group_lengths

    if kind_of(file) == "dataset":
        return {}, Tracking().experiment
    experiment = read_experiment(file).base
    return group_lengths(experiment.model), experiment.tracking.experiment


def _log(
    prepared: PreparedDataset, files: list[Path], *, experiment: str, output: Path | None
) -> str:
    from tauopt.study.mlflow_notes import dataset_input
    from tauopt.tracking import runs
    from tauopt.tracking.client import artifact_folder, connect, store_uri
    from tauopt.tracking.dataset_input import log_dataset
    from tauopt.workflows.paths import output_folder

    folder = output_folder(output).absolute()
    client = connect(None, output=folder)
    run = runs.open_parent(
        client,
        experiment=experiment,
        name=f"data-{prepared.manifest.name}",
        uid=f"data/{prepared.digest}",
        tags={"tauopt.dataset_digest": prepared.digest},
        artifacts=artifact_folder(store_uri(None, output=folder)),
    )
    try:
        log_dataset(client, run, replace(dataset_input(prepared), context="preparation"))
        for name in prepared.manifest.reports:
            runs.log_file(client, run, prepared.folder / name, folder="data")
        for path in files:
            runs.log_file(client, run, path, folder="figures")
    except BaseException as error:
        runs.finish(client, run, state="FAIL", reason=str(error) or type(error).__name__)
        raise
    runs.finish(client, run, state="COMPLETE")
    return run


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
        for name, objects in features.groups.items():
            taken = objects.take(rows)
            groups[name].append((taken.content, taken.counts))
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
