"""Write a model's scores for ntuples, as friend trees of theirs or their likes."""

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

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.export.score_files import FileScorer, ScoredFile, ScoreJob
    from tauopt.metrics.working_points.working_point_set import WorkingPoints

NOT_SCORED = -1.0


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

    What is there already, of the same file, model and working points, is not written again.

    Args:
        model: id of a run or its first letters, `models:/NAME@champion`, `models:/NAME/3`, or the
            folder of a trial.
        files: ntuples that fit its dataset file, paths or globs; `SAMPLE=PATH` where samples have
            different trees and it is not clear which one is that of the file, which may be real
            data, of no sample. No class, weight or event number is read.
        to: folder of the friend trees, `<name>.tauopt.root` each, or of their likes.
        default: score of candidates that are not selected or lack a feature.
        leave_out: names of the dataset file's `cuts` that candidates need not pass: those on truth,
            which data have not.
        format: `root` friend trees, `hdf5` (a dataset a column, a value a candidate) or `parquet`
            (a row an entry).
        workers: files that are scored at a time, each in a process of its own.
        output: folder of searches and runs; None is `tauopt-output`.
        cache: folder of prepared datasets; None is the user's.
        progress: told of files.
    Raises:
        UsageError: there is no such model, or two files would get one name.
        DataError: a file is not what the dataset file says.
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
        trial = find_trial(client, model, folder=Path(temporary))
        check_cuts(leave_out, trial)
        inputs = [*_inputs(files, trial, to=to, format=format)]
        make_folder(to, option="--to")
        # This imports TensorFlow, which takes seconds: what can be refused was, by here.
        from tauopt.export.score_files import FileScorer, ScoredFile

        points = points_of(client, trial, cache, progress)
        applied = FileScorer(trial, points, default, tuple(leave_out))
        jobs = [*_jobs(inputs, applied, format, cache=cache or cache_folder())]
        whole = [job for job in jobs if FORMATS[format].record(job.to) == job.record]
        left = [job for job in jobs if job not in whole]
        progress.begin(f"scoring {len(jobs)} files", len(jobs), "files")
        progress.advance(len(whole))
        done = [ScoredFile(job.path, job.to, skipped=True) for job in whole]
        for scored in _scored(left, applied, workers=workers):
            done.append(scored)
            progress.advance()
    order = [job.to for job in jobs]
    return sorted(done, key=lambda one: order.index(one.to))


def check_cuts(names: Sequence[str], trial: Trial) -> None:
    """Check that cuts to be left out are those of a trial's dataset file."""
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
    """Return a model's working points; without any, say why."""
    from tauopt.evaluation.model_working_points import working_points_of
    from tauopt.workflows.promote import dataset_of

    if not trial.experiment.task.background:
        return None
    try:
        return working_points_of(
            client, trial, open_dataset=lambda: dataset_of(trial, cache=cache, progress=progress)
        )
    except (DataError, PromotionRefused) as error:  # the latter: its dataset is gone
        progress.say(f"no working points: {error}")
        return None


def _inputs(
    files: Sequence[str], trial: Trial, *, to: Path, format: str
) -> Iterator[tuple[str, Path, Path]]:
    """Yield sample, file, and where its scores go; nothing is opened."""
    from tauopt.ntuples.friend_formats import FORMATS
    from tauopt.ntuples.input_globs import expand
    from tauopt.prepare.stream_files import by_sample

    taken: dict[Path, Path] = {}
    for sample, paths in by_sample(trial.experiment.data, files, truth=False).items():
        for path in expand(paths):
            place = to / f"{path.stem}{FORMATS[format].suffix}"
            if (other := taken.setdefault(place, path)) != path:
                raise UsageError(f"{other} and {path} would both be scored into {place}")
            yield sample, path, place


def _jobs(
    inputs: Sequence[tuple[str, Path, Path]], applied: FileScorer, format: str, *, cache: Path
) -> Iterator[ScoreJob]:
    import tauopt
    from tauopt.export.score_files import ScoreJob
    from tauopt.ntuples import input_digests

    trial = applied.trial
    points = applied.points.as_json() if applied.points else None
    for sample, path, place in inputs:
        record: dict[str, Any] = {
            "tauopt": tauopt.__version__,
            "input": path.name,
            "input_sha256": input_digests.digest(path, cache=cache)[0],
            "model_sha256": trial.sha256,
            "run_id": trial.run_id,
            "working_points": sha256_json(points) if points else "",
            "default": applied.default,
            "left_out": sorted(applied.leave_out),
        }
        yield ScoreJob(path, sample, place, json.loads(json.dumps(record)), format=format)


def _scored(jobs: Sequence[ScoreJob], applied: FileScorer, *, workers: int) -> Iterator[ScoredFile]:
    from tauopt.export.score_files import score_file

    workers = min(workers, len(jobs))
    if workers < 2:
        for job in jobs:
            yield score_file(job, applied)
        return
    # A forked process would share TensorFlow's threads, which do not survive it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [pool.submit(score_file, job, applied, threads=1) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
