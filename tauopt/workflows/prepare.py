"""Prepare a dataset; simulate its sample or copy its remote files first; convert it to ntuples."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tauopt.cluster.ray_tasks import readers
from tauopt.errors import UsageError, nearest
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import cache_folder, make_folder
from tauopt.workflows.simulate import simulated_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tauopt.config.settings.dataset import Dataset
    from tauopt.dataset.prepared_dataset import Chunk, PreparedDataset
    from tauopt.prepare.count_candidates import Survey

FORMATS = ("root", "hdf5", "parquet")
"""Formats of ntuples that a prepared dataset can be converted to."""
TABLE = "candidates"
"""Name of the TTree or of the HDF5 dataset of the candidates."""


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
        cache: folder of prepared datasets and simulated samples; None means the user's cache.
        progress: receives the progress of every stage.
        workers: processes that read the files; see `cluster.ray_tasks.readers`.
    Returns:
        the prepared dataset, its files present and of the right size.
    Raises:
        ConfigError: the file is wrong.
        DataError: the ntuples are wrong, or the prepared dataset is damaged.
        ServiceError: the disk is too small, another process simulates the sample, or a server of
            remote files or the cluster does not answer.
    """
    from tauopt.prepare.direct_streaming import open_dataset
    from tauopt.prepare.prepare_dataset import prepare as make
    from tauopt.workflows.simulate import simulate

    progress = progress or Silent()
    cache = make_folder(cache or cache_folder(), option="TAUOPT_CACHE")
    settings = _read(dataset)
    if settings.simulate is not None:
        folder = simulated_folder(settings.simulate, cache=cache)
        sample = simulate(settings.simulate, folder=folder, progress=progress)
        settings = with_folder(settings, sample)
    settings = _with_copies(settings, cache=cache, progress=progress)
    return open_dataset(make(settings, cache=cache, progress=progress, parallel=readers(workers)))


class KeptExtracts(NamedTuple):
    """What the cache keeps of the files of a dataset, so that each is read only once."""

    folder: Path
    files: int
    bytes: int


def kept(prepared: PreparedDataset, *, discard: bool = False) -> KeptExtracts:
    """Return what the cache keeps of the files of a prepared dataset, beside its chunks.

    Args:
        prepared: the dataset, in the cache.
        discard: remove the extracts; after a file is added, all files are then read again.
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
    """Count the candidates of a dataset by split and class; writes nothing.

    Args and errors as `prepare`.

    Returns:
        the counts, or None if the sample is not simulated yet, or files are on a server.
    """
    from tauopt.prepare.count_candidates import survey as count

    settings = _local_files(_read(dataset), cache=cache or cache_folder())
    return None if settings is None else count(settings, progress=progress)


def known_digest(dataset: Dataset, *, cache: Path | None = None) -> str:
    """Return the digest of a dataset that was prepared before; writes nothing.

    Args and errors as `prepare`.

    Returns:
        the digest; empty where only preparation can give it.
    """
    from tauopt.prepare.prepare_dataset import known_digest as digest

    cache = cache or cache_folder()
    settings = _local_files(dataset, cache=cache)
    return "" if settings is None else digest(settings, cache=cache)


def known_prepared(dataset: Dataset, *, cache: Path | None = None) -> PreparedDataset | None:
    """Return a dataset that was prepared before; None where it is not; writes nothing.

    Args and errors as `prepare`.
    """
    from tauopt.dataset.manifest import MANIFEST, folder_name
    from tauopt.prepare.direct_streaming import open_dataset

    cache = cache or cache_folder()
    digest = known_digest(dataset, cache=cache)
    folder = cache / "prepared" / folder_name(dataset.name, digest)
    return open_dataset(folder) if digest and (folder / MANIFEST).is_file() else None


def _local_files(settings: Dataset, *, cache: Path) -> Dataset | None:
    """Return a dataset whose files are on this machine; None if they are not (yet)."""
    from tauopt.ntuples.remote import is_remote

    if any(is_remote(file) for sample in settings.samples.values() for file in sample.files):
        return None
    if settings.simulate is None:
        return settings
    folder = simulated_folder(settings.simulate, cache=cache)
    return with_folder(settings, folder) if folder.is_dir() else None


def with_folder(settings: Dataset, folder: Path) -> Dataset:
    """Return the dataset with its globs inside `folder`."""
    inside = glob.escape(str(folder))
    return _with_globs(settings, lambda pattern: f"{inside}/{pattern}")


def _with_copies(settings: Dataset, *, cache: Path, progress: Progress) -> Dataset:
    """Copy remote files into the cache, and return the dataset with the copies in their place."""
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
    return _with_globs(settings, lambda pattern: copies.get(pattern, pattern))


def _with_globs(settings: Dataset, replaced: Callable[[str], str]) -> Dataset:
    samples = {
        name: sample.model_copy(update={"files": tuple(map(replaced, sample.files))})
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


def convert(
    dataset: PreparedDataset, *, to: str, folder: Path, progress: Progress | None = None
) -> list[Path]:
    """Write every chunk of a prepared dataset as an ntuple, for other tools.

    Candidates hold `label` (index of the class), `weight`, `event_number`, the spectators and
    the features, physical values without transforms. A spectator that has the name of another
    column gets the prefix `spectator_`. Objects are branches such as `tracks_pt`.

    Args:
        dataset: opened; its test split is written too, and its log of openings records that.
        to: format.
        folder: made if missing; files are called `train-00000.root` and so on.
        progress: receives the number of files written.
    Returns:
        the files.
    Raises:
        UsageError: there is no such format, or the folder can't be written.
    """
    from tauopt.ntuples.write_ntuples import WRITERS

    check_format(to)
    progress = progress or Silent()
    make_folder(folder, option="--to-folder")
    splits = (dataset.train, dataset.validation, dataset.sealed_test(opened_by=f"convert to {to}"))
    chunks = [(split, chunk) for split in splits for chunk in split.chunks]
    progress.begin(f"writing {dataset.manifest.name} as {to}", len(chunks), "files")
    files = []
    for split, chunk in chunks:
        files.append(folder / f"{chunk.info.name}.{to}")
        scalars, groups = _columns(dataset, chunk, split.spectators)
        WRITERS[to](files[-1], TABLE, scalars, groups)
        progress.advance()
    return files


def check_format(name: str) -> None:
    """Check that a format can be written.

    Raises:
        UsageError: it can't; names the formats that can, and the nearest.
    """
    if name not in FORMATS:
        raise UsageError(
            f"no format {name!r}{nearest(name, FORMATS)}; there are {', '.join(FORMATS)}"
        )


def _columns(
    dataset: PreparedDataset, chunk: Chunk, spectators: tuple[str, ...]
) -> tuple[dict[str, NDArray[Any]], dict[str, tuple[NDArray[Any], dict[str, NDArray[Any]]]]]:
    """Return the columns of candidates, and group -> number of objects and columns of objects."""
    import numpy as np

    manifest = dataset.manifest
    features = chunk.features([group.name for group in manifest.groups])
    scalars: dict[str, NDArray[Any]] = {
        "label": np.asarray(chunk.labels),
        "weight": np.asarray(chunk.weights),
        "event_number": np.asarray(chunk.event_numbers),
    }
    for index, feature in enumerate(manifest.candidate.features):
        scalars[feature.name] = np.ascontiguousarray(features.candidate[:, index])
    for index, name in enumerate(spectators):
        name = name if name not in scalars else f"spectator_{name}"
        scalars[name] = np.ascontiguousarray(chunk.spectators[:, index])
    groups = {}
    for group in manifest.groups:
        objects = features.groups[group.name]
        columns = {
            feature.name: np.ascontiguousarray(objects.content[:, index])
            for index, feature in enumerate(group.features)
        }
        groups[group.name] = objects.counts, columns
    return scalars, groups
