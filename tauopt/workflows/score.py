"""Write a model's scores for ntuples as friend trees, or as files of other formats."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import sha256_json
from tauopt.errors import DataError, PromotionRefused, UsageError, nearest
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import cache_folder, make_folder, output_folder
from tauopt.workflows.trial_dataset import dataset_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.export.score_files import FileScorer, ScoredFile, ScoreJob
    from tauopt.metrics.working_points.working_point_set import WorkingPoints

NOT_SCORED = -1.0
"""Default score of candidates that the model can't be applied to."""


def score(
    model: str,
    files: Sequence[str],
    *,
    to: Path,
    default: float = NOT_SCORED,
    leave_out: Sequence[str] = (),
    format: str = "root",
    workers: int = 1,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[ScoredFile]:
    """Write the scores of a model for every entry of some files.

    Scores that exist already, of the same file, model and working points, are not written again.

    Args:
        model: id of a run or its first letters, `models:/NAME@champion`, `models:/NAME/3`, or the
            folder of a trial.
        files: ntuples that fit its dataset file, paths or globs; `SAMPLE=PATH` where the samples
            have different trees and that of the file is ambiguous. Files may be real data, of no
            sample: no class, weight or event number is read.
        to: folder of the friend trees, `<name>.tauopt.root` each, or of the other format's files.
        default: score of candidates that are not selected or lack a feature.
        leave_out: names of the dataset file's `cuts` that are not applied, such as those on truth,
            which real data lack.
        format: `root` (friend trees), `hdf5` (one dataset for each column, one value for each
            candidate) or `parquet` (one row for each entry).
        workers: number of files scored at a time, each in its own process.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives the number of files scored.
    Returns:
        a record of each file, in the order of `files`.
    Raises:
        UsageError: there is no such model, format or cut, or two files would get one name.
        DataError: a file does not fit the dataset file.
        ServiceError: MLflow does not answer.
    """
    from tauopt.evaluation.find_trial import find_trial
    from tauopt.ntuples.friend_formats import FORMATS
    from tauopt.tracking.client import connect

    if format not in FORMATS:
        raise UsageError(
            f"--format {format}: expected {', '.join(FORMATS)}{nearest(format, FORMATS)}"
        )
    progress = progress or Silent()
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-score-") as temporary:
        trial = find_trial(client, model, folder=Path(temporary), output=output_folder(output))
        _check_cuts(leave_out, trial)
        inputs = [*_inputs(files, trial, to=to, format=format)]
        make_folder(to, option="--to")
        # This imports TensorFlow, which takes seconds: wrong options are refused above.
        from tauopt.export.score_files import FileScorer, ScoredFile

        points = points_of(client, trial, cache, progress)
        scorer = FileScorer(trial, points, default, tuple(leave_out))
        jobs = [*_jobs(inputs, scorer, format, cache=cache or cache_folder())]
        complete = [job for job in jobs if FORMATS[format].record(job.to) == job.record]
        remaining = [job for job in jobs if job not in complete]
        progress.begin(f"scoring {len(jobs)} files", len(jobs), "files")
        progress.advance(len(complete))
        scored = [ScoredFile(job.path, job.to, skipped=True) for job in complete]
        for file in _score_files(remaining, scorer, workers=workers):
            scored.append(file)
            progress.advance()
    order = [job.to for job in jobs]
    return sorted(scored, key=lambda file: order.index(file.to))


def _check_cuts(names: Sequence[str], trial: Trial) -> None:
    """Raise UsageError where a cut to be left out is none of the trial's dataset file."""
    known = trial.experiment.data.cuts
    for name in names:
        if name not in known:
            raise UsageError(
                f"--leave-out {name}: no such cut{nearest(name, known)}; the dataset file has "
                f"{', '.join(known) or 'none'}"
            )


def points_of(
    client: MlflowClient, trial: Trial, cache: Path | None, progress: Progress
) -> WorkingPoints | None:
    """Return a model's working points, or None with a message of the reason.

    A task without background has none, without a message.
    """
    from tauopt.evaluation.model_working_points import working_points_of

    if not trial.experiment.task.background:
        return None
    try:
        return working_points_of(
            client, trial, open_dataset=lambda: dataset_of(trial, cache=cache, progress=progress)
        )
    except (DataError, PromotionRefused) as error:  # the latter: the dataset is gone
        progress.say(f"no working points: {error}")
        return None


def _inputs(
    files: Sequence[str], trial: Trial, *, to: Path, format: str
) -> Iterator[tuple[str, Path, Path]]:
    """Yield sample, file, and file of its scores; opens none."""
    from tauopt.ntuples.friend_formats import FORMATS
    from tauopt.ntuples.input_globs import expand
    from tauopt.prepare.stream_files import by_sample

    inputs: dict[Path, Path] = {}  # file of scores -> file
    for sample, paths in by_sample(trial.experiment.data, files, truth=False).items():
        for path in expand(paths):
            target = to / f"{path.stem}{FORMATS[format].suffix}"
            if (other := inputs.setdefault(target, path)) != path:
                raise UsageError(f"{other} and {path} would both be scored into {target}")
            yield sample, path, target


def _jobs(
    inputs: Sequence[tuple[str, Path, Path]], scorer: FileScorer, format: str, *, cache: Path
) -> Iterator[ScoreJob]:
    """Yield a job for each file, with the record by which a later call recognises its scores."""
    import tauopt
    from tauopt.export.score_files import ScoreJob
    from tauopt.ntuples import input_digests

    trial = scorer.trial
    points = scorer.points.as_json() if scorer.points else None
    for sample, path, target in inputs:
        record: dict[str, Any] = {
            "tauopt": tauopt.__version__,
            "input": path.name,
            "input_sha256": input_digests.digest(path, cache=cache)[0],
            "model_sha256": trial.sha256,
            "run_id": trial.run_id,
            "working_points": sha256_json(points) if points else "",
            "default": scorer.default,
            "left_out": sorted(scorer.leave_out),
        }
        # As JSON gives it back, to compare equal to the record in a file of scores.
        yield ScoreJob(path, sample, target, json.loads(json.dumps(record)), format=format)


def _score_files(
    jobs: Sequence[ScoreJob], scorer: FileScorer, *, workers: int
) -> Iterator[ScoredFile]:
    """Score files in this process or in several, and yield their records as they finish."""
    from tauopt.export.score_files import score_file

    workers = min(workers, len(jobs))
    if workers < 2:
        for job in jobs:
            yield score_file(job, scorer)
        return
    # A forked process would share TensorFlow's threads, which do not survive it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [pool.submit(score_file, job, scorer, threads=1) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
