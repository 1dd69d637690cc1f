"""Ntuples -> prepared dataset: an immutable folder, named by the digest of its inputs."""

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
from tauopt.prepare import input_files
from tauopt.prepare.collect_extracts import (
    CollectedExtracts,
    Parallel,
    PreparationWork,
    collect,
    header_or_extract,
    in_this_process,
)
from tauopt.prepare.dataset_digests import dataset_digest
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.direct_streaming import seekable
from tauopt.prepare.folder_writer import check_space, one_writer
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
    parallel: Parallel = in_this_process,
) -> Path:
    """Prepare a dataset, unless the cache has it already.

    Selects and labels candidates, splits them by event number, shuffles them out of core into
    uniformly mixed chunks, and fits constants on the training split. Memory is bounded by a few
    chunks, and by `step` for each process that reads. The result is the same for any order of
    files, any `step` and any `parallel`. The cache keeps an extract of each file: a file is read
    once, even if preparation is interrupted, or if files are added later.

    Args:
        dataset: with absolute globs.
        cache: folder of prepared datasets, extracts, digests and locks.
        progress: reports the stages and the candidates that are done.
        step: entries read at a time.
        parallel: reads the files in this process, in others, or on other machines.
    Returns:
        the folder, see `tauopt.dataset`.
    Raises:
        DataError: the files do not fit the dataset file: see the modules of this package.
        ServiceError: the disk is too small.
    """
    progress = progress or Silent()
    plan = make_plan(dataset)
    header = partial(header_or_extract, dataset, cache=cache)
    files = input_files.find_files(dataset, plan)
    files = input_files.with_remembered_digests(files, cache=cache / "digests")
    if not all(file.sha256 for file in files):
        # Headers first: a missing branch is an error before files are read for their digests.
        files = input_files.with_entries(files, header=header)
        files = input_files.with_digests(files, cache=cache / "digests", progress=progress)
    digest = dataset_digest(dataset, files)
    folder = cache / "prepared" / folder_name(dataset.name, digest)
    if not (folder / MANIFEST).is_file():
        lock, what = cache / "locks" / f"{folder.name}.lock", f"the preparation of {folder.name}"
        with one_writer(folder, lock=lock, what=what, say=progress.say):
            if not (folder / MANIFEST).is_file():
                if not any(file.entries for file in files):
                    files = input_files.with_entries(files, header=header)
                work = PreparationWork(dataset, plan, digest, cache, step, progress, parallel)
                _prepare(work, files, folder)
    bad_files = read_manifest(folder).bad_files  # it may have been prepared with more tolerance
    input_files.check_tolerated(bad_files, files=len(files), tolerated=dataset.bad_files)
    return folder


def known_digest(dataset: Dataset, *, cache: Path) -> str:
    """Return the digest of a dataset from remembered file digests; reads no file, writes nothing.

    Args:
        dataset: with absolute globs.
        cache: as `prepare`.
    Returns:
        the digest; empty if the digest of a file is not in the cache.
    Raises:
        DataError: as `prepare`, for errors that show without reading a file.
    """
    files = input_files.find_files(dataset, make_plan(dataset))
    files = input_files.with_remembered_digests(files, cache=cache / "digests")
    return dataset_digest(dataset, files) if all(file.sha256 for file in files) else ""


def _prepare(work: PreparationWork, files: Sequence[InputFile], folder: Path) -> None:
    input_files.check_bad_files(files, tolerated=work.dataset.bad_files)
    if work.dataset.stream == "direct":
        _check_direct(work.dataset, files)
    collected = collect(work, files)
    input_files.check_bad_files(collected.files, tolerated=work.dataset.bad_files)
    with durable.new_folder(folder) as temporary:
        check_space(temporary, sum(extract.bytes for extract in collected.extracts.values()))
        manifest = write(work, collected, _arrangement(work, collected), temporary)
        write_manifest(temporary, manifest)


def _check_direct(dataset: Dataset, files: Sequence[InputFile]) -> None:
    """Check that a dataset can be streamed directly."""
    if dataset.missing == "impute":
        raise DataError(
            "missing: impute does not go with stream: direct, which never holds all features; "
            "set `missing: drop`, or `stream: prepared`"
        )
    for file in files:
        seekable(file.source, where=file.path)


def _arrangement(work: PreparationWork, collected: CollectedExtracts) -> Arrangement:
    parts = {number: extract.parts for number, extract in collected.extracts.items()}
    size = work.dataset.chunk_size
    if work.dataset.stream == "direct":
        seams = [_seams(file) for file in collected.files]
        return Sliced(parts, collected.files, seams=seams, chunk_size=size)
    return Shuffled(parts, chunk_size=size)


def _seams(file: InputFile) -> NDArray[np.int64]:
    """Return the entries at which it costs nothing to cut a file; empty if it can't be read."""
    if file.problem or not file.entries:
        return np.empty(0, np.int64)
    return seekable(file.source, where=file.path).open(file.branches).seams
