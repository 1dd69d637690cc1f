"""What `tauopt prepare` shows of a dataset: figures in a folder, a run in MLflow."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.progress import Progress

if TYPE_CHECKING:
    from tauopt.dataset.prepared_dataset import PreparedDataset


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
    from tauopt.workflows.draw_dataset import draw

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
