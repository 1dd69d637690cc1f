"""Ntuples -> prepared dataset: an immutable folder named by the digest of all that went in."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt import durable
from tauopt.config.dataset import Dataset
from tauopt.config.inputs import CANDIDATE
from tauopt.dataset.manifest import (
    MANIFEST,
    SPLITS,
    ChunkFile,
    ChunkInfo,
    Manifest,
    Source,
    SplitName,
    folder_name,
    split_info,
    write_manifest,
)
from tauopt.dataset.write import chunk_name, write_chunk, write_report
from tauopt.errors import DataError, LockedError
from tauopt.ntuples.digests import check_unchanged
from tauopt.ntuples.source import STEP, BadFileError
from tauopt.prepare import reweight, sampled, sources
from tauopt.prepare.arrange import Arrangement, Shuffled, Sliced
from tauopt.prepare.blocks import Block, rechunk
from tauopt.prepare.candidates import label, make_block
from tauopt.prepare.constants import Constants
from tauopt.prepare.direct import seekable
from tauopt.prepare.missing import Means
from tauopt.prepare.plan import Plan, make_plan
from tauopt.prepare.reports import Reports
from tauopt.prepare.sources import InputFile
from tauopt.prepare.spectra import REPORT, spectra_of
from tauopt.prepare.spill import check_space
from tauopt.prepare.summary import write_constants
from tauopt.prepare.weights import NEGATIVE, treat_negative
from tauopt.progress import Progress, Silent

logger = logging.getLogger(__name__)


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
                work = _Work(dataset, plan, digest, step, progress)
                _prepare(work, known, folder)
    return folder


@dataclass(frozen=True)
class _Work:
    """What all stages of one preparation need."""

    dataset: Dataset
    plan: Plan
    digest: str
    step: int
    progress: Progress


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


def _prepare(work: _Work, files: Sequence[InputFile], folder: Path) -> None:
    for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):  # of a killed process
        shutil.rmtree(leftover, ignore_errors=True)
    if not any(file.entries for file in files):
        files = sources.with_entries(files)
    sources.check_bad_files(files, tolerated=work.dataset.bad_files)
    with durable.new_folder(folder) as temporary:
        arranged = _arrangement(work, files, temporary / "spill")
        collected = _scatter(work, files, arranged)
        arranged.flush()
        sources.check_bad_files(collected.files, tolerated=work.dataset.bad_files)
        manifest = _write(work, collected, arranged, temporary)
        arranged.remove()
        write_manifest(temporary, manifest)


def _arrangement(work: _Work, files: Sequence[InputFile], folder: Path) -> Arrangement:
    size = work.dataset.chunk_size
    if work.dataset.stream == "prepared":
        return Shuffled(folder, entries=sum(file.entries for file in files), chunk_size=size)
    if work.dataset.missing == "impute":
        raise DataError(
            "missing: impute does not go with stream: direct, which never holds all features; "
            "use drop, or stream: prepared"
        )
    seams = [_seams(file) for file in files]
    return Sliced(folder, files, seams=seams, chunk_size=size)


def _seams(file: InputFile) -> NDArray[np.int64]:
    """Return the entries at which it costs nothing to cut a file, if it can be read."""
    source = seekable(file.source, where=file.path)
    if file.problem or not file.entries:
        return np.empty(0, np.int64)
    return source.open(file.branches).seams


@dataclass
class _Collected:
    """What the first pass found, by file."""

    files: list[InputFile]
    counts: NDArray[np.int64]
    """(file, split, class) candidates."""
    negative: NDArray[np.int64]
    """(file, class) candidates of negative weight."""
    dropped: list[Counter[str]]
    imputed: list[Counter[str]]
    constants: dict[str, Constants]
    """Group -> constants, for what networks see of the training split."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which files were read whole, (file)."""
        return np.array([not file.problem for file in self.files])

    def total(self, what: Sequence[Counter[str]]) -> dict[str, int]:
        """Sum counts over the good files."""
        total: Counter[str] = Counter()
        for counts, good in zip(what, self.good, strict=True):
            total += counts if good else Counter()
        return dict(sorted(total.items()))


def _scatter(work: _Work, files: Sequence[InputFile], arranged: Arrangement) -> _Collected:
    """First pass: read every file once and scatter its candidates at random."""
    shape = (len(files), len(SPLITS), len(work.plan.classes))
    constants = {CANDIDATE: Constants(CANDIDATE, work.plan.candidate)}
    constants |= {group.name: Constants(group.name, group.features) for group in work.plan.groups}
    negative = np.zeros((shape[0], shape[-1]), np.int64)
    found = _Collected(list(files), np.zeros(shape, np.int64), negative, [], [], constants)
    total = sum(file.entries for file in files)
    work.progress.begin(f"reading {work.dataset.name}", total, "candidates")
    seen = 0
    for number, file in enumerate(files):
        found.dropped.append(Counter())
        found.imputed.append(Counter())
        if file.problem or not file.entries:
            continue
        try:
            for block, entries in _blocks(work, arranged, file, number, found):
                np.add.at(found.counts[number], (block.splits, block.labels), 1)
                if not arranged.copies("train"):
                    _update(constants, block.take(block.splits == SPLITS.index("train")))
                arranged.add(block)
                seen += entries
                spill = arranged.spill
                check_space(spill.folder, spill.bytes * (total - seen) / seen)
                work.progress.advance(entries)
        except BadFileError as error:
            if not arranged.copies("train"):  # its candidates are in the constants already
                raise
            found.files[number] = replace(file, problem=str(error))
            work.progress.say(f"left out: {error}")
        finally:
            if file.signature:
                check_unchanged(file.path, file.signature)
    return found


def _blocks(
    work: _Work, arranged: Arrangement, file: InputFile, number: int, found: _Collected
) -> Iterator[tuple[Block, int]]:
    """Yield the candidates of each step of a file, and how many entries it had."""
    seed = durable.sha256_json([work.digest, file.sample, file.sha256])
    rng = np.random.default_rng(int(seed, 16))
    start = 0
    for columns in file.source.iterate(file.branches, step=work.step):
        where = f"{file.path}, entries from {start}"
        labels = label(work.plan, columns, allowed=file.classes, where=where)
        entries = labels.entries
        block, dropped, imputed = make_block(
            work.plan,
            columns,
            labels,
            weight=file.weight,
            keys=arranged.keys(number, first=start, entries=entries, rng=rng),
            file=number,
            first=start,
            missing=work.dataset.missing,
            where=where,
        )
        policy, before = work.dataset.negative_weights, len(block)
        block, negative = treat_negative(block, policy, classes=len(work.plan.classes))
        dropped[NEGATIVE] += before - len(block)
        found.negative[number] += negative
        found.dropped[number] += labels.dropped + dropped
        found.imputed[number] += imputed
        yield block, entries
        start += entries


def _write(work: _Work, found: _Collected, arranged: Arrangement, folder: Path) -> Manifest:
    """Second pass: sort each bin, cut chunks, fit constants, write."""
    counts = found.counts[found.good].sum(axis=0)
    _check_splits(work.plan, counts)
    balance = reweight.balance(work.dataset, lambda: arranged.read("train", good=found.good))
    imputed = found.total(found.imputed)
    means = None
    if imputed:
        means = Means(work.plan).fit(arranged.read("train", good=found.good), needed=imputed)
    constants = found.constants
    sources_index = np.cumsum(found.good) - 1
    compared = work.dataset.stream == "prepared"
    reports = Reports(work.plan, found.files, bins=balance.bins, compared=compared)
    spectra = spectra_of(work.dataset)
    work.progress.begin(f"writing {work.dataset.name}", int(counts.sum()), "candidates")
    chunks: dict[SplitName, list[ChunkInfo]] = {split: [] for split in SPLITS}
    for index, split in enumerate(SPLITS):
        sizes = arranged.sizes(split, candidates=int(counts[index].sum()))
        reports.begin(split, chunks=len(sizes))
        stream = arranged.read(split, good=found.good, delete=True)
        for number, block in enumerate(rechunk(stream, sizes)):
            raw, block = block, balance.apply(block)
            if split == "train":
                for axis, one in enumerate(spectra):
                    values, weights = raw.spectrum[:, axis], raw.weights
                    one.add(values, raw.labels, before=weights, after=block.weights)
            block = means.fill(block) if means else block
            copied = arranged.copies(split)
            if split == "train" and copied:
                _update(constants, block)
            places = None if copied else (sources_index[block.files], block.entries)
            name, classes = chunk_name(split, number), [*work.plan.classes]
            chunks[split].append(_write_chunk(folder, name, block, classes=classes, places=places))
            reports.add(name, block, weights=raw.weights)
            work.progress.advance(len(block))
    written = reports.write(folder, name=work.dataset.name)
    written |= write_constants(folder, constants.values())
    if spectra:
        written[REPORT] = write_report(folder, REPORT, [one.plain() for one in spectra])
    return _manifest(work, found, chunks, reports=written)


def _update(constants: dict[str, Constants], block: Block) -> None:
    numbers = sampled.numbers(block.event_numbers, block.entries)
    constants[CANDIDATE].update(block.candidate, numbers)
    for name, (values, offsets) in block.groups.items():
        constants[name].update(values, np.repeat(numbers, np.diff(offsets)))


def _write_chunk(
    folder: Path,
    name: str,
    block: Block,
    *,
    classes: Sequence[str],
    places: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
) -> ChunkInfo:
    """Write a chunk, without features where it tells `places` in the source files."""
    return write_chunk(
        folder,
        name,
        classes=classes,
        labels=block.labels,
        weights=block.weights,
        event_numbers=block.event_numbers,
        spectators=block.spectators,
        candidate=None if places else block.candidate,
        groups=None if places else block.groups,
        places=places,
    )


def _check_splits(plan: Plan, counts: NDArray[np.int64]) -> None:
    """Check that every split can be learned from or judged on.

    Raises:
        DataError: a split is empty or holds one class only.
    """
    classes = list(plan.classes)
    for index, split in enumerate(SPLITS):
        held = [name for name, n in zip(classes, counts[index], strict=True) if n]
        if len(held) < 2:
            what = f"only candidates of class {held[0]!r}" if held else "no candidate"
            raise DataError(
                f"the {split} split ({plan.splits[split].text!r}) holds {what}; expected "
                f"two or more of {', '.join(classes)}: look at the split, the selection and "
                "the classes of the samples"
            )
        if split == "train" and len(held) < len(classes):
            absent = [name for name in classes if name not in held]
            logger.warning("the training split holds no candidate of %s", ", ".join(absent))


def _manifest(
    work: _Work,
    found: _Collected,
    chunks: dict[SplitName, list[ChunkInfo]],
    *,
    reports: dict[str, ChunkFile],
) -> Manifest:
    classes, constants = tuple(work.plan.classes), found.constants
    return Manifest(
        name=work.dataset.name,
        digest=work.digest,
        classes=classes,
        splits={split: split_info(chunks[split], classes=classes) for split in SPLITS},
        candidate=constants[CANDIDATE].fitted(),
        groups=tuple(constants[group.name].fitted() for group in work.plan.groups),
        spectators=tuple(work.plan.spectators),
        sources=tuple(
            Source(
                sample=file.sample,
                path=str(file.path),
                entries=file.entries,
                bytes=file.signature.bytes if file.signature else 0,
                sha256=file.sha256,
            )
            for file in found.files
            if not file.problem
        ),
        dropped=found.total(found.dropped),
        imputed=found.total(found.imputed),
        negative_weights=dict(
            zip(classes, found.negative[found.good].sum(axis=0).tolist(), strict=True)
        ),
        bad_files=tuple(file.problem for file in found.files if file.problem),
        reports=reports,
        settings=work.dataset.model_dump(mode="json"),
    )
