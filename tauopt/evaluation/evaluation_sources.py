"""What a trial is evaluated on and compared with, as the options of `tauopt evaluate` name it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import UsageError, nearest
from tauopt.progress import Progress

if TYPE_CHECKING:
    from tauopt.config.settings.dataset import Dataset
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.evaluation.evaluation_inputs import TrialSplits
    from tauopt.evaluation.predict import EvaluationCandidates
    from tauopt.evaluation.recorded_trial import Trial

LEARNED = 200_000
"""Approximate number of training candidates whose scores are drawn."""
MOST_EFFICIENCIES = 7
"""Largest number of working points that can be told apart in a figure."""
LEAST_EFFICIENCY, LARGEST_EFFICIENCY = 0.01, 0.999
"""Range of signal efficiencies in figures."""
_RANGE = f"expected signal efficiencies from {LEAST_EFFICIENCY:g} to {LARGEST_EFFICIENCY:g}"
STORED = "reference"
"""Spectator that holds the values of a branch of the files."""
_RUN = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True)
class ComparisonTarget:
    """What a trial is compared with: at most one of these; nothing where all are empty."""

    trial: Trial | None = None
    spectator: str = ""
    """Spectator that holds a score."""
    branch: str = ""
    """Expression on the files' branches that gives a score."""
    scores: Path | None = None
    """CSV file of scores."""


def comparison_target(
    text: str, spectators: Sequence[str], *, has_files: bool, find: Callable[[str], Trial]
) -> ComparisonTarget:
    """Interpret the option `--reference`.

    The text is, in this order: the name of a spectator; a file, if it ends in `.csv`; a trial, if
    it looks like the id of a run, begins with `models:/` or is a folder; where files are read, an
    expression on their branches; else a trial.

    Args:
        text: value of the option; empty means no comparison.
        spectators: names of the candidates' spectators.
        has_files: whether candidates come from files.
        find: returns the trial of a reference, or raises UsageError.
    Raises:
        UsageError: there is no such trial or file.
    """
    if not text:
        return ComparisonTarget()
    if text in spectators:
        return ComparisonTarget(spectator=text)
    if text.endswith(".csv"):
        if not Path(text).is_file():
            raise UsageError(f"--reference {text}: there is no such file")
        return ComparisonTarget(scores=Path(text))
    is_trial = _RUN.fullmatch(text) or text.startswith("models:/") or Path(text).is_dir()
    if has_files and not is_trial:
        return ComparisonTarget(spectator=STORED, branch=text)
    try:
        return ComparisonTarget(trial=find(text))
    except UsageError as error:
        near = nearest(text, spectators)
        raise UsageError(
            f"{error}; nor is {text!r} a spectator{near} ({', '.join(spectators) or 'none'}) or a "
            ".csv file; a branch is read where files are named"
        ) from error


def check_bins(bins: Sequence[str], spectators: Sequence[str]) -> None:
    """Check that the variables of the efficiency profiles are spectators.

    Raises:
        UsageError: a variable is no spectator; names the nearest.
    """
    for name in bins:
        if name not in spectators:
            raise UsageError(
                f"--bins: {name!r} is no spectator of the dataset{nearest(name, spectators)}; "
                f"there are {', '.join(spectators) or 'none'}"
            )


def efficiencies_of(texts: Sequence[str]) -> list[float]:
    """Parse signal efficiencies; one text may hold several, separated by commas.

    Raises:
        UsageError: a part of a text is no number.
    """
    efficiencies = []
    for number in [part.strip() for text in texts for part in text.split(",")]:
        try:
            efficiencies.append(float(number))
        except ValueError:
            raise UsageError(f"--efficiency {number!r}: {_RANGE}") from None
    return efficiencies


def check_efficiencies(efficiencies: Sequence[float]) -> tuple[float, ...]:
    """Return signal efficiencies in rising order, without duplicates.

    Raises:
        UsageError: an efficiency is out of range, or there are more than a figure can show.
    """
    for efficiency in efficiencies:
        if not LEAST_EFFICIENCY <= efficiency <= LARGEST_EFFICIENCY:
            is_percent = 1.0 < efficiency < 100.0
            hint = f"; {efficiency:g} % is {efficiency / 100:g}" if is_percent else ""
            raise UsageError(f"--efficiency {efficiency:g}: {_RANGE}{hint}")
    different = tuple(sorted(set(efficiencies)))
    if len(different) > MOST_EFFICIENCIES:
        raise UsageError(
            f"--efficiency: expected at most {MOST_EFFICIENCIES}, which a figure can show, got "
            f"{len(different)}"
        )
    return different


def check_has_background(trials: Iterable[Trial], efficiencies: Sequence[float]) -> None:
    """Check that the tasks of trials have a background where signal efficiencies are given.

    Raises:
        UsageError: efficiencies are given, and a task has no background to reject.
    """
    for trial in trials if efficiencies else ():
        if not trial.experiment.task.background:
            raise UsageError(
                f"--efficiency: the task of {trial.name} has no background, and so no rejections"
            )


def candidates_of(
    trial: Trial,
    files: Sequence[str],
    dataset: PreparedDataset | None,
    *,
    branch: str,
    cache: Path,
    progress: Progress,
) -> EvaluationCandidates:
    """Return the candidates to evaluate a trial on: of files, or else of its sealed test split.

    Args:
        trial: to be evaluated.
        files, branch, cache, progress: see `file_candidates`.
        dataset: of the trial; needed where there are no files.
    """
    if files or dataset is None:
        return file_candidates(trial, files, dataset, branch=branch, cache=cache, progress=progress)
    from tauopt.evaluation.split_candidates import SplitCandidates

    opener = f"evaluate {trial.run_id or trial.name}"
    return SplitCandidates(dataset, dataset.sealed_test(opened_by=opener))


def own_splits(dataset: PreparedDataset | None) -> TrialSplits | None:
    """Return about `LEARNED` candidates of the training split, and the validation split.

    None where the dataset is gone.
    """
    if dataset is None:
        return None
    from tauopt.evaluation.evaluation_inputs import TrialSplits
    from tauopt.evaluation.split_candidates import SplitCandidates, some_chunks

    train = SplitCandidates(dataset, some_chunks(dataset.train, most=LEARNED))
    return TrialSplits(train, SplitCandidates(dataset, dataset.validation))


def file_candidates(
    trial: Trial,
    files: Sequence[str],
    dataset: PreparedDataset | None,
    *,
    branch: str,
    cache: Path,
    progress: Progress,
) -> EvaluationCandidates:
    """Return the candidates of files that fit a trial's dataset file.

    Args:
        trial: to be evaluated; its experiment holds the dataset file.
        files: paths or globs; see `prepare.stream_files`.
        dataset: that it was trained on; None where it is gone.
        branch: expression that is kept as the spectator `reference`; empty keeps none.
        cache: folder of prepared datasets, in which digests of files are kept.
        progress: receives the progress of reading.
    Raises:
        UsageError, DataError: see `prepare.stream_files.stream`.
    """
    from tauopt.evaluation.file_candidates import FileCandidates
    from tauopt.prepare.stream_files import stream

    manifest = dataset.manifest if dataset else None
    learned = frozenset(source.sha256 for source in manifest.sources) if manifest else frozenset()
    streamed = stream(
        _with_branch(trial.experiment.data, branch),
        files,
        learned=learned - {""},
        cache=cache / "digests",
        progress=progress,
    )
    if streamed.learned_files:
        progress.say(
            f"{streamed.learned_files} of {len(streamed.files)} files are those of the dataset: of "
            "them only the test split is taken"
        )
    return FileCandidates(streamed, manifest, progress)


def _with_branch(data: Dataset, branch: str) -> Dataset:
    """Return the dataset settings with an expression as the spectator `reference`."""
    if not branch:
        return data
    from tauopt.physics.expressions import ExpressionError, parse

    try:
        parse(branch)
    except ExpressionError as error:
        raise UsageError(f"--reference: {error}") from error
    return data.model_copy(update={"spectators": {**data.spectators, STORED: branch}})
