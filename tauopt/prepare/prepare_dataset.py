"""Ntuples -> prepared dataset: an immutable folder named by the digest of all that went in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt import durable
from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.manifest import MANIFEST, folder_name, read_manifest, write_manifest
from tauopt.errors import DataError
from tauopt.ntuples.source import STEP
from tauopt.prepare import dataset_digests, input_files
from tauopt.prepare.collect_extracts import (
    CollectedExtracts,
    Parallel,
    PreparationWork,
    alone,
    collect,
    look_once,
)
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.direct_streaming import seekable
from tauopt.prepare.disk_space import check_space
from tauopt.prepare.folder_writer import one_writer
from tauopt.prepare.input_files import InputFile
from tauopt.prepare.out_of_core_shuffle import Arrangement, Shuffled, Sliced
from tauopt.prepare.second_pass import write
from tauopt.progress import Progress, Silent


def prepare(
    dataset: Dataset,
    *,
    cache: Path,
    progress: Progress | None = None,
    step: int = STEP,
    parallel: Parallel = alone,
) -> Path:
    """Prepare a dataset, or find it prepared.

    Selects and labels candidates, splits them by event number, shuffles them out of core into
    uniformly mixed chunks, and fits constants on the training split. Memory is bounded by a few
    chunks, and by `step` for each process that reads. The result is the same for any order of
    files, any `step` and any `parallel`. What is taken from a file is kept in the cache: a file
    is read once, also where preparation was interrupted, or where files are added.

    Args:
        dataset: with absolute globs.
        cache: folder of prepared datasets, extracts, digests and locks.
        progress: who is told.
        step: entries read at a time.
        parallel: who reads the files.
    Returns:
        the folder, see `tauopt.dataset`.
    Raises:
        DataError: the files are not what the dataset says: see the modules of this package.
        ServiceError: the disk is too small.
    """
    progress = progress or Silent()
    plan = make_plan(dataset)
    look = partial(look_once, dataset, cache=cache)
    known = input_files.find_files(dataset, plan)
    known = input_files.with_remembered_digests(known, cache=cache / "digests")
    if not all(file.sha256 for file in known):
        # a missing branch is told before files are read for their digests
        known = input_files.with_entries(known, look=look)
        known = input_files.with_digests(known, cache=cache / "digests", progress=progress)
    digest = dataset_digests.of_dataset(dataset, known)
    folder = cache / "prepared" / folder_name(dataset.name, digest)
    if not (folder / MANIFEST).is_file():
        lock, what = cache / "locks" / f"{folder.name}.lock", f"the preparation of {folder.name}"
        with one_writer(folder, lock=lock, what=what, say=progress.say):
            if not (folder / MANIFEST).is_file():
                if not any(file.entries for file in known):
                    known = input_files.with_entries(known, look=look)
                work = PreparationWork(dataset, plan, digest, cache, step, progress, parallel)
                _prepare(work, known, folder)
    left_out = read_manifest(folder).bad_files  # perhaps under a larger tolerance
    input_files.check_tolerated(left_out, of=len(known), tolerated=dataset.bad_files)
    return folder


def known_digest(dataset: Dataset, *, cache: Path) -> str:
    """Return the digest that a dataset has once it is prepared; reads no file and writes nothing.

    Args:
        dataset: with absolute globs.
        cache: as `prepare`.
    Returns:
        the digest; empty where a file was never read before.
    Raises:
        DataError: as `prepare`, as far as it can be known.
    """
    files = input_files.find_files(dataset, make_plan(dataset))
    files = input_files.with_remembered_digests(files, cache=cache / "digests")
    return dataset_digests.of_dataset(dataset, files) if all(file.sha256 for file in files) else ""


def _prepare(work: PreparationWork, files: Sequence[InputFile], folder: Path) -> None:
    input_files.check_bad_files(files, tolerated=work.dataset.bad_files)
    if work.dataset.stream == "direct":
        _check_direct(work.dataset, files)
    found = collect(work, files)
    input_files.check_bad_files(found.files, tolerated=work.dataset.bad_files)
    with durable.new_folder(folder) as temporary:
        check_space(temporary, sum(extract.bytes for extract in found.extracts.values()))
        manifest = write(work, found, _arrangement(work, found), temporary)
        write_manifest(temporary, manifest)


def _check_direct(dataset: Dataset, files: Sequence[InputFile]) -> None:
    """Check that a dataset can be streamed directly."""
    if dataset.missing == "impute":
        raise DataError(
            "missing: impute does not go with stream: direct, which never holds all features; "
            "use drop, or stream: prepared"
        )
    for file in files:
        seekable(file.source, where=file.path)


def _arrangement(work: PreparationWork, found: CollectedExtracts) -> Arrangement:
    parts = {number: extract.parts for number, extract in found.extracts.items()}
    size = work.dataset.chunk_size
    if work.dataset.stream == "direct":
        seams = [_seams(file) for file in found.files]
        return Sliced(parts, found.files, seams=seams, chunk_size=size)
    return Shuffled(parts, chunk_size=size)


def _seams(file: InputFile) -> NDArray[np.int64]:
    """Return the entries at which it costs nothing to cut a file, if it can be read."""
    if file.problem or not file.entries:
        return np.empty(0, np.int64)
    return seekable(file.source, where=file.path).open(file.branches).seams
