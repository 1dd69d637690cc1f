"""Evaluate a trial on data that no search has seen: metrics, figures with their points, tables."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import write_bytes, write_json
from tauopt.evaluation.evaluation_sources import (
    candidates_of,
    check_bins,
    check_efficiencies,
    check_has_background,
    comparison_target,
    own_splits,
)
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import cache_folder, make_folder, output_folder
from tauopt.workflows.trial_dataset import dataset_if_available, needed_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient

    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.figures.performance.evaluation_figures import Subject
    from tauopt.metrics.metrics_table import MetricRow

FOLDER = "evaluation"
"""Folder of the run's artifacts; another evaluation replaces its content."""
RESULT = "evaluation.json"
"""File of all numbers and of the names of all files."""
IMPORTANCE = 10_000
"""Number of candidates that features are permuted among."""


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation, and its files."""

    name: str
    run_id: str
    """MLflow run that it was logged to; empty if there is none."""
    reference: str
    """Name of what the trial was compared with; empty if nothing."""
    sample: str
    candidates: dict[str, int]
    """Numbers of candidates: `signal` and `background`."""
    efficiencies: tuple[float, ...]
    """Signal efficiencies at which the background rejection is measured."""
    rows: tuple[MetricRow, ...]
    folder: Path
    files: tuple[Path, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        from tauopt.metrics.metrics_table import as_json

        return {
            "name": self.name,
            "run_id": self.run_id,
            "reference": self.reference,
            "sample": self.sample,
            "candidates": self.candidates,
            "efficiencies": list(self.efficiencies),
            "metrics": as_json(self.rows),
            "folder": str(self.folder),
            "files": [path.name for path in self.files],
        }


def evaluate(
    trial: str,
    *,
    files: Sequence[str] = (),
    select: str = "",
    bins: Sequence[str] = (),
    efficiencies: Sequence[float] = (),
    reference: str = "",
    importance: int = IMPORTANCE,
    to: Path | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a trial's model on the sealed test split of its dataset, or on other ntuples.

    Args:
        trial: id of a run or its first letters, `models:/NAME@champion`, `models:/NAME/3`, or the
            folder of a trial.
        files: ntuples that fit its dataset file, paths or globs, `SAMPLE=PATH` where the sample of
            a file is ambiguous; empty means the test split. Of files that the dataset was made of,
            only candidates of the test split are taken.
        select: expression on spectators that keeps a candidate; empty keeps all.
        bins: spectators that efficiencies are drawn against; empty means the usual ones.
        efficiencies: signal efficiencies, in place of 0.6, 0.75, 0.85 and 0.95, at which the
            background rejection is measured and working points are set, with the model's cuts
            flat in momentum if it has such cuts.
        reference: what the trial is compared with: another trial, a spectator that holds a score,
            a CSV file (see `evaluation.score_table`), or with `files` an expression on their
            branches; empty means nothing.
        importance: number of candidates that features are permuted among, for the permutation
            importance; 0 leaves importances out.
        to: folder of the results; None means `evaluations/<name>` in the output folder.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives a message for each step.
    Returns:
        the numbers, and the files that were written and logged to the run.
    Raises:
        UsageError: there is no such trial, reference or spectator, `select` is no expression, or
            an efficiency is out of range.
        DataError: the candidates can't be judged, or the dataset is gone.
        ServiceError: MLflow does not answer.
    """
    from tauopt.evaluation.find_trial import find_trial
    from tauopt.prepare.stream_files import by_sample
    from tauopt.tracking.client import connect

    progress = progress or Silent()
    efficiencies = check_efficiencies(efficiencies)
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-evaluate-") as temporary:
        find = partial(find_trial, client, output=output_folder(output))
        recorded = find(trial, folder=Path(temporary) / "trial")
        check_has_background([recorded], efficiencies)
        by_sample(recorded.experiment.data, files)  # raises where the sample of a file is unclear
        folder = to or output_folder(output) / "evaluations" / recorded.name
        folder = make_folder(folder, option="--to")
        find_dataset = dataset_if_available if files else needed_dataset
        dataset = find_dataset(recorded, cache=cache, progress=progress)
        spectators = (
            tuple(recorded.experiment.data.spectators)
            if files or dataset is None
            else dataset.manifest.spectators
        )
        check_bins(bins, spectators)
        target = comparison_target(
            reference,
            spectators,
            has_files=bool(files),
            find=partial(find, folder=Path(temporary) / "reference"),
        )
        # This imports TensorFlow, which takes seconds: wrong options are refused above.
        from tauopt.evaluation.evaluation_inputs import EvaluationOptions, subject_of

        candidates = candidates_of(
            recorded,
            files,
            dataset,
            branch=target.branch,
            cache=cache or cache_folder(),
            progress=progress,
        )
        options = EvaluationOptions(
            select=select,
            bins=bins,
            efficiencies=efficiencies,
            other=target.trial,
            stored=target.spectator,
            stored_name=target.branch or target.spectator,
            scores=target.scores,
            importance=importance,
        )
        subject = subject_of(
            client,
            recorded,
            candidates,
            options=options,
            splits=own_splits(dataset),
            progress=progress,
        )
    return _write(client, recorded, subject, folder=folder, progress=progress)


def _write(
    client: MlflowClient, trial: Trial, subject: Subject, *, folder: Path, progress: Progress
) -> Evaluation:
    """Measure, draw, write the files and log them to the trial's run."""
    import numpy as np

    from tauopt.figures.performance.evaluation_figures import pages
    from tauopt.figures.save_figure import save_figure
    from tauopt.metrics.bootstrap import SEED
    from tauopt.metrics.metrics_table import as_csv, as_markdown, rows
    from tauopt.tracking.run_artifacts import replace_folder

    rng = np.random.default_rng(SEED)
    name, *others = (contender.name for contender in subject.contenders)
    reference = others[0] if others else ""
    progress.say("measuring")
    table = rows(
        subject.contenders, rng=rng, efficiencies=subject.efficiencies, objective=trial.objective
    )
    _remove_earlier(folder)
    files: list[Path] = []
    for page, figure, points in pages(subject, rng=rng):
        progress.say(f"drawing {page}")
        files += save_figure(figure, points, folder, name=page, pdf=True)
    markdown = as_markdown(table, name=name, reference=reference)
    for file, content in (("table.csv", as_csv(table)), ("table.md", markdown)):
        write_bytes(folder / file, content.encode())
        files.append(folder / file)
    signal = int(subject.first.is_signal.sum())
    evaluation = Evaluation(
        name=name,
        run_id=trial.run_id,
        reference=reference,
        sample=f"{subject.sample.name}, {subject.sample.selection}",
        candidates={"signal": signal, "background": len(subject.first) - signal},
        efficiencies=tuple(subject.efficiencies),
        rows=tuple(table),
        folder=folder,
        files=(*files, folder / RESULT),
    )
    write_json(folder / RESULT, evaluation.as_json())
    if trial.run_id:
        progress.say(f"logging to run {trial.run_id}")
        replace_folder(client, trial.run_id, evaluation.files, folder=FOLDER)
    return evaluation


def _remove_earlier(folder: Path) -> None:
    """Remove the files that an earlier evaluation wrote into the folder, and no others."""
    try:
        names = json.loads((folder / RESULT).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in names:
        if isinstance(name, str) and Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
