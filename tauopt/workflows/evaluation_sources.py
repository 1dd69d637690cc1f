"""What an evaluation is of, and against: candidates, and another trial or stored scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tauopt.errors import DataError, PromotionRefused, UsageError, nearest
from tauopt.progress import Progress
from tauopt.workflows.promote import dataset_of

if TYPE_CHECKING:
    from tauopt.config.settings.dataset import Dataset
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.evaluation.evaluation_inputs import TrialSplits
    from tauopt.evaluation.predict import EvaluationCandidates
    from tauopt.evaluation.recorded_trial import Trial

LEARNED = 200_000
"""Training candidates whose scores are drawn, about."""
MOST_EFFICIENCIES = 7
"""Working points that a figure can tell apart."""
LEAST_EFFICIENCY, LARGEST_EFFICIENCY = 0.01, 0.999
"""Signal efficiencies that figures show."""
_RANGE = f"expected signal efficiencies from {LEAST_EFFICIENCY:g} to {LARGEST_EFFICIENCY:g}"
STORED = "reference"
"""Spectator that a branch of the files becomes."""
_RUN = re.compile(r"[0-9a-f]{4,32}")


class FindTrial(Protocol):
    """Finds the trial that a user names."""

    def __call__(self, reference: str, *, folder: Path) -> Trial:
        """Return it, with its files in `folder`."""


@dataclass(frozen=True)
class ComparisonTarget:
    """What a trial is compared with; nothing, or one of these."""

    trial: Trial | None = None
    spectator: str = ""
    """A spectator that holds a score."""
    branch: str = ""
    """An expression on the files' branches that gives a score."""
    scores: Path | None = None
    """A file of scores."""


def against(
    text: str, spectators: Sequence[str], *, of_files: bool, find: Callable[[str], Trial]
) -> ComparisonTarget:
    """Understand what a trial is to be compared with.

    In this order: a spectator's name, a file that ends in `.csv`, an expression on branches where
    files are read and it does not look like a run, a folder or `models:/`, or else a trial.

    Args:
        text: as the user says it; empty is nothing.
        spectators: that the candidates have.
        of_files: whether files are read.
        find: finds a trial.
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
    if of_files and not is_trial:
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
    """Check that efficiencies can be drawn against some variables.

    Raises:
        UsageError: one is no spectator; names the nearest.
    """
    for name in bins:
        if name not in spectators:
            raise UsageError(
                f"--bins: {name!r} is no spectator of the dataset{nearest(name, spectators)}; "
                f"there are {', '.join(spectators) or 'none'}"
            )


def efficiencies_of(texts: Sequence[str]) -> list[float]:
    """Read signal efficiencies, several in a text with commas between them.

    Raises:
        UsageError: one is no number.
    """
    found = []
    for text in [one.strip() for given in texts for one in given.split(",")]:
        try:
            found.append(float(text))
        except ValueError:
            raise UsageError(f"--efficiency {text!r}: {_RANGE}") from None
    return found


def check_efficiencies(efficiencies: Sequence[float]) -> tuple[float, ...]:
    """Return signal efficiencies in rising order, each once.

    Raises:
        UsageError: one is not in the range, or there are more than figures can show.
    """
    for at in efficiencies:
        if not LEAST_EFFICIENCY <= at <= LARGEST_EFFICIENCY:
            percent = f"; {at:g} % is {at / 100:g}" if 1.0 < at < 100.0 else ""
            raise UsageError(f"--efficiency {at:g}: {_RANGE}{percent}")
    found = tuple(sorted(set(efficiencies)))
    if len(found) > MOST_EFFICIENCIES:
        raise UsageError(
            f"--efficiency: expected at most {MOST_EFFICIENCIES}, which a figure can show, got "
            f"{len(found)}"
        )
    return found


def check_has_background(trials: Iterable[Trial], efficiencies: Sequence[float]) -> None:
    """Check that signal efficiencies mean something for the tasks of trials.

    Raises:
        UsageError: efficiencies are given, and a task has no background.
    """
    for trial in trials if efficiencies else ():
        if not trial.experiment.task.background:
            raise UsageError(
                f"--efficiency: the task of {trial.name} has no background, and so no rejections"
            )


def spectators_of(trial: Trial, dataset: PreparedDataset | None, *, files: bool) -> tuple[str, ...]:
    """Return the spectators of a dataset, or where files are read of the dataset file."""
    if dataset is not None and not files:
        return dataset.manifest.spectators
    return tuple(trial.experiment.data.spectators)


def its_dataset(
    trial: Trial, *, needed: bool, cache: Path | None, progress: Progress
) -> PreparedDataset | None:
    """Return the prepared dataset of a trial, or None if it is gone and not needed.

    Raises:
        DataError: it is needed, and gone for good.
    """
    try:
        return dataset_of(trial, cache=cache, progress=progress)
    except PromotionRefused as refused:
        if needed:
            raise DataError(str(refused)) from refused
        progress.say(
            f"the dataset of {trial.name} is gone: whether the files hold candidates that it was "
            "trained on can't be told"
        )
        return None


def candidates_of(
    trial: Trial,
    files: Sequence[str],
    dataset: PreparedDataset | None,
    *,
    branch: str,
    cache: Path,
    progress: Progress,
) -> EvaluationCandidates:
    """Return what a trial is judged on: files, or without any its sealed test split.

    Args:
        trial: that is judged.
        files, branch, cache, progress: see `of_files`.
        dataset: of the trial; needed where there are no files.
    """
    if files or dataset is None:
        return of_files(trial, files, dataset, branch=branch, cache=cache, progress=progress)
    from tauopt.evaluation.split_candidates import SplitCandidates

    opener = f"evaluate {trial.run_id or trial.name}"
    return SplitCandidates(dataset, dataset.sealed_test(opened_by=opener))


def own_splits(dataset: PreparedDataset | None) -> TrialSplits | None:
    """Return some of what a trial was trained on, and what it was chosen by, if it is there."""
    if dataset is None:
        return None
    from tauopt.evaluation.evaluation_inputs import TrialSplits
    from tauopt.evaluation.split_candidates import SplitCandidates, some_chunks

    train = SplitCandidates(dataset, some_chunks(dataset.train, most=LEARNED))
    return TrialSplits(train, SplitCandidates(dataset, dataset.validation))


def of_files(
    trial: Trial,
    files: Sequence[str],
    dataset: PreparedDataset | None,
    *,
    branch: str,
    cache: Path,
    progress: Progress,
) -> EvaluationCandidates:
    """Find files that fit a trial's dataset file.

    Args:
        trial: whose dataset file it is.
        files: paths or globs; see `prepare.stream_files`.
        dataset: that it was trained on; None where it is gone.
        branch: expression that is kept as the spectator `reference`; empty keeps none.
        cache: folder of digests.
        progress: told of what is read.
    Raises:
        UsageError, DataError: see `prepare.stream_files.stream`.
    """
    from tauopt.evaluation.file_candidates import FileCandidates
    from tauopt.prepare.stream_files import stream

    manifest = dataset.manifest if dataset else None
    learned = frozenset(source.sha256 for source in manifest.sources) if manifest else frozenset()
    found = stream(
        _with_branch(trial.experiment.data, branch),
        files,
        learned=learned - {""},
        cache=cache / "digests",
        progress=progress,
    )
    if found.learned_files:
        progress.say(
            f"{found.learned_files} of {len(found.files)} files are those of the dataset: of them "
            "only the test split is taken"
        )
    return FileCandidates(found, manifest, progress)


def _with_branch(data: Dataset, branch: str) -> Dataset:
    if not branch:
        return data
    from tauopt.physics.expressions import ExpressionError, parse

    try:
        parse(branch)
    except ExpressionError as error:
        raise UsageError(f"--reference: {error}") from error
    return data.model_copy(update={"spectators": {**data.spectators, STORED: branch}})
