"""Evaluate a trial on data that no search has seen: figures, their points, tables."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import write_bytes, write_json
from tauopt.progress import Progress, Silent
from tauopt.workflows.evaluation_sources import (
    against,
    candidates_of,
    check_bins,
    check_efficiencies,
    check_has_background,
    its_dataset,
    own_splits,
    spectators_of,
)
from tauopt.workflows.paths import cache_folder, make_folder, output_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient

    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.figures.performance.evaluation_figures import Subject
    from tauopt.metrics.metrics_table import MetricRow

FOLDER = "evaluation"
"""Folder of the run's artifacts; a rerun replaces what is in it."""
RESULT = "evaluation.json"
"""All numbers, and the names of all files."""
IMPORTANCE = 10_000
"""Candidates that features are permuted among."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and where it lies."""

    name: str
    run_id: str
    """Of the run that it was logged to; empty if there is none."""
    reference: str
    """What it was compared with; empty if nothing."""
    sample: str
    candidates: dict[str, int]
    """`signal` and `background` candidates."""
    efficiencies: tuple[float, ...]
    """Of the signal, at which rejections are measured."""
    rows: tuple[MetricRow, ...]
    folder: Path
    files: tuple[Path, ...]

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
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
    """Judge a trial's model on the sealed test split of its dataset, or on other ntuples.

    Args:
        trial: id of a run or its first letters, `models:/NAME@champion`, `models:/NAME/3`, or the
            folder of a trial.
        files: ntuples that fit its dataset file, paths or globs, `SAMPLE=PATH` where it is not
            clear of which sample one is; none are the test split. Of files that the dataset was
            made of, only candidates of the test split are taken.
        select: expression on spectators that keeps a candidate; empty keeps all.
        bins: spectators that efficiencies are drawn against; none are the usual ones.
        efficiencies: of the signal, in place of 0.6, 0.75, 0.85 and 0.95: at these rejections are
            measured and working points set, with the model's cuts flat in momentum if it has some.
        reference: what it is compared with: another trial, a spectator that holds a score, a CSV
            file (see `evaluation.score_table`), or with `files` an expression on their branches.
        importance: candidates that features are permuted among; 0 leaves importances out.
        to: folder of the results; None is `evaluations/<name>` in the output folder.
        output: folder of searches and runs; None is `tauopt-output`.
        cache: folder of prepared datasets; None is the user's.
        progress: told of every step.
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
    wanted = check_efficiencies(efficiencies)
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-evaluate-") as temporary:
        found = find_trial(client, trial, folder=Path(temporary) / "trial")
        check_has_background([found], wanted)
        by_sample(found.experiment.data, files)
        place = to or output_folder(output) / "evaluations" / found.name
        folder = make_folder(place, option="--to")
        dataset = its_dataset(found, needed=not files, cache=cache, progress=progress)
        spectators = spectators_of(found, dataset, files=bool(files))
        check_bins(bins, spectators)
        find = partial(find_trial, client, folder=Path(temporary) / "reference")
        compared = against(reference, spectators, of_files=bool(files), find=find)
        from tauopt.evaluation.evaluation_inputs import EvaluationOptions, subject_of

        place = cache or cache_folder()
        candidates = candidates_of(
            found, files, dataset, branch=compared.branch, cache=place, progress=progress
        )
        options = EvaluationOptions(
            select=select,
            bins=bins,
            efficiencies=wanted,
            other=compared.trial,
            stored=compared.spectator,
            stored_name=compared.branch or compared.spectator,
            scores=compared.scores,
            importance=importance,
        )
        subject = subject_of(
            client,
            found,
            candidates,
            options=options,
            splits=own_splits(dataset),
            progress=progress,
        )
    return _written(client, found, subject, folder=folder, progress=progress)


def _written(
    client: MlflowClient, trial: Trial, subject: Subject, *, folder: Path, progress: Progress
) -> Evaluation:
    """Measure, draw, write and log."""
    import numpy as np

    from tauopt.figures.performance.evaluation_figures import pages
    from tauopt.figures.save_figure import save_figure
    from tauopt.metrics.bootstrap import SEED
    from tauopt.metrics.metrics_table import as_csv, as_markdown, rows

    rng = np.random.default_rng(SEED)
    name, *others = (one.name for one in subject.contenders)
    reference = others[0] if others else ""
    progress.say("measuring")
    table = rows(subject.contenders, rng=rng, efficiencies=subject.efficiencies)
    _clear(folder)
    files: list[Path] = []
    for page, figure, points in pages(subject, rng=rng):
        progress.say(f"drawing {page}")
        files += save_figure(figure, points, folder, name=page, pdf=True)
    markdown = as_markdown(table, name=name, reference=reference)
    for file, content in (("table.csv", as_csv(table)), ("table.md", markdown)):
        write_bytes(folder / file, content.encode())
        files.append(folder / file)
    signal = int(subject.first.is_signal.sum())
    found = Evaluation(
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
    write_json(folder / RESULT, found.as_json())
    _log(client, found, progress=progress)
    return found


def _log(client: MlflowClient, found: Evaluation, *, progress: Progress) -> None:
    """Put the files into the run, in place of those of an earlier evaluation."""
    from tauopt.tracking.run_artifacts import replace_folder

    if found.run_id:
        progress.say(f"logging to run {found.run_id}")
        replace_folder(client, found.run_id, found.files, folder=FOLDER)


def _clear(folder: Path) -> None:
    """Remove the files that an earlier evaluation wrote into the folder, and no others."""
    try:
        names = json.loads((folder / RESULT).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in names:
        if isinstance(name, str) and Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
