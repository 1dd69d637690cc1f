"""Export a model to files for other software, and check that they give the same numbers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import DataError
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import output_folder
from tauopt.workflows.trial_dataset import dataset_of

if TYPE_CHECKING:
    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.export.export_check import ExportCheck


@dataclass(frozen=True)
class ExportResult:
    """Files of an exported model."""

    folder: Path
    files: dict[str, Path]
    check: ExportCheck | None
    """Comparison with the Keras model; None if it was not requested."""


def export(
    model: str,
    *,
    to: Path | None = None,
    check: bool = False,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Export a model as ONNX and Keras files, with a description of its inputs.

    Args:
        model: id of a run or its first letters, `models:/NAME@champion`, `models:/NAME/3`, or the
            folder of a trial.
        to: folder to be made; None means `exports/<name>` in the output folder.
        check: run the ONNX file and the Keras model over the test split and compare their outputs.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives a message for each step.
    Raises:
        UsageError: there is no such model, the folder exists, or the extra is not installed.
        DataError: the model can't be converted to ONNX, or the ONNX file gives other numbers.
        CorruptError: the model was altered, or holds what may not be loaded.
        ServiceError: MLflow does not answer.
    """
    from tauopt.evaluation.find_trial import find_trial
    from tauopt.tracking.client import connect
    from tauopt.workflows.score import points_of

    progress = progress or Silent()
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-export-") as temporary:
        trial = find_trial(client, model, folder=Path(temporary), output=output_folder(output))
        points = points_of(client, trial, cache, progress)
        # This imports TensorFlow, which takes seconds: a wrong name is refused above.
        from tauopt.export.model_files import export as write

        folder = to or output_folder(output) / "exports" / trial.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        progress.say(f"writing {folder}")
        files = write(trial, folder, points=points)
        comparison = _compare(trial, files, cache, progress) if check else None
    if comparison is not None and not comparison.passed:
        worst = max(comparison.differences, key=lambda name: comparison.differences[name])
        raise DataError(
            f"{files['onnx']}: {worst} differs from the Keras model's by {comparison.largest:.2g} "
            f"on {comparison.candidates:,} candidates of the test split; expected at most "
            f"{comparison.as_json()['limit']:g}: don't use it"
        )
    return ExportResult(folder, files, comparison)


def _compare(
    trial: Trial, files: dict[str, Path], cache: Path | None, progress: Progress
) -> ExportCheck:
    """Run the ONNX file and the Keras model over the test split of the trial's dataset."""
    from tauopt.evaluation.split_candidates import SplitCandidates
    from tauopt.export.export_check import compare
    from tauopt.export.onnx_file import OnnxModel
    from tauopt.models.devices import limit_devices
    from tauopt.models.model_file import load_model
    from tauopt.training.prediction import AllOutputs

    limit_devices(cpus=1)
    progress.say("comparing with the Keras model on the test split")
    keras = AllOutputs(load_model(trial.model, sha256=trial.sha256))
    dataset = dataset_of(trial, cache=cache, progress=progress)
    split = dataset.sealed_test(opened_by=f"export {trial.name}")
    candidates = SplitCandidates(dataset, split)
    batches = candidates.batches(candidates.inputs_of(trial.experiment))
    return compare(OnnxModel(files["onnx"]), keras, batches)
