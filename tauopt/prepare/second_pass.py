"""Second pass: read the candidates in their final order, balance them, and write chunks."""

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
from tauopt.prepare.feature_warnings import feature_warnings
from tauopt.prepare.missing import TrainingMeans
from tauopt.prepare.out_of_core_shuffle import Arrangement
from tauopt.prepare.resample import ResamplingDraws
from tauopt.prepare.resample_draws import arrange_draws, count_draws
from tauopt.prepare.reweight import Balance
from tauopt.prepare.spectra import REPORT, Spectra, spectra_of
from tauopt.prepare.training_summary import write_constants

logger = logging.getLogger(__name__)

DRAWN = "drawn"
"""Temporary folder of the drawn training candidates, if any is drawn twice."""


def write(
    work: PreparationWork, collected: CollectedExtracts, arranged: Arrangement, folder: Path
) -> Manifest:
    """Write all chunks and reports, and fit balance and constants on the training split.

    Args:
        work: settings and resources of the preparation.
        collected: result of the first pass; its constants are fitted here where train is copied.
        arranged: the candidates of the first pass in their final order.
        folder: of the new dataset, without a manifest.
    Returns:
        the manifest, still to be written.
    Raises:
        DataError: a split is empty or has one class, the balance can't be reached, or chunks are no
            random samples of their splits.
    """
    _check_splits(work.plan, collected)
    writing = _Writing.begin(work, collected, arranged)
    train, resampled = writing.training(work, collected, arranged, folder / DRAWN)
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
            del block  # frees the memory before the next block is read
    shutil.rmtree(folder / DRAWN, ignore_errors=True)
    reports = writing.finish(folder, name=work.dataset.name)
    if work.dataset.split.folds is None:
        _warn_of_negative_numbers(writing.negative)
    return _manifest(work, collected, chunks, reports=reports, resampled=resampled)


@dataclass(frozen=True)
class _Writing:
    """Balance, imputation, constants and reports that are applied to every chunk."""

    classes: tuple[str, ...]
    balance: Balance
    draws: ResamplingDraws | None
    """How often training candidates are drawn; None without resampling."""
    means: TrainingMeans | None
    """Training means to impute; None where no value is missing."""
    constants: dict[str, Constants]
    reports: ChunkReports
    spectra: list[Spectra]
    sources: NDArray[np.int64]
    """(file) its index among the manifest's sources."""
    negative: Counter[SplitName] = field(default_factory=Counter)
    """Split -> candidates of negative event number."""

    @classmethod
    def begin(
        cls, work: PreparationWork, collected: CollectedExtracts, arranged: Arrangement
    ) -> _Writing:
        """Fit balance, draws and means, which the first chunk needs."""
        light = partial(arranged.read, "train", features=False)
        balance, draws = resample.balance(work.dataset, light)
        imputed = collected.counted.imputed
        means = (
            TrainingMeans(work.plan).fit(arranged.read("train"), needed=imputed)
            if imputed
            else None
        )
        compared = work.dataset.stream == "prepared"
        return cls(
            classes=tuple(work.plan.classes),
            balance=balance,
            draws=draws,
            means=means,
            constants=collected.constants,
            reports=ChunkReports(work.plan, collected.files, bins=balance.bins, compared=compared),
            spectra=spectra_of(work.dataset),
            sources=np.cumsum([not file.problem for file in collected.files]) - 1,
        )

    def training(
        self,
        work: PreparationWork,
        collected: CollectedExtracts,
        arranged: Arrangement,
        folder: Path,
    ) -> tuple[Arrangement, Resampled | None]:
        """Resample the training candidates, if the dataset says so, in a new folder."""
        if self.draws is None:
            return arranged, None
        work.progress.begin(f"drawing {work.dataset.name}", self.draws.candidates, "candidates")

        def count_block(raw: Block, weights: NDArray[np.float64], times: NDArray[np.int64]) -> None:
            self._count("train", raw, weights, times)
            work.progress.advance(len(raw))

        blocks = arranged.read("train", features=False)
        counts = count_draws(blocks, self.draws, count_block=count_block)
        parts = {number: extract.parts for number, extract in collected.extracts.items()}
        size = work.dataset.chunk_size
        drawn = arrange_draws(
            arranged, parts, self.draws, counts=counts, folder=folder, chunk_size=size
        )
        return drawn, counts

    def copy(self, folder: Path, split: SplitName, number: int, raw: Block) -> ChunkInfo:
        """Write a chunk with its features."""
        block = self._balanced(split, raw)
        block = self.means.fill(block) if self.means else block
        if split == "train":
            fit(self.constants, block)
        name = chunk_name(split, number)
        return self._write(folder, name, block, candidate=block.candidate, groups=block.groups)

    def refer(self, folder: Path, split: SplitName, number: int, raw: Block) -> ChunkInfo:
        """Write a chunk that refers to the source files, file and entry, instead of features."""
        block = self._balanced(split, raw)
        places = self.sources[block.files], block.entries
        return self._write(folder, chunk_name(split, number), block, places=places)

    def _balanced(self, split: SplitName, raw: Block) -> Block:
        if split == "train" and self.draws is not None:  # weighed and counted when it was drawn
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
            for axis, spectra in enumerate(self.spectra):
                values = raw.spectrum[:, axis]
                spectra.add(values, raw.labels, before=raw.weights, after=weights)

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
        """Write reports and constants, log feature warnings; return the entries of the manifest."""
        written = self.reports.write(folder, name=name)
        summaries = {name: group.summaries() for name, group in self.constants.items()}
        written |= write_constants(folder, summaries)
        if self.spectra:
            content = [spectra.plain() for spectra in self.spectra]
            written[REPORT] = write_report(folder, REPORT, content)
        for warning in feature_warnings(self.constants, summaries, classes=self.classes):
            logger.warning("%s", warning)
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
            "`folds` there; if event numbers overflowed, look at the branch",
            negative[holding[0]],
            holding[0],
        )


def _check_splits(plan: DatasetExpressions, collected: CollectedExtracts) -> None:
    """Check that every split can be used to train or to evaluate.

    Raises:
        DataError: a split is empty or holds one class only.
    """
    classes, counts = list(plan.classes), collected.counted.counts
    for index, split in enumerate(SPLITS):
        held = [name for name, n in zip(classes, counts[index], strict=True) if n]
        if len(held) < 2:
            why = "".join(f"\nleft out of {line}" for line in left_out.lines(collected.left_out))
            content = f"only candidates of class {held[0]!r}" if held else "no candidate"
            raise DataError(
                f"the {split} split ({plan.splits[split].text!r}) holds {content}; expected "
                f"two or more of {', '.join(classes)}: look at the split, the selection and "
                f"the classes of the samples{why}"
            )
        if split == "train" and len(held) < len(classes):
            absent = [name for name in classes if name not in held]
            logger.warning("the training split holds no candidate of %s", ", ".join(absent))


def _manifest(
    work: PreparationWork,
    collected: CollectedExtracts,
    chunks: dict[SplitName, list[ChunkInfo]],
    *,
    reports: dict[str, ChunkFile],
    resampled: Resampled | None,
) -> Manifest:
    classes, constants = tuple(work.plan.classes), collected.constants
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
            for file in collected.files
            if not file.problem
        ),
        dropped=dict(sorted(collected.counted.dropped.items())),
        left_out=collected.left_out,
        imputed=dict(sorted(collected.counted.imputed.items())),
        negative_weights=dict(zip(classes, collected.counted.negative.tolist(), strict=True)),
        resampled=resampled,
        bad_files=tuple(file.problem for file in collected.files if file.problem),
        reports=reports,
        settings=work.dataset.model_dump(mode="json"),
    )
