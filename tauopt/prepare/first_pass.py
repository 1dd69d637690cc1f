"""First pass: read one input file once, and write its candidates into an extract."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tauopt import durable
from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.manifest import SPLITS
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.input_digests import check_unchanged
from tauopt.ntuples.input_globs import Signature, signature
from tauopt.ntuples.source import Source
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.constants import empty_constants, fit
from tauopt.prepare.dataset_expressions import DatasetExpressions, make_plan, parse_expression
from tauopt.prepare.extract import ExtractCounts, open_extract, write_extract
from tauopt.prepare.folder_writer import check_space, one_writer
from tauopt.prepare.input_files import InputFile
from tauopt.prepare.label_candidates import label, make_block
from tauopt.prepare.left_out import MISSING, NEGATIVE, lost
from tauopt.prepare.out_of_core_shuffle import COPIED
from tauopt.prepare.spill_files import SpillWriter


@dataclass(frozen=True)
class FirstPassTask:
    """One file to be read; travels by pickle, so it holds no parsed expressions."""

    number: int
    """Number of the file among those of the dataset."""
    dataset: Dataset
    sample: str
    source: Source
    sha256: str
    signature: Signature
    entries: int
    jagged: dict[str, bool]
    folder: Path
    """Folder of the extract."""
    step: int
    """Entries read at a time."""

    @classmethod
    def of_file(
        cls, number: int, file: InputFile, dataset: Dataset, *, folder: Path, step: int
    ) -> FirstPassTask:
        """Return the task that reads an input file; the file must have a digest."""
        if file.signature is None:
            raise RuntimeError(f"{file.path}: expected a digest before the file is read, got none")
        return cls(
            number=number,
            dataset=dataset,
            sample=file.sample,
            source=file.source,
            sha256=file.sha256,
            signature=file.signature,
            entries=file.entries,
            jagged=dict(file.jagged),
            folder=folder,
            step=step,
        )


@dataclass(frozen=True)
class FirstPassResult:
    """The outcome of a task; the extract itself is on the disk."""

    number: int
    problem: str = ""
    """Why the file can't be read; empty if it was."""
    absent: bool = False
    """This node of a cluster has no such file, or another one; or the file changed meanwhile."""


def no_progress(entries: int) -> None:
    """Take the number of entries that were read, and do nothing."""


def make_extract(
    task: FirstPassTask, advance: Callable[[int], None] = no_progress
) -> FirstPassResult:
    """Read one file and write its extract; do nothing if the extract exists.

    Args:
        task: the file.
        advance: called with the number of entries after each step of reading.
    Raises:
        DataError: the file does not fit the dataset file, or changes while it is read.
        ServiceError: the disk is too small.
    """
    folder = task.folder
    lock = folder.with_name(f".{folder.name}.lock")
    with one_writer(folder, lock=lock, what=f"the extract of {task.source.path}"):
        # Looked at before the extract is opened: without locks another node may make it meanwhile,
        # and a folder that appears from now on is whole.
        existed = folder.exists()
        if open_extract(folder):
            advance(task.entries)
            return FirstPassResult(task.number)
        before = _signature(task)
        if before is None:
            return FirstPassResult(task.number, absent=True)
        if existed:  # damaged
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
    counted, constants = ExtractCounts(len(plan.classes)), empty_constants(plan)
    # `light` takes the candidates whose features stay in the source file.
    copied, light = SpillWriter(folder, "copied"), SpillWriter(folder, "light")
    entries_read = 0
    try:
        for block, entries in read_blocks(task, plan, counted):
            np.add.at(counted.counts, (block.splits, block.labels), 1)
            if direct:
                fit(constants, block.take(block.splits == SPLITS.index("train")))
                is_copied = block.splits == SPLITS.index(COPIED)
                light.add(block.take(~is_copied).without_features())
                block = block.take(is_copied)
            copied.add(block)
            entries_read += entries
            check_space(folder, copied.bytes * (task.entries - entries_read) / entries_read)
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
    """Return the signature of the file on this node, where it may be a copy with the same content.

    None if there is no such file here, or if its content is another.
    """
    try:
        now = signature(task.source.path)
        same = now == task.signature or durable.sha256_file(task.source.path) == task.sha256
    except FileNotFoundError:
        return None
    return now if same else None


def read_blocks(
    task: FirstPassTask, plan: DatasetExpressions, counted: ExtractCounts
) -> Iterator[tuple[Block, int]]:
    """Yield the candidates of each step of a file, and the number of entries in that step.

    Candidates are sorted by split and key, as in a `SpillFile`. Keys are random, one draw an entry,
    the same whatever the step and the other files; for direct streaming a key is the entry.
    """
    dataset, path = task.dataset, task.source.path
    sample = dataset.samples[task.sample]
    weight = parse_expression(sample.weight, f"samples.{task.sample}.weight")
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
        block, negative = _treat_negative_weights(block, policy, classes=len(classes))
        dropped[NEGATIVE] += len(before) - len(block)
        counted.negative += negative
        counted.dropped += labels.dropped + dropped
        counted.causes += labels.causes + lost(MISSING, labels.labels, before, classes=classes)
        counted.causes += lost(NEGATIVE, before, block.labels, classes=classes)
        counted.imputed += imputed
        yield block, labels.entries
        start += labels.entries


def _treat_negative_weights(
    block: Block, policy: Literal["keep", "drop", "absolute"], *, classes: int
) -> tuple[Block, NDArray[np.int64]]:
    """Drop candidates of negative weight, or take weights without their sign, as the policy says.

    Returns:
        the candidates; (class) how many had a negative weight.
    """
    negative = block.weights < 0
    counts = np.bincount(block.labels[negative], minlength=classes)
    if policy == "drop":
        return block.take(~negative), counts
    if policy == "absolute":
        return block.with_weights(np.abs(block.weights)), counts
    return block, counts
