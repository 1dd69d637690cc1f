"""First pass: read every file once, and keep what is taken from it as an extract."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tauopt import durable
from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.manifest import SPLITS
from tauopt.ntuples.input_digests import check_unchanged
from tauopt.ntuples.input_globs import Signature, signature
from tauopt.ntuples.source import BadFileError, Source
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.constants import fit, no_constants
from tauopt.prepare.dataset_expressions import DatasetExpressions, make_plan, read
from tauopt.prepare.disk_space import check_space
from tauopt.prepare.extract import ExtractCounts, open_extract, write_extract
from tauopt.prepare.folder_writer import one_writer
from tauopt.prepare.label_candidates import label, make_block
from tauopt.prepare.left_out import MISSING, NEGATIVE, lost
from tauopt.prepare.negative_weights import treat_negative
from tauopt.prepare.out_of_core_shuffle import COPIED
from tauopt.prepare.spill_files import SpillWriter


@dataclass(frozen=True)
class FirstPassTask:
    """One file to be read; travels by pickle, so it holds no parsed expressions."""

    number: int
    """Of the file among those of the dataset."""
    dataset: Dataset
    sample: str
    source: Source
    sha256: str
    signature: Signature
    entries: int
    jagged: dict[str, bool]
    folder: Path
    """Of the extract."""
    step: int
    """Entries read at a time."""


@dataclass(frozen=True)
class FirstPassResult:
    """What became of a task; the extract itself is on the disk."""

    number: int
    problem: str = ""
    """Why the file can't be read; empty if it was."""
    absent: bool = False
    """The file is not there, or is another one, on this node of a cluster or by now."""


def ignore(entries: int) -> None:
    """Let nobody know of entries that were read."""


def make_extract(task: FirstPassTask, advance: Callable[[int], None] = ignore) -> FirstPassResult:
    """Read one file and write its extract, or find it written.

    Args:
        task: the file.
        advance: is told of entries as they are read.
    Raises:
        DataError: the file is not what the dataset says, or changes while it is read.
        ServiceError: the disk is too small.
    """
    folder = task.folder
    lock = folder.with_name(f".{folder.name}.lock")
    with one_writer(folder, lock=lock, what=f"the extract of {task.source.path}"):
        there = folder.exists()
        if open_extract(folder):
            advance(task.entries)
            return FirstPassResult(task.number)
        before = _signature(task)
        if before is None:
            return FirstPassResult(task.number, absent=True)
        if there:  # damaged; one that appears from now on is whole
            shutil.rmtree(folder)
        try:
            with durable.new_folder(folder) as temporary:
                _extract(task, temporary, advance, before=before)
        except BadFileError as error:
            return FirstPassResult(task.number, str(error))
    return FirstPassResult(task.number)


def _extract(
    task: FirstPassTask, folder: Path, advance: Callable[[int], None], *, before: Signature
) -> None:
    plan, path = make_plan(task.dataset), task.source.path
    direct = task.dataset.stream == "direct"
    counted, constants = ExtractCounts(len(plan.classes)), no_constants(plan)
    copied, light = SpillWriter(folder, "copied"), SpillWriter(folder, "light")
    seen = 0
    try:
        for block, entries in read_blocks(task, plan, counted):
            np.add.at(counted.counts, (block.splits, block.labels), 1)
            if direct:
                fit(constants, block.take(block.splits == SPLITS.index("train")))
                kept = block.splits == SPLITS.index(COPIED)
                light.add(block.take(~kept).without_features())
                block = block.take(kept)
            copied.add(block)
            seen += entries
            check_space(folder, copied.bytes * (task.entries - seen) / seen)
            advance(entries)
    finally:
        check_unchanged(path, before)
    copied.close()
    light.close()
    write_extract(
        folder,
        counted,
        [*copied.parts, *light.parts],
        entries=task.entries,
        jagged=task.jagged,
        constants=constants if direct else None,
    )


def _signature(task: FirstPassTask) -> Signature | None:
    """Look at the file, which may be another copy of it on this node; None if it is not it."""
    try:
        now = signature(task.source.path)
        same = now == task.signature or durable.sha256_file(task.source.path) == task.sha256
    except FileNotFoundError:
        return None
    return now if same else None


def read_blocks(
    task: FirstPassTask, plan: DatasetExpressions, counted: ExtractCounts
) -> Iterator[tuple[Block, int]]:
    """Yield the candidates of each step of a file, and how many entries it had.

    They come in the order of a part: by split and key. Keys are random, one draw an entry, the
    same whatever the step and the other files; for direct streaming they are the entries.
    """
    dataset, path = task.dataset, task.source.path
    sample = dataset.samples[task.sample]
    weight = read(sample.weight, f"samples.{task.sample}.weight")
    seed = durable.sha256_json([task.sample, task.sha256])
    rng, start = np.random.default_rng(int(seed, 16)), 0
    for columns in task.source.iterate(plan.branches(weight), step=task.step):
        where = f"{path}, entries from {start}"
        labels = label(plan, columns, allowed=sample.classes, where=where)
        keys = np.arange(start, start + labels.entries, dtype=np.uint64)
        if dataset.stream == "prepared":
            keys = rng.integers(0, 2**64, size=labels.entries, dtype=np.uint64)
        labels = labels.take(np.lexsort((keys[labels.rows], labels.splits)))
        block, dropped, imputed = make_block(
            plan,
            columns,
            labels,
            weight=weight,
            keys=keys,
            file=task.number,
            first=start,
            missing=dataset.missing,
            where=where,
        )
        policy, before, classes = dataset.negative_weights, block.labels, tuple(plan.classes)
        block, negative = treat_negative(block, policy, classes=len(classes))
        dropped[NEGATIVE] += len(before) - len(block)
        counted.negative += negative
        counted.dropped += labels.dropped + dropped
        counted.causes += labels.causes + lost(MISSING, labels.labels, before, classes=classes)
        counted.causes += lost(NEGATIVE, before, block.labels, classes=classes)
        counted.imputed += imputed
        yield block, labels.entries
        start += labels.entries
