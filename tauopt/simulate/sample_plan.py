"""What a sample consists of: its files, and all that decides the content of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tauopt.config.settings.dataset import Simulation

VERSION = 2
"""Of what is simulated; raised when the same settings give another sample."""
CANDIDATES_A_FILE = 6000
EVENTS_A_FILE = 1_000_000
"""Event numbers of file n begin at n times this, plus one."""


@dataclass(frozen=True)
class Slice:
    """A range of the hard process: mass of gamma*/Z, or pT-hat of dijets, in GeV."""

    name: str
    process: Literal["gammatautau", "dijet"]
    low: float
    high: float
    share: float
    """Share of the process's candidates."""


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
    """One file of a sample; its content depends on nothing else."""

    name: str
    number: int
    slice: Slice
    candidates: int
    """Candidates that pass the identification's selection."""
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
    """List the files of a sample, taus first."""
    files: list[FilePlan] = []
    for slices, candidates in ((TAU_SLICES, settings.taus), (JET_SLICES, settings.jets)):
        shares = divide(candidates, [piece.share for piece in slices])
        for piece, share in zip(slices, shares, strict=True):
            counts = divide(share, [1.0] * -(-share // CANDIDATES_A_FILE))
            for i, count in enumerate(counts):
                files.append(
                    FilePlan(
                        name=f"{piece.name}_{i:03d}.root",
                        number=len(files),
                        slice=piece,
                        candidates=count,
                        files_in_slice=len(counts),
                        seed=settings.seed,
                        pileup=settings.pileup,
                        tau_decays=settings.tau_decays,
                    )
                )
    return tuple(files)


def divide(n: int, shares: Sequence[float]) -> list[int]:
    """Divide `n` things by shares into whole numbers that add up to `n`."""
    edges = np.round(n * np.cumsum(shares) / np.sum(shares)).astype(int) if shares else []
    return [int(count) for count in np.diff(edges, prepend=0)]
