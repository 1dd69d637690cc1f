"""All extracts of a dataset: find those that exist, and read the files that have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from tauopt.config.settings.dataset import Dataset
from tauopt.errors import DataError
from tauopt.ntuples.source import TableInfo
from tauopt.prepare.constants import Constants, empty_constants
from tauopt.prepare.dataset_expressions import DatasetExpressions
from tauopt.prepare.extract import Extract, ExtractCounts, extract_folder, open_extract
from tauopt.prepare.first_pass import FirstPassResult, FirstPassTask, make_extract, no_progress
from tauopt.prepare.folder_writer import check_space
from tauopt.prepare.input_files import InputFile, read_header
from tauopt.prepare.left_out import Causes, plain
from tauopt.progress import Progress

T = TypeVar("T")
R = TypeVar("R")


class MapTasks(Protocol):
    """Run a function on tasks, in other processes or on other machines."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]:
        """Yield results as they are ready, in any order; exceptions of a task come unchanged."""


Parallel = Callable[[Sequence[int]], AbstractContextManager[MapTasks | None]]
"""Takes the size in bytes of each file to be read; gives a map, or None to read in this process."""


def in_this_process(sizes: Sequence[int]) -> AbstractContextManager[None]:
    """Read all files in this process; a `Parallel`."""
    del sizes
    return nullcontext()


@dataclass(frozen=True)
class PreparationWork:
    """Settings and resources that all stages of one preparation share."""

    dataset: Dataset
    plan: DatasetExpressions
    digest: str
    cache: Path
    step: int
    """Entries read at a time."""
    progress: Progress
    parallel: Parallel


@dataclass(frozen=True)
class CollectedExtracts:
    """The result of the first pass over all files."""

    files: tuple[InputFile, ...]
    extracts: dict[int, Extract]
    """Number of a file -> its extract, of files that were read whole."""
    counted: ExtractCounts
    """Sums over all these files."""
    constants: dict[str, Constants]
    """Group -> constants of the training features that no extract holds."""

    @property
    def left_out(self) -> dict[str, dict[str, dict[str, int]]]:
        """Sample -> cause -> class -> candidates that are left out."""
        causes = {file.sample: Causes() for file in self.files}
        for number, extract in self.extracts.items():
            causes[self.files[number].sample] += extract.counted.causes
        return {sample: plain(counts) for sample, counts in sorted(causes.items())}


def header_or_extract(dataset: Dataset, file: InputFile, *, cache: Path) -> TableInfo:
    """Return the header of a file: from its extract if there is one, or else from the file."""
    extract = None
    if file.sha256:
        folder = extract_folder(dataset, sample=file.sample, sha256=file.sha256, cache=cache)
        extract = open_extract(folder)
    return TableInfo(extract.entries, extract.jagged, {}) if extract else read_header(file)


def collect(work: PreparationWork, files: Sequence[InputFile]) -> CollectedExtracts:
    """Read all files that have no extract yet.

    Args:
        work: settings and resources of the preparation.
        files: with digests and entries; those with a problem are left out.
    Raises:
        DataError: a file does not fit the dataset file, or changes while it is read.
        ServiceError: the disk is too small, or a worker dies again and again.
    """
    readable = (i for i, file in enumerate(files) if not file.problem and file.entries > 0)
    tasks = {i: _task(work, i, files[i]) for i in readable}
    extracts = {i: extract for i, task in tasks.items() if (extract := open_extract(task.folder))}
    waiting = [task for i, task in tasks.items() if i not in extracts]
    total = sum(task.entries for task in tasks.values())
    work.progress.begin(f"reading {work.dataset.name}", total, "candidates")
    work.progress.advance(sum(extract.entries for extract in extracts.values()))
    if extracts and waiting:
        work.progress.say(f"{len(extracts)} of {len(tasks)} files were read before")
    problems: dict[int, str] = {}
    for result in _run(work, waiting):
        if result.problem:
            problems[result.number] = result.problem
            work.progress.say(f"left out: {result.problem}")
            continue
        folder = tasks[result.number].folder
        extract = open_extract(folder)
        if extract is None:
            raise DataError(f"{folder}: was removed meanwhile; prepare again")
        extracts[result.number] = extract
        read = sum(extract.entries for extract in extracts.values())
        size = sum(extract.bytes for extract in extracts.values())
        check_space(work.cache, size * (total - read) / read)  # for the files still to be read
    return _collected(work, files, extracts=dict(sorted(extracts.items())), problems=problems)


def _task(work: PreparationWork, number: int, file: InputFile) -> FirstPassTask:
    folder = extract_folder(work.dataset, sample=file.sample, sha256=file.sha256, cache=work.cache)
    return FirstPassTask.of_file(number, file, work.dataset, folder=folder, step=work.step)


def _run(work: PreparationWork, tasks: Sequence[FirstPassTask]) -> Iterator[FirstPassResult]:
    """Make extracts, here or elsewhere, and report the entries read as progress."""
    if not tasks:
        return
    with work.parallel([task.signature.bytes for task in tasks]) as run:
        if run is None:
            yield from (_make_here(task, work.progress.advance) for task in tasks)
            return
        by_number = {task.number: task for task in tasks}
        # Large files first, so that no worker is left with one at the end.
        for result in run(make_extract, sorted(tasks, key=lambda task: -task.entries)):
            task = by_number[result.number]
            if result.absent or not (result.problem or open_extract(task.folder)):
                work.progress.say(
                    f"{task.source.path}: is not on all nodes of the cluster, or its extract made "
                    "there is not visible here, so it is read here; set TAUOPT_CACHE to a folder "
                    "that all nodes share"
                )
                result = _make_here(task)
            work.progress.advance(task.entries)
            yield result


def _make_here(
    task: FirstPassTask, advance: Callable[[int], None] = no_progress
) -> FirstPassResult:
    result = make_extract(task, advance)
    if result.absent:
        raise DataError(
            f"{task.source.path}: changed while it was read; run again when it is complete"
        )
    return result


def _collected(
    work: PreparationWork,
    files: Sequence[InputFile],
    *,
    extracts: dict[int, Extract],
    problems: dict[int, str],
) -> CollectedExtracts:
    counted, constants = ExtractCounts(len(work.plan.classes)), empty_constants(work.plan)
    # Sums of floats depend on their order: that of the digests is the same whatever the paths.
    for extract in sorted(extracts.values(), key=lambda extract: extract.folder.name):
        counted.add(extract.counted)
        for name, other in extract.constants(constants).items():
            constants[name].merge(other)
    files_with_problems = tuple(
        replace(file, problem=problems.get(number, file.problem))
        for number, file in enumerate(files)
    )
    return CollectedExtracts(files_with_problems, extracts, counted, constants)
