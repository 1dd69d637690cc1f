"""Simulate one file of a sample: generate events until it has its candidates, write the ntuple."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tauopt.errors import TauoptError
from tauopt.ntuples.write_ntuples import write_tree
from tauopt.simulate.branches import Branches, join, make_branches
from tauopt.simulate.events import EventBatch, open_source
from tauopt.simulate.pileup import UNDERLYING, draw_mu
from tauopt.simulate.sample_plan import EVENTS_A_FILE, FilePlan
from tauopt.simulate.tau_candidates import reconstruct
from tauopt.simulate.truth import VETO_RADIUS, is_selected, match, truth_columns

TREE = "candidates"
MAX_TRACKS = 3
"""Candidates with no core tracks, or with more than this, are not written."""
MAX_SEED_TRACKS = 4
"""Seeds with more tracks near their axis are not reconstructed, which saves time."""
MIN_PT_GEV = 20.0
"""Smallest transverse momentum of a candidate that is written."""
BATCH = 1000
"""Largest number of events in a batch."""
MAX_EMPTY_BATCHES = 100
"""Consecutive batches without a selected candidate after which the simulation gives up."""


@dataclass(frozen=True)
class FileCounts:
    """Numbers of a simulated file.

    Attributes:
        selected: candidates that pass the selection of the tau identification.
        entries: all candidates in the file.
        events: generated events.
        cross_section_pb: cross-section of the slice.
    """

    selected: int
    entries: int
    events: int
    cross_section_pb: float


def produce(plan: FilePlan, path: Path, *, advance: Callable[[int], None]) -> FileCounts:
    """Simulate one file and write it.

    Args:
        plan: plan of the file, which alone determines its content.
        path: path of the ROOT file.
        advance: called after each batch with the number of its selected candidates.
    Raises:
        UsageError: Pythia or FastJet is not installed.
        TauoptError: Pythia gave up, the events give no candidates, or the file needs more events
            than it has event numbers.
    """
    branches, counts = simulate_candidates(plan, advance=advance)
    write_tree(path, TREE, branches.scalars, branches.groups)
    return counts


def simulate_candidates(
    plan: FilePlan, *, advance: Callable[[int], None]
) -> tuple[Branches, FileCounts]:
    """Simulate the candidates of one file; arguments and errors as of `produce`."""
    *_, rng = plan.seeds()
    source = open_source(plan, rng=rng)
    parts: list[Branches] = []
    weights: list[np.ndarray] = []
    selected = events = empty = 0
    while selected < plan.candidates:
        missing = plan.candidates - selected
        batch = source.next_batch(_batch_size(missing, selected, events))
        part = _make_candidates(batch, plan, rng=rng)
        part.scalars["event"] += events
        n_selected = int(part.scalars["selected"].sum())
        advance(min(n_selected, missing))
        selected, events = selected + n_selected, events + len(batch.weight)
        empty = 0 if n_selected else empty + 1
        if empty > MAX_EMPTY_BATCHES:
            raise TauoptError(f"{plan.name}: no candidates in {empty} batches of {plan.slice}")
        parts.append(part)
        weights.append(batch.weight)
    return _finish(join(parts), np.concatenate(weights), source.cross_section_pb(), plan)


def _batch_size(missing: int, selected: int, events: int) -> int:
    """Estimate the events that give the missing candidates, from the yield so far, plus 10 %."""
    estimate = 1.1 * missing * (events / selected if selected else 2.0)
    return int(np.clip(estimate, 20, BATCH))


def _make_candidates(batch: EventBatch, plan: FilePlan, *, rng: np.random.Generator) -> Branches:
    """Reconstruct the candidates of a batch; `event` and `selected` are branches for `_finish`."""
    n_events = len(batch.weight)
    mu = draw_mu(n_events, mean=plan.pileup, rng=rng)
    candidates = reconstruct(
        batch.particles,
        mu,
        underlying=UNDERLYING[plan.slice.process],
        max_core_tracks=MAX_SEED_TRACKS,
        rng=rng,
    )
    scalars = candidates.scalars
    nearest, distance = match(
        batch.taus, candidates.event, scalars["eta"], scalars["phi"], n_events=n_events
    )
    truth = truth_columns(batch.taus, nearest)
    is_tautau = plan.slice.process == "gammatautau"
    kept = truth["truth_class"] > 0 if is_tautau else distance > VETO_RADIUS
    kept = kept & (scalars["n_tracks"] > 0) & (scalars["n_tracks"] <= MAX_TRACKS)
    kept = kept & (scalars["pt"] > MIN_PT_GEV)
    branches = make_branches(candidates, truth)
    branches.scalars["event"] = candidates.event
    branches.scalars["selected"] = is_selected(scalars | truth)
    return branches.take(kept)


def _finish(
    branches: Branches, event_weight: np.ndarray, cross_section_pb: float, plan: FilePlan
) -> tuple[Branches, FileCounts]:
    """Drop the events after the one that completes the file; add event numbers and weights."""
    event, selected = branches.scalars.pop("event"), branches.scalars.pop("selected")
    n_events = int(event[np.flatnonzero(selected)[plan.candidates - 1]]) + 1
    if n_events >= EVENTS_A_FILE:
        raise TauoptError(
            f"{plan.name} needs {n_events:,} events; a file has numbers for {EVENTS_A_FILE:,}"
        )
    kept = event < n_events
    branches = branches.take(kept)
    # The weights of a slice's events, in all its files, add up to its cross-section.
    weight = event_weight * cross_section_pb / event_weight[:n_events].sum() / plan.files_in_slice
    branches.scalars["event_number"] = plan.number * EVENTS_A_FILE + 1 + event[kept]
    branches.scalars["weight"] = weight[event[kept]].astype(np.float32)
    return branches, FileCounts(
        int(selected[kept].sum()), len(branches), n_events, cross_section_pb
    )
