"""Prepare a dataset, simulating its sample first where the dataset file says so."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import cache_folder, make_folder

if TYPE_CHECKING:
    from tauopt.cluster.ray_tasks import MapOnRay
    from tauopt.config.settings.dataset import Dataset
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.prepare.collect_extracts import Parallel
    from tauopt.prepare.count_candidates import Survey


def prepare(
    dataset: Path | str | Dataset,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> PreparedDataset:
    """Prepare a dataset, or find it prepared.

    Args:
        dataset: a dataset file, an experiment file (its `data`), or settings with absolute globs.
        cache: folder of prepared datasets and simulated samples [default: the user's cache].
        progress: who is told.
        workers: processes that read the files [default: see `readers`].
    Returns:
        the prepared dataset, its files present and of the right size.
    Raises:
        ConfigError: the file is wrong.
        DataError: the ntuples are wrong, or the prepared dataset is damaged.
        ServiceError: the disk is too small, the sample is being simulated elsewhere, or a server
            of remote files or the cluster does not answer.
    """
    from tauopt.prepare.direct_streaming import open_dataset
    from tauopt.prepare.prepare_dataset import prepare as make

    progress = progress or Silent()
    cache = make_folder(cache or cache_folder(), option="TAUOPT_CACHE")
    settings = _with_sample(_read(dataset), cache=cache, progress=progress)
    settings = _with_copies(settings, cache=cache, progress=progress)
    parallel = readers(workers)
    return open_dataset(make(settings, cache=cache, progress=progress, parallel=parallel))


class KeptExtracts(NamedTuple):
    """What is kept of the files of a dataset, so that they are read once."""

    folder: Path
    files: int
    bytes: int


def kept(prepared: PreparedDataset, *, discard: bool = False) -> KeptExtracts:
    """Say what the cache keeps of the files of a prepared dataset, beside its chunks.

    Args:
        prepared: the dataset, in the cache.
        discard: remove it; adding a file then reads all files again.
    """
    from tauopt.prepare.extract import FOLDER, kept_extracts
    from tauopt.prepare.extract import discard as remove

    cache = prepared.folder.parents[1]
    extracts = kept_extracts(prepared.manifest, cache=cache)
    if discard:
        remove(extracts)
        extracts = []
    size = sum(extract.bytes for extract in extracts)
    return KeptExtracts(cache / FOLDER, len(extracts), size)


def survey(
    dataset: Path | str | Dataset,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Survey | None:
    """Count what a dataset holds, by split and class; writes nothing.

    Args and errors as `prepare`.

    Returns:
        the counts, or None if the sample is still to be simulated, or is on a server.
    """
    from tauopt.prepare.count_candidates import survey as count

    settings = _present(_read(dataset), cache=cache or cache_folder())
    return None if settings is None else count(settings, progress=progress)


def known_digest(dataset: Dataset, *, cache: Path | None = None) -> str:
    """Return the digest of a dataset that was prepared before; writes nothing.

    Args and errors as `prepare`.

    Returns:
        the digest; empty where it is known only after preparation.
    """
    from tauopt.prepare.prepare_dataset import known_digest as digest

    cache = cache or cache_folder()
    settings = _present(dataset, cache=cache)
    return "" if settings is None else digest(settings, cache=cache)


def _present(settings: Dataset, *, cache: Path) -> Dataset | None:
    """Return a dataset whose files are here; None if they are to be simulated, or on a server."""
    from tauopt.ntuples.remote import is_remote

    if any(is_remote(file) for sample in settings.samples.values() for file in sample.files):
        return None
    if settings.simulate is None:
        return settings
    folder = simulated_folder(settings, cache=cache)
    return with_folder(settings, folder) if folder.is_dir() else None


def simulated_folder(settings: Dataset, *, cache: Path) -> Path:
    """Return where the simulated sample of a dataset lies, or will."""
    from tauopt.durable import sha256_json
    from tauopt.simulate.simulated_sample import identity

    if settings.simulate is None:
        raise ValueError(f"dataset {settings.name!r} is not simulated")
    return cache / "simulated" / sha256_json(identity(settings.simulate))[:16]


def with_folder(settings: Dataset, folder: Path) -> Dataset:
    """Return the dataset with its globs inside `folder`."""
    inside = glob.escape(str(folder))
    samples = {
        name: sample.model_copy(
            update={"files": tuple(f"{inside}/{pattern}" for pattern in sample.files)}
        )
        for name, sample in settings.samples.items()
    }
    return settings.model_copy(update={"samples": samples})


def _with_copies(settings: Dataset, *, cache: Path, progress: Progress) -> Dataset:
    """Copy what is on servers into the cache, and look for it there."""
    from tauopt.ntuples.remote import fetch, is_remote

    files = [file for sample in settings.samples.values() for file in sample.files]
    remote = [file for file in dict.fromkeys(files) if is_remote(file)]
    if not remote:
        return settings
    progress.begin("copying remote files", len(remote), "files")
    copies = {}
    for address in remote:
        copies[address] = glob.escape(str(fetch(address, cache=cache / "remote")))
        progress.advance()
    samples = {
        name: sample.model_copy(
            update={"files": tuple(copies.get(file, file) for file in sample.files)}
        )
        for name, sample in settings.samples.items()
    }
    return settings.model_copy(update={"samples": samples})


def _read(dataset: Path | str | Dataset) -> Dataset:
    from tauopt.config.load import kind_of, read_dataset, read_experiment
    from tauopt.config.settings.dataset import Dataset

    if isinstance(dataset, Dataset):
        return dataset
    if kind_of(dataset) == "experiment":
        return read_experiment(dataset).base.data
    return read_dataset(dataset)


def _with_sample(settings: Dataset, *, cache: Path, progress: Progress) -> Dataset:
    """Make the simulated sample, if it is one, and look for files there."""
    if settings.simulate is None:
        return settings
    from tauopt.workflows.simulate import simulate

    folder = simulated_folder(settings, cache=cache)
    return with_folder(settings, simulate(settings.simulate, folder=folder, progress=progress))


PAYS_FROM = 2 * 10**9
"""Bytes of files from which Ray is started by itself. It takes 10 s until its workers read, in
which one process reads about 0.8 GB."""


def readers(workers: int | None = None) -> Parallel:
    """Return who reads the files.

    Args:
        workers: processes that read; 1 is this one. By default Ray's, as many as there are CPUs,
            where `RAY_ADDRESS` names a cluster or the files are large, and else this one.
    """
    return partial(_choose, workers)


def _choose(workers: int | None, sizes: Sequence[int]) -> AbstractContextManager[MapOnRay | None]:
    if not is_worth_it(workers, sizes):
        return nullcontext()
    from tauopt.cluster import ray_tasks

    return ray_tasks.workers(workers)


def is_worth_it(workers: int | None, sizes: Sequence[int]) -> bool:
    """Say whether Ray reads files of some sizes, in bytes."""
    if len(sizes) < 2 or workers == 1:
        return False
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    large = sum(sizes) >= PAYS_FROM and len(os.sched_getaffinity(0)) > 1
    return workers is not None or cluster or large
