"""Candidates of files, step by step, without preparing a dataset of them."""

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
"""Every candidate is in the test split."""


@dataclass(frozen=True)
class Streamed:
    """Files that fit a dataset file, found and checked.

    Attributes:
        dataset: its selection, classes and features.
        files: whole ones, with digests and entries.
        learned: digests of files that networks were trained on; of these only the dataset's own
            test split is read.
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
    def known(self) -> int:
        """How many of the files networks were trained on."""
        return sum(file.sha256 in self.learned for file in self.files)

    def blocks(self, dropped: Counter[str], *, progress: Progress) -> Iterator[Block]:
        """Yield the candidates that selection and classes keep, each time in the same order.

        Args:
            dropped: reasons for which others are left out are counted here.
            progress: told of entries.
        Raises:
            DataError: a file is not what the dataset says, changes meanwhile, or lacks features.
        """
        progress.begin(f"reading {len(self.files)} files", self.entries, "entries")
        for number, file in enumerate(self.files):
            own = file.sha256 in self.learned
            dataset = self.dataset if own else self.dataset.model_copy(update={"split": _ALL})
            plan = make_plan(dataset)
            counted = ExtractCounts(len(plan.classes))
            for block, entries in read_blocks(self._task(dataset, number), plan, counted):
                if counted.imputed:
                    raise DataError(
                        f"{file.path}: features are missing ({', '.join(counted.imputed)}); in the "
                        "dataset training means stand in for them, which a model does not hold; "
                        "leave such candidates out of the files"
                    )
                yield block.take(block.splits == SPLITS.index("test"))
                progress.advance(entries)
            if file.signature is not None:
                check_unchanged(file.path, file.signature)
            dropped += counted.dropped

    def _task(self, dataset: Dataset, number: int) -> FirstPassTask:
        file = self.files[number]
        if file.signature is None:
            raise RuntimeError(f"{file.path}: is to be read without a digest")
        return FirstPassTask(
            number=number,
            dataset=dataset,
            sample=file.sample,
            source=file.source,
            sha256=file.sha256,
            signature=file.signature,
            entries=file.entries,
            jagged=dict(file.jagged),
            folder=Path(),
            step=self.step,
        )


def stream(
    dataset: Dataset,
    given: Sequence[str],
    *,
    learned: frozenset[str] = frozenset(),
    cache: Path,
    progress: Progress,
) -> Streamed:
    """Find files and look at their headers.

    Args:
        dataset: what they must fit.
        given: paths or globs, each as `SAMPLE=PATH` or by itself; see `by_sample`.
        learned: digests of files that networks were trained on.
        cache: folder of digests.
        progress: told of digests.
    Raises:
        UsageError: it is not clear of which sample a file is.
        DataError: a file is not there, is no ntuple, or lacks branches.
    """
    named = by_sample(dataset, given)
    samples = {
        name: dataset.samples[name].model_copy(update={"files": tuple(files)})
        for name, files in named.items()
    }
    chosen = dataset.model_copy(update={"samples": samples, "simulate": None, "bad_files": 0})
    found = input_files.with_entries(input_files.find_files(chosen, make_plan(chosen)))
    found = input_files.with_digests(found, cache=cache, progress=progress)
    input_files.check_bad_files(found, tolerated=0)
    return Streamed(chosen, tuple(file for file in found if file.entries), learned)


def by_sample(
    dataset: Dataset, given: Sequence[str], *, truth: bool = True
) -> Mapping[str, list[str]]:
    """Say of which sample each file is.

    It is the one that is named (`dijet=new/*.root`), the only one there is, or the only one whose
    own files' names are alike, but for numbers (`new/dijet_7.root` by `dijet_*.root`).

    Args:
        dataset: with the samples.
        given: paths or globs.
        truth: whether classes and weights are read. Where they are not, no more of a sample counts
            than its tree and friends: of samples with the same ones, any stands for data of none.
    Raises:
        UsageError: it is not clear, or no sample has that name.
        DataError: there is no such file.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        named = bool(equals) and name in dataset.samples
        if equals and not named:
            _check_name(name, text, path, dataset=dataset)
        for file in expand([path if named else text]):
            sample = name if named else _alike(dataset, file, truth=truth)
            found.setdefault(sample, []).append(glob.escape(str(file)))
    return found


def _check_name(name: str, text: str, path: str, *, dataset: Dataset) -> None:
    """Check that a text with `=` is a file's name, and not that of a sample which is not there."""
    if path and not glob.glob(text) and (glob.glob(path) or glob.glob(glob.escape(path))):
        raise UsageError(
            f"{text}: there is no sample {name!r}{nearest(name, dataset.samples)}; the dataset "
            f"file has {', '.join(dataset.samples)}"
        )


def _alike(dataset: Dataset, path: Path, *, truth: bool) -> str:
    if len(dataset.samples) == 1:
        return next(iter(dataset.samples))
    alike: list[str] = []
    for pattern in (_as_it_is, _with_other_numbers):
        alike = [
            name
            for name, sample in dataset.samples.items()
            if any(fnmatch.fnmatch(path.name, pattern(own)) for own in sample.files)
        ]
        if len(alike) == 1:
            return alike[0]
    left = alike or list(dataset.samples)
    trees = {name: (dataset.samples[name].tree, dataset.samples[name].friends) for name in left}
    if not truth and len(set(trees.values())) == 1:
        return left[0]
    why = "" if truth else "; no more is read of a sample than its tree and friends, which differ"
    raise UsageError(
        f"{path}: of which sample is it, {' or '.join(left)}? Say so, as {left[0]}={path}{why}"
    )


def _as_it_is(own: str) -> str:
    """Return the names of a sample's files as a pattern; one that fits all says nothing."""
    name = PurePath(own).name.replace("%d", "*")
    return "" if name.partition(".")[0] == "*" else name


def _with_other_numbers(own: str) -> str:
    return re.sub("[0-9]+", "*", _as_it_is(own))
