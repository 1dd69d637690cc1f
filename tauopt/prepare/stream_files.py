"""Stream the candidates of files step by step, without preparing a dataset."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tauopt.config.settings.dataset import Dataset, Split
from tauopt.dataset.manifest import SPLITS
from tauopt.errors import DataError, UsageError, nearest
from tauopt.ntuples.input_digests import check_unchanged
from tauopt.ntuples.input_globs import expand
from tauopt.ntuples.source import STEP
from tauopt.prepare import input_files
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.extract import ExtractCounts
from tauopt.prepare.first_pass import FirstPassTask, read_blocks
from tauopt.prepare.input_files import InputFile
from tauopt.progress import Progress

_ALL = Split(
    train="event_number != event_number",
    validation="event_number != event_number",
    test="event_number == event_number",
)
"""A split that puts every candidate into test."""


@dataclass(frozen=True)
class Streamed:
    """Files that fit a dataset file, checked and ready to be streamed.

    Attributes:
        dataset: its selection, classes and features.
        files: whole ones, with digests and entries.
        learned: digests of files that networks were trained on; of such files only the candidates
            in the dataset's own test split are read.
        step: entries read at a time.
    """

    dataset: Dataset
    files: tuple[InputFile, ...]
    learned: frozenset[str]
    step: int = STEP

    @property
    def entries(self) -> int:
        """Candidates or events in all files."""
        return sum(file.entries for file in self.files)

    @property
    def learned_files(self) -> int:
        """Number of the files that networks were trained on."""
        return sum(file.sha256 in self.learned for file in self.files)

    def blocks(self, dropped: Counter[str], *, progress: Progress) -> Iterator[Block]:
        """Yield the candidates that selection and classes keep, in the same order in every call.

        Args:
            dropped: reason -> candidates left out; the counts are added here.
            progress: reports the entries read.
        Raises:
            DataError: a file does not fit the dataset file, changes while it is read, or has
                candidates that lack features.
        """
        progress.begin(f"reading {len(self.files)} files", self.entries, "entries")
        for number, file in enumerate(self.files):
            is_learned = file.sha256 in self.learned
            split = self.dataset.split if is_learned else _ALL
            dataset = self.dataset.model_copy(update={"split": split})
            plan = make_plan(dataset)
            counted = ExtractCounts(len(plan.classes))
            # The task's folder stays empty: no extract is written.
            task = FirstPassTask.of_file(number, file, dataset, folder=Path(), step=self.step)
            for block, entries in read_blocks(task, plan, counted):
                if counted.imputed:
                    raise DataError(
                        f"{file.path}: features are missing ({', '.join(counted.imputed)}); the "
                        "dataset imputes training means for them, which a model does not hold; "
                        "leave such candidates out of the files"
                    )
                yield block.take(block.splits == SPLITS.index("test"))
                progress.advance(entries)
            check_unchanged(file.path, task.signature)
            dropped += counted.dropped


def stream(
    dataset: Dataset,
    given: Sequence[str],
    *,
    learned: frozenset[str] = frozenset(),
    cache: Path,
    progress: Progress,
) -> Streamed:
    """Find files and read their headers and digests.

    Args:
        dataset: that the files must fit.
        given: paths or globs, each as `SAMPLE=PATH` or by itself; see `by_sample`.
        learned: digests of files that networks were trained on.
        cache: folder of digests.
        progress: reports the digests that are computed.
    Raises:
        UsageError: the sample of a file is ambiguous.
        DataError: a file does not exist, is no ntuple, or lacks branches.
    """
    samples = {
        name: dataset.samples[name].model_copy(update={"files": tuple(files)})
        for name, files in by_sample(dataset, given).items()
    }
    chosen = dataset.model_copy(update={"samples": samples, "simulate": None, "bad_files": 0})
    files = input_files.with_entries(input_files.find_files(chosen, make_plan(chosen)))
    files = input_files.with_digests(files, cache=cache, progress=progress)
    input_files.check_bad_files(files, tolerated=0)
    return Streamed(chosen, tuple(file for file in files if file.entries), learned)


def by_sample(
    dataset: Dataset, given: Sequence[str], *, truth: bool = True
) -> Mapping[str, list[str]]:
    """Assign each file to a sample of the dataset.

    The sample is the one that is named (`dijet=new/*.root`), or the only one of the dataset, or the
    only one whose files have similar names, up to numbers (`new/dijet_7.root` for `dijet_*.root`).

    Args:
        dataset: with the samples.
        given: paths or globs, each as `SAMPLE=PATH` or by itself.
        truth: whether classes and weights are read. Where they are not, as in data, only tree and
            friends of a sample are used: among samples with the same ones, the first is taken.
    Returns:
        sample -> escaped paths of its files.
    Raises:
        UsageError: the sample of a file is ambiguous, or no sample has that name.
        DataError: there is no such file.
    """
    files: dict[str, list[str]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        named = bool(equals) and name in dataset.samples
        if equals and not named:
            _check_name(name, text, path, dataset=dataset)
        for file in expand([path if named else text]):
            sample = name if named else _sample_by_file_name(dataset, file, truth=truth)
            files.setdefault(sample, []).append(glob.escape(str(file)))
    return files


def _check_name(name: str, text: str, path: str, *, dataset: Dataset) -> None:
    """Check that a text with `=` is the name of a file, and not of an unknown sample and a file."""
    if path and not glob.glob(text) and (glob.glob(path) or glob.glob(glob.escape(path))):
        raise UsageError(
            f"{text}: there is no sample {name!r}{nearest(name, dataset.samples)}; the dataset "
            f"file has {', '.join(dataset.samples)}"
        )


def _sample_by_file_name(dataset: Dataset, path: Path, *, truth: bool) -> str:
    if len(dataset.samples) == 1:
        return next(iter(dataset.samples))
    matching: list[str] = []
    for pattern in (_file_name_pattern, _pattern_with_any_numbers):
        matching = [
            name
            for name, sample in dataset.samples.items()
            if any(fnmatch.fnmatch(path.name, pattern(file)) for file in sample.files)
        ]
        if len(matching) == 1:
            return matching[0]
    possible = matching or list(dataset.samples)
    trees = {(dataset.samples[name].tree, dataset.samples[name].friends) for name in possible}
    if not truth and len(trees) == 1:
        return possible[0]
    why = "" if truth else "; only tree and friends of the sample are used, and these differ"
    raise UsageError(
        f"{path}: of which sample is it, {' or '.join(possible)}? Name the sample, as in "
        f"{possible[0]}={path}{why}"
    )


def _file_name_pattern(file: str) -> str:
    """Return the file name of a glob; empty if it fits all names, which identifies no sample."""
    name = PurePath(file).name.replace("%d", "*")
    return "" if name.partition(".")[0] == "*" else name


def _pattern_with_any_numbers(file: str) -> str:
    return re.sub("[0-9]+", "*", _file_name_pattern(file))
