"""Draw the figures of a prepared dataset, and log it to MLflow, for `tauopt prepare`."""

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


MOST = 100_000
"""Largest number of candidates in figures."""
BOOK = "data"
"""Name of the PDF of all figures."""
Item = TypeVar("Item")


def draw_and_log(
    prepared: PreparedDataset,
    *,
    file: Path,
    figures: Path | None = None,
    log: bool = False,
    output: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Draw a prepared dataset and log it to MLflow, each on request.

    Args:
        prepared: the dataset.
        file: its dataset file, or an experiment file, whose model gives the numbers of objects
            kept and whose `tracking` names MLflow's experiment.
        figures: folder of figures; None with `log` draws them into a temporary folder.
        log: create a run in MLflow with figures, constants and the dataset.
        output: output folder, which holds MLflow's records unless there is a server.
        progress: receives the number of figures drawn.
    Returns:
        `figures`: path of the PDF; `run`: id of the MLflow run; each only on request.
    Raises:
        ServiceError: MLflow can't be used.
    """
    if figures is None and not log:
        return {}
    lengths, experiment = _lengths_and_experiment(file)
    with tempfile.TemporaryDirectory() as temporary:
        folder = figures or Path(temporary)
        files = draw(prepared, folder, lengths=lengths, progress=progress)
        results = {"figures": str(files[0])} if figures else {}
        if log:
            results["run"] = _log(prepared, files, experiment=experiment, output=output)
    return results


def _lengths_and_experiment(file: Path) -> tuple[dict[str, int], str]:
    """Return group -> objects that the model keeps, and the name of MLflow's experiment."""
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
    """Log dataset, reports and figures to an MLflow run of the dataset; return the run's id."""
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
        folder: of the figures, made if missing.
        lengths: group -> number of objects that a model keeps, shown in the multiplicities.
        most: largest number of candidates drawn, from all chunks; each figure states N.
        progress: receives the number of figures drawn.
    Returns:
        `data.pdf`, and for each figure a PNG and the JSON of its points.
    Raises:
        CorruptError: a chunk is damaged.
    """
    from tauopt.figures.dataset.dataset_figures import number_of_pages, pages
    from tauopt.figures.save_figure import save_book
    from tauopt.prepare import chunk_validation, spectra

    progress = progress or Silent()
    candidates = _read(prepared.train, most=most)
    balanced = _report(prepared, spectra.REPORT) or []
    validation = _report(prepared, chunk_validation.REPORT)
    if validation and not validation["tests"]:  # there is no p-value to draw
        validation = None
    figures = pages(
        candidates,
        lengths=lengths or {},
        spectra=balanced,
        validation=validation,
        sample=_sample_label(prepared.manifest, drawn=len(candidates.labels)),
    )
    total = number_of_pages(candidates, balanced=len(balanced), validated=validation is not None)
    progress.begin(f"drawing {prepared.manifest.name}", total, "figures")
    return save_book(_counted(figures, progress), folder, name=BOOK)


def _report(prepared: PreparedDataset, name: str) -> Any:
    """Return a report of the preparation; None if there is none of that name."""
    return prepared.report(name) if name in prepared.manifest.reports else None


def _counted(figures: Iterable[Item], progress: Progress) -> Iterator[Item]:
    """Yield the figures, and advance the progress after each."""
    for figure in figures:
        yield figure
        progress.advance(1)


def _sample_label(manifest: Manifest, *, drawn: int) -> SampleLabel:
    from tauopt.config.settings.dataset import Dataset
    from tauopt.figures.figure_style import SampleLabel

    total = manifest.splits["train"].candidates
    selection = "training split"
    if drawn < total:
        selection = f"{drawn:,} of {total:,} in training split"
    if not manifest.settings:
        return SampleLabel(manifest.name, selection)
    return SampleLabel.from_dataset(Dataset.model_validate(manifest.settings), selection)


def _read(split: SplitReader, *, most: int) -> DrawnCandidates:
    """Read about `most` candidates of a split, evenly spaced in each chunk."""
    import numpy as np

    from tauopt.figures.dataset.dataset_figures import DrawnCandidates

    fraction = min(1.0, most / split.candidates)
    labels, weights, candidate = [], [], []
    groups: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {g.name: [] for g in split.groups}
    for chunk in split.chunks:
        kept = max(1, int(chunk.candidates * fraction))
        rows = np.arange(kept) * chunk.candidates // kept
        labels.append(chunk.labels[rows])
        weights.append(chunk.weights[rows].astype(np.float64))
        features = chunk.features(tuple(groups))
        candidate.append(features.candidate[rows])
        for name, objects in features.groups.items():
            taken = objects.take(rows)
            groups[name].append((taken.content, taken.counts))
    count = sum(map(len, labels))
    return DrawnCandidates(
        classes=split.classes,
        labels=np.concatenate(labels),
        weights=np.concatenate(weights),
        own=_objects(split.candidate, np.concatenate(candidate), np.arange(count)),
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
    """Return objects with their features as stored and as the networks see them.

    Args:
        fitted: features of the group, with transforms and constants.
        physical: (object, feature) values.
        owner: (object,) index of the candidate of each object.
    """
    import numpy as np

    from tauopt.figures.dataset.dataset_figures import DrawnObjects
    from tauopt.prepare.constants import seen_by_networks

    seen = np.empty(physical.shape, np.float32)
    for column, feature in enumerate(fitted.features):
        seen[:, column] = seen_by_networks(physical[:, column], feature)
    return DrawnObjects(fitted, physical, seen, owner)
