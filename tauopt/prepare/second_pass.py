"""Second pass: read the candidates in their final order, balance, cut chunks, write."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE
from tauopt.dataset.chunk_writer import chunk_name, write_chunk, write_report
from tauopt.dataset.manifest import (
    SPLITS,
    ChunkFile,
    ChunkInfo,
    Manifest,
    Resampled,
    SourceFile,
    SplitName,
    split_info,
)
from tauopt.errors import DataError
from tauopt.prepare import left_out, resample
from tauopt.prepare.candidate_blocks import Block, rechunk
from tauopt.prepare.chunk_reports import ChunkReports
from tauopt.prepare.collect_extracts import CollectedExtracts, PreparationWork
from tauopt.prepare.constants import Constants, fit
from tauopt.prepare.dataset_expressions import DatasetExpressions
from tauopt.prepare.feature_warnings import doubts
from tauopt.prepare.missing import TrainingMeans
from tauopt.prepare.out_of_core_shuffle import Arrangement
from tauopt.prepare.resample import ResamplingDraws
from tauopt.prepare.resample_draws import arrange_draws, count_draws
from tauopt.prepare.reweight import Balance
from tauopt.prepare.spectra import REPORT, Spectra, spectra_of
from tauopt.prepare.training_summary import write_constants

logger = logging.getLogger(__name__)

DRAWN = "drawn"
"""Folder of training candidates that were drawn twice or more, while chunks are written."""


def write(
    work: PreparationWork, found: CollectedExtracts, arranged: Arrangement, folder: Path
) -> Manifest:
    """Balance, cut and write all chunks and reports, and fit what is fitted on training chunks.

    Args:
        work: what is prepared.
        found: of the first pass; its constants are fitted here where train is copied.
        arranged: the candidates of the first pass.
        folder: of the new dataset, without a manifest.
    Raises:
        DataError: a split can't be learned from, the balance can't be reached, or chunks are no
            random samples of their splits.
    """
    _check_splits(work.plan, found)
    writing = _Writing.begin(work, found, arranged)
    train, resampled = writing.training(work, found, arranged, folder / DRAWN)
    sizes = {split: (train if split == "train" else arranged).sizes(split) for split in SPLITS}
    total = sum(map(sum, sizes.values()))
    work.progress.begin(f"writing {work.dataset.name}", total, "candidates")
    chunks: dict[SplitName, list[ChunkInfo]] = {}
    for split in SPLITS:
        stream = (train if split == "train" else arranged).read(split)
        writing.reports.begin(split, chunks=len(sizes[split]))
        writer = writing.copy if arranged.copies(split) else writing.refer
        chunks[split] = []
        for number, block in enumerate(rechunk(stream, sizes[split])):
            chunks[split].append(writer(folder, split, number, block))
            work.progress.advance(len(block))
            del block  # before the next one is read
    shutil.rmtree(folder / DRAWN, ignore_errors=True)
    reports = writing.finish(folder, name=work.dataset.name)
    if work.dataset.split.folds is None:
        _warn_of_negative_numbers(writing.negative)
    return _manifest(work, found, chunks, reports=reports, resampled=resampled)


@dataclass(frozen=True)
class _Writing:
    """What is done to every chunk on its way to the disk."""

    classes: tuple[str, ...]
    balance: Balance
    draw: ResamplingDraws | None
    means: TrainingMeans | None
    constants: dict[str, Constants]
    reports: ChunkReports
    spectra: list[Spectra]
    sources: NDArray[np.int64]
    """(file) its index among the manifest's sources."""
    negative: Counter[SplitName] = field(default_factory=Counter)
    """Split -> candidates of negative event number."""

    @classmethod
    def begin(
        cls, work: PreparationWork, found: CollectedExtracts, arranged: Arrangement
    ) -> _Writing:
        """Fit what is fitted before the first chunk is written."""
        light = partial(arranged.read, "train", features=False)
        (balance, draw), imputed = resample.balance(work.dataset, light), found.counted.imputed
        means = (
            TrainingMeans(work.plan).fit(arranged.read("train"), needed=imputed)
            if imputed
            else None
        )
        compared = work.dataset.stream == "prepared"
        return cls(
            classes=tuple(work.plan.classes),
            balance=balance,
            draw=draw,
            means=means,
            constants=found.constants,
            reports=ChunkReports(work.plan, found.files, bins=balance.bins, compared=compared),
            spectra=spectra_of(work.dataset),
            sources=np.cumsum([not file.problem for file in found.files]) - 1,
        )

    def training(
        self, work: PreparationWork, found: CollectedExtracts, arranged: Arrangement, folder: Path
    ) -> tuple[Arrangement, Resampled | None]:
        """Draw the training candidates, if they are to be drawn, in a new folder."""
        if self.draw is None:
            return arranged, None
        work.progress.begin(f"drawing {work.dataset.name}", self.draw.candidates, "candidates")

        def told(raw: Block, weights: NDArray[np.float64], times: NDArray[np.int64]) -> None:
            self._count("train", raw, weights, times)
            work.progress.advance(len(raw))

        counted = count_draws(arranged.read("train", features=False), self.draw, told=told)
        parts = {number: extract.parts for number, extract in found.extracts.items()}
        size = work.dataset.chunk_size
        return arrange_draws(
            arranged, parts, self.draw, told=counted, folder=folder, chunk_size=size
        ), counted

    def copy(self, folder: Path, split: SplitName, number: int, raw: Block) -> ChunkInfo:
        """Write a chunk with its features."""
        block = self._balanced(split, raw)
        block = self.means.fill(block) if self.means else block
        if split == "train":
            fit(self.constants, block)
        name = chunk_name(split, number)
        return self._write(folder, name, block, candidate=block.candidate, groups=block.groups)

    def refer(self, folder: Path, split: SplitName, number: int, raw: Block) -> ChunkInfo:
        """Write a chunk that says where in the source files its features are."""
        block = self._balanced(split, raw)
        places = self.sources[block.files], block.entries
        return self._write(folder, chunk_name(split, number), block, places=places)

    def _balanced(self, split: SplitName, raw: Block) -> Block:
        if split == "train" and self.draw is not None:  # weighed and counted when it was drawn
            return raw
        block = self.balance.apply(raw)
        self._count(split, raw, block.weights)
        return block

    def _count(
        self,
        split: SplitName,
        raw: Block,
        weights: NDArray[np.float64],
        times: NDArray[np.int64] | None = None,
    ) -> None:
        final = raw.with_weights(weights)
        self.reports.count(split, final, weights=raw.weights, times=times)
        self.negative[split] += int((raw.event_numbers < 0).sum())
        if split == "train":
            for axis, one in enumerate(self.spectra):
                values = raw.spectrum[:, axis]
                one.add(values, raw.labels, before=raw.weights, after=weights)

    def _write(self, folder: Path, name: str, block: Block, **features: Any) -> ChunkInfo:
        self.reports.compare(name, block)
        return write_chunk(
            folder,
            name,
            classes=self.classes,
            labels=block.labels,
            weights=block.weights,
            event_numbers=block.event_numbers,
            spectators=block.spectators,
            **features,
        )

    def finish(self, folder: Path, *, name: str) -> dict[str, ChunkFile]:
        """Write reports and constants, and warn of features; returns entries of the manifest."""
        written = self.reports.write(folder, name=name)
        summaries = {group: one.summaries() for group, one in self.constants.items()}
        written |= write_constants(folder, summaries)
        if self.spectra:
            written[REPORT] = write_report(folder, REPORT, [one.plain() for one in self.spectra])
        for doubt in doubts(self.constants, summaries, classes=self.classes):
            logger.warning("%s", doubt)
        return written


_FEW = 10
"""Candidates of negative event number that may be in one split by chance."""


def _warn_of_negative_numbers(negative: Mapping[SplitName, int]) -> None:
    """Warn if all candidates of negative event number went into one split."""
    holding = [split for split, count in negative.items() if count]
    if len(holding) == 1 and negative[holding[0]] > _FEW:
        logger.warning(
            "all %d candidates of negative event number are in the %s split: %% keeps the sign, "
            "as in C++ (-7 %% 10 is -7); write abs(event_number) %% 10 in `split`, or give "
            "`folds` there; if numbers ran over, look at the branch",
            negative[holding[0]],
            holding[0],
        )


def _check_splits(plan: DatasetExpressions, found: CollectedExtracts) -> None:
    """Check that every split can be learned from or judged on.

    Raises:
        DataError: a split is empty or holds one class only.
    """
    classes, counts = list(plan.classes), found.counted.counts
    for index, split in enumerate(SPLITS):
        held = [name for name, n in zip(classes, counts[index], strict=True) if n]
        if len(held) < 2:
            why = "".join(f"\nleft out of {line}" for line in left_out.lines(found.left_out))
            what = f"only candidates of class {held[0]!r}" if held else "no candidate"
            raise DataError(
                f"the {split} split ({plan.splits[split].text!r}) holds {what}; expected "
                f"two or more of {', '.join(classes)}: look at the split, the selection and "
                f"the classes of the samples{why}"
            )
        if split == "train" and len(held) < len(classes):
            absent = [name for name in classes if name not in held]
            logger.warning("the training split holds no candidate of %s", ", ".join(absent))


def _manifest(
    work: PreparationWork,
    found: CollectedExtracts,
    chunks: dict[SplitName, list[ChunkInfo]],
    *,
    reports: dict[str, ChunkFile],
    resampled: Resampled | None,
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
            SourceFile(
                sample=file.sample,
                path=str(file.path),
                entries=file.entries,
                bytes=file.signature.bytes if file.signature else 0,
                sha256=file.sha256,
            )
            for file in found.files
            if not file.problem
        ),
        dropped=dict(sorted(found.counted.dropped.items())),
        left_out=found.left_out,
        imputed=dict(sorted(found.counted.imputed.items())),
        negative_weights=dict(zip(classes, found.counted.negative.tolist(), strict=True)),
        resampled=resampled,
        bad_files=tuple(file.problem for file in found.files if file.problem),
        reports=reports,
        settings=work.dataset.model_dump(mode="json"),
    )
