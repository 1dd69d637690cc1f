"""The files of a simulated sample, and the parameters that determine the content of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tauopt.config.settings.dataset import Simulation

VERSION = 2
"""Version of the simulation; raised when the same settings give another sample."""
CANDIDATES_A_FILE = 6000
"""Largest number of candidates in a file."""
EVENTS_A_FILE = 1_000_000
"""Event numbers of file n begin at n * EVENTS_A_FILE + 1."""


@dataclass(frozen=True)
class Slice:
    """A slice of the hard process.

    Attributes:
        name: first part of the names of its files.
        process: hard process.
        low: lower bound of the mass of gamma*/Z, or of pT-hat of dijets, in GeV.
        high: upper bound of it, in GeV.
        share: fraction of the process's candidates.
    """

    name: str
    process: Literal["gammatautau", "dijet"]
    low: float
    high: float
    share: float


TAU_SLICES = (
    Slice("gammatautau_z", "gammatautau", 60.0, 120.0, 0.42),
    Slice("gammatautau_m120", "gammatautau", 120.0, 200.0, 0.26),
    Slice("gammatautau_m200", "gammatautau", 200.0, 350.0, 0.18),
    Slice("gammatautau_m350", "gammatautau", 350.0, 600.0, 0.09),
    Slice("gammatautau_m600", "gammatautau", 600.0, 1000.0, 0.05),
)
JET_SLICES = (
    Slice("dijet_jz1", "dijet", 25.0, 40.0, 0.30),
    Slice("dijet_jz2", "dijet", 40.0, 70.0, 0.33),
    Slice("dijet_jz3", "dijet", 70.0, 130.0, 0.21),
    Slice("dijet_jz4", "dijet", 130.0, 260.0, 0.11),
    Slice("dijet_jz5", "dijet", 260.0, 600.0, 0.05),
)


@dataclass(frozen=True)
class FilePlan:
    """Plan of one file of a sample; the file's content depends on nothing else.

    Attributes:
        name: file name.
        number: number of the file in the sample, from 0.
        slice: slice of the hard process.
        candidates: number of candidates that pass the selection of the tau identification.
        files_in_slice: number of files of the same slice.
        seed: seed of the sample.
        pileup: mean number of interactions an event.
        tau_decays: Pythia's `TauDecays:mode`.
    """

    name: str
    number: int
    slice: Slice
    candidates: int
    files_in_slice: int
    seed: int
    pileup: float
    tau_decays: int

    def seeds(self) -> tuple[int, int, np.random.Generator]:
        """Return two seeds for Pythia and a generator, independent of those of other files."""
        sequence = np.random.SeedSequence([self.seed, self.number])
        first, second = (int(word) % 900_000_000 + 1 for word in sequence.generate_state(2))
        return first, second, np.random.default_rng(sequence.spawn(1)[0])


def plan_files(settings: Simulation) -> tuple[FilePlan, ...]:
    """Plan the files of a sample, taus first."""
    files: list[FilePlan] = []
    for slices, candidates in ((TAU_SLICES, settings.taus), (JET_SLICES, settings.jets)):
        slice_counts = divide(candidates, [slice_.share for slice_ in slices])
        for slice_, slice_count in zip(slices, slice_counts, strict=True):
            n_files = -(-slice_count // CANDIDATES_A_FILE)  # rounded up
            counts = divide(slice_count, [1.0] * n_files)
            for i, count in enumerate(counts):
                files.append(
                    FilePlan(
                        name=f"{slice_.name}_{i:03d}.root",
                        number=len(files),
                        slice=slice_,
                        candidates=count,
                        files_in_slice=len(counts),
                        seed=settings.seed,
                        pileup=settings.pileup,
                        tau_decays=settings.tau_decays,
                    )
                )
    return tuple(files)


def divide(n: int, shares: Sequence[float]) -> list[int]:
    """Divide `n` in proportion to `shares` into integers that add up to `n`."""
    edges = np.round(n * np.cumsum(shares) / np.sum(shares)).astype(int) if shares else []
    return [int(count) for count in np.diff(edges, prepend=0)]
