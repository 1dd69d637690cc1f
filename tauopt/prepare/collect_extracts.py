"""All extracts of a dataset: those that are there, and those of the files still to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from tauopt.config.settings.dataset import Dataset
from tauopt.errors import DataError
from tauopt.ntuples.source import TableInfo
from tauopt.prepare import dataset_digests
from tauopt.prepare.constants import Constants, no_constants
from tauopt.prepare.dataset_expressions import DatasetExpressions
from tauopt.prepare.disk_space import check_space
from tauopt.prepare.extract import Extract, ExtractCounts, open_extract
from tauopt.prepare.first_pass import FirstPassResult, FirstPassTask, ignore, make_extract
from tauopt.prepare.input_files import InputFile, look
from tauopt.prepare.left_out import Causes, plain
from tauopt.progress import Progress

FOLDER = "extracts"
"""Of the cache."""

T = TypeVar("T")
R = TypeVar("R")


class MapTasks(Protocol):
    """Runs a function on tasks, in other processes or on other machines."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]:
        """Yield results as they come, in any order; what a task raises comes as itself."""


Parallel = Callable[[Sequence[int]], AbstractContextManager[MapTasks | None]]
"""Told the bytes of each file to be read, gives a map, or None where this process will do."""


def alone(sizes: Sequence[int]) -> AbstractContextManager[None]:
    """Read all files in this process."""
    del sizes
    return nullcontext()


@dataclass(frozen=True)
class PreparationWork:
    """What all stages of one preparation need."""

    dataset: Dataset
    plan: DatasetExpressions
    digest: str
    cache: Path
    step: int
    progress: Progress
    parallel: Parallel


@dataclass(frozen=True)
class CollectedExtracts:
    """What the first pass found."""

    files: tuple[InputFile, ...]
    extracts: dict[int, Extract]
    """Number of a file that was read whole -> what was taken from it."""
    counted: ExtractCounts
    """Of all these files."""
    constants: dict[str, Constants]
    """Group -> constants of training features that are not kept."""

    @property
    def left_out(self) -> dict[str, dict[str, dict[str, int]]]:
        """Sample -> cause -> class -> candidates that are left out."""
        causes = {file.sample: Causes() for file in self.files}
        for number, extract in self.extracts.items():
            causes[self.files[number].sample] += extract.counted.causes
        return {sample: plain(of) for sample, of in sorted(causes.items())}


def extract_folder(dataset: Dataset, *, sample: str, sha256: str, cache: Path) -> Path:
    """Return where the extract of a file of some sample and content lies, or will."""
    digest = dataset_digests.of_extract(dataset, sample=sample, sha256=sha256)
    return cache / FOLDER / digest[:32]


def look_once(dataset: Dataset, file: InputFile, *, cache: Path) -> TableInfo:
    """Tell what the header of a file says, by its extract if there is one."""
    extract = None
    if file.sha256:
        folder = extract_folder(dataset, sample=file.sample, sha256=file.sha256, cache=cache)
        extract = open_extract(folder)
    return TableInfo(extract.entries, extract.jagged, {}) if extract else look(file)


def collect(work: PreparationWork, files: Sequence[InputFile]) -> CollectedExtracts:
    """Read all files that have no extract yet.

    Args:
        work: what is prepared.
        files: with digests and entries; those with a problem are left out.
    Raises:
        DataError: a file is not what the dataset says, or changes while it is read.
        ServiceError: the disk is too small, or a worker dies again and again.
    """
    tasks = {i: _task(work, i, file) for i, file in enumerate(files) if _readable(file)}
    extracts = {i: found for i, task in tasks.items() if (found := open_extract(task.folder))}
    waiting = [task for i, task in tasks.items() if i not in extracts]
    total = sum(task.entries for task in tasks.values())
    work.progress.begin(f"reading {work.dataset.name}", total, "candidates")
    work.progress.advance(sum(extract.entries for extract in extracts.values()))
    if extracts and waiting:
        work.progress.say(f"{len(extracts)} of {len(tasks)} files were read before")
    problems: dict[int, str] = {}
    for done in _run(work, waiting):
        if done.problem:
            problems[done.number] = done.problem
            work.progress.say(f"left out: {done.problem}")
            continue
        extracts[done.number] = _open(tasks[done.number])
        _check_space(work, list(extracts.values()), total=total)
    return _collected(work, files, extracts=dict(sorted(extracts.items())), problems=problems)


def _readable(file: InputFile) -> bool:
    return not file.problem and file.entries > 0


def _task(work: PreparationWork, number: int, file: InputFile) -> FirstPassTask:
    if file.signature is None:
        raise RuntimeError(f"{file.path}: is to be read without a digest")
    folder = extract_folder(work.dataset, sample=file.sample, sha256=file.sha256, cache=work.cache)
    return FirstPassTask(
        number=number,
        dataset=work.dataset,
        sample=file.sample,
        source=file.source,
        sha256=file.sha256,
        signature=file.signature,
        entries=file.entries,
        jagged=dict(file.jagged),
        folder=folder,
        step=work.step,
    )


def _run(work: PreparationWork, tasks: Sequence[FirstPassTask]) -> Iterator[FirstPassResult]:
    """Make extracts, here or elsewhere, and tell of the entries read."""
    if not tasks:
        return
    with work.parallel([task.signature.bytes for task in tasks]) as run:
        if run is None:
            yield from (_make_here(task, work.progress.advance) for task in tasks)
            return
        by_number = {task.number: task for task in tasks}
        for done in run(make_extract, sorted(tasks, key=lambda task: -task.entries)):
            task = by_number[done.number]
            if done.absent or not (done.problem or open_extract(task.folder)):
                work.progress.say(
                    f"{task.source.path}: is not on all nodes of the cluster, or what they take "
                    "from it is not seen here, so it is read here; set TAUOPT_CACHE to a folder "
                    "that all share"
                )
                done = _make_here(task)
            work.progress.advance(task.entries)
            yield done


def _make_here(task: FirstPassTask, advance: Callable[[int], None] = ignore) -> FirstPassResult:
    done = make_extract(task, advance)
    if done.absent:
        raise DataError(
            f"{task.source.path}: changed while it was read; run again when it is complete"
        )
    return done


def _open(task: FirstPassTask) -> Extract:
    found = open_extract(task.folder)
    if found is None:
        raise DataError(f"{task.folder}: was removed meanwhile; prepare again")
    return found


def _check_space(work: PreparationWork, extracts: Sequence[Extract], *, total: int) -> None:
    """Check that there is room for the files still to be read."""
    read, size = sum(one.entries for one in extracts), sum(one.bytes for one in extracts)
    check_space(work.cache, size * (total - read) / read)


def _collected(
    work: PreparationWork,
    files: Sequence[InputFile],
    *,
    extracts: dict[int, Extract],
    problems: dict[int, str],
) -> CollectedExtracts:
    counted, constants = ExtractCounts(len(work.plan.classes)), no_constants(work.plan)
    for extract in sorted(extracts.values(), key=lambda one: one.folder.name):  # whatever the paths
        counted.add(extract.counted)
        for name, other in extract.constants(constants).items():
            constants[name].merge(other)
    told = tuple(
        replace(file, problem=problems.get(number, file.problem))
        for number, file in enumerate(files)
    )
    return CollectedExtracts(told, extracts, counted, constants)
