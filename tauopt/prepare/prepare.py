"""Ntuples -> prepared dataset: an immutable folder named by the digest of all that went in."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tauopt import durable
from tauopt.config.dataset import Dataset
from tauopt.dataset.manifest import MANIFEST, folder_name, write_manifest
from tauopt.errors import DataError, LockedError
from tauopt.ntuples.source import STEP
from tauopt.prepare import sources
from tauopt.prepare.arrange import Arrangement, Shuffled, Sliced
from tauopt.prepare.direct import check_seekable
from tauopt.prepare.first_pass import Work, scatter
from tauopt.prepare.plan import make_plan
from tauopt.prepare.second_pass import write
from tauopt.prepare.sources import InputFile
from tauopt.progress import Progress, Silent


def prepare(
    dataset: Dataset, *, cache: Path, progress: Progress | None = None, step: int = STEP
) -> Path:
    """Prepare a dataset, or find it prepared.

    Selects and labels candidates, splits them by event number, shuffles them out of core into
    uniformly mixed chunks, and fits constants on the training split. Memory is bounded by a few
    chunks. The result is the same for any order of files and any `step`.

    Args:
        dataset: with absolute globs.
        cache: folder of prepared datasets, digests and locks.
        progress: who is told.
        step: entries read at a time.
    Returns:
        the folder, see `tauopt.dataset`.
    Raises:
        DataError: the files are not what the dataset says: see the modules of this package.
        ServiceError: the disk is too small.
    """
    progress = progress or Silent()
    plan = make_plan(dataset)
    files = sources.find_files(dataset, plan)
    digests = cache / "digests"
    known = sources.with_remembered_digests(files, cache=digests)
    if known is None:  # a missing branch is told before files are read for their digests
        looked_at = sources.with_entries(files)
        known = sources.with_digests(looked_at, cache=digests, progress=progress)
    digest = sources.identity(dataset, known)
    folder = cache / "prepared" / folder_name(dataset.name, digest)
    if not (folder / MANIFEST).is_file():
        with _only_one(folder, cache=cache, progress=progress):
            if not (folder / MANIFEST).is_file():
                work = Work(dataset, plan, digest, step, progress)
                _prepare(work, known, folder)
    return folder


@contextlib.contextmanager
def _only_one(folder: Path, *, cache: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a folder, waiting for another process that prepares the same."""
    path, what = cache / "locks" / f"{folder.name}.lock", f"the preparation of {folder.name}"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(durable.locked(path, what=what))
        except LockedError as error:
            progress.say(f"waiting: {error}")
            stack.enter_context(durable.locked(path, what=what, wait=True))
        yield


def _prepare(work: Work, files: Sequence[InputFile], folder: Path) -> None:
    for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):  # of a killed process
        shutil.rmtree(leftover, ignore_errors=True)
    if not any(file.entries for file in files):
        files = sources.with_entries(files)
    sources.check_bad_files(files, tolerated=work.dataset.bad_files)
    with durable.new_folder(folder) as temporary:
        arranged = _arrangement(work, files, temporary / "spill")
        collected = scatter(work, files, arranged)
        arranged.flush()
        sources.check_bad_files(collected.files, tolerated=work.dataset.bad_files)
        manifest = write(work, collected, arranged, temporary)
        arranged.remove()
        write_manifest(temporary, manifest)


def _arrangement(work: Work, files: Sequence[InputFile], folder: Path) -> Arrangement:
    size = work.dataset.chunk_size
    if work.dataset.stream == "prepared":
        return Shuffled(folder, entries=sum(file.entries for file in files), chunk_size=size)
    if work.dataset.missing == "impute":
        raise DataError(
            "missing: impute does not go with stream: direct, which never holds all features; "
            "use drop, or stream: prepared"
        )
    for file in files:
        check_seekable(file.source, where=file.path)
    return Sliced(folder, files, chunk_size=size)
