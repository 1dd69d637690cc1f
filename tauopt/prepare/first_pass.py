"""First pass: read every file once, scatter its candidates, count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tauopt import durable
from tauopt.config.dataset import Dataset
from tauopt.dataset.manifest import SPLITS
from tauopt.ntuples.digests import check_unchanged
from tauopt.ntuples.source import BadFileError
from tauopt.prepare.arrange import Arrangement
from tauopt.prepare.blocks import Block
from tauopt.prepare.candidates import label, make_block
from tauopt.prepare.constants import Constants, fit, no_constants
from tauopt.prepare.plan import Plan
from tauopt.prepare.sources import InputFile
from tauopt.prepare.spill import check_space
from tauopt.prepare.weights import NEGATIVE, treat_negative
from tauopt.progress import Progress


@dataclass(frozen=True)
class Work:
    """What all stages of one preparation need."""

    dataset: Dataset
    plan: Plan
    digest: str
    step: int
    progress: Progress


@dataclass
class Collected:
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


def scatter(work: Work, files: Sequence[InputFile], arranged: Arrangement) -> Collected:
    """First pass: read every file once and scatter its candidates at random."""
    shape = (len(files), len(SPLITS), len(work.plan.classes))
    constants = no_constants(work.plan)
    negative = np.zeros((shape[0], shape[-1]), np.int64)
    found = Collected(list(files), np.zeros(shape, np.int64), negative, [], [], constants)
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
                    fit(constants, block.take(block.splits == SPLITS.index("train")))
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
    work: Work, arranged: Arrangement, file: InputFile, number: int, found: Collected
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
