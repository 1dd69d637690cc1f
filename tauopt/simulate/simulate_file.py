"""One file of a sample: events until it has its candidates, then the ntuple."""

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
from tauopt.simulate.truth import VETO, is_selected, match, truth_columns

TREE = "candidates"
MAX_TRACKS = 3
"""Candidates with no or more core tracks are not written."""
SEED_TRACKS = 4
"""Seeds with more core tracks in their middle are not worth reconstructing."""
BATCH = 1000
"""Most events in a batch; the last ones are smaller, as few events are wanted."""
MAX_EMPTY_BATCHES = 100


@dataclass(frozen=True)
class FileCounts:
    """What went into a file."""

    selected: int
    """Candidates that the tau identification looks at."""
    entries: int
    events: int
    cross_section_pb: float


def produce(plan: FilePlan, path: Path, *, advance: Callable[[int], None]) -> FileCounts:
    """Simulate one file and write it.

    Args:
        plan: what the file holds; alone decides its content.
        path: where to write it.
        advance: called with the number of selected candidates that each batch brought.
    Raises:
        UsageError: Pythia or FastJet is not installed.
        TauoptError: Pythia gave up, or the events give no candidates.
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
        batch = source.next_batch(_batch_size(plan.candidates - selected, selected, events))
        part = _candidates_of(batch, plan, rng=rng)
        part.scalars["event"] += events
        found = int(part.scalars["selected"].sum())
        advance(min(found, plan.candidates - selected))
        selected, events = selected + found, events + len(batch.weight)
        empty = 0 if found else empty + 1
        if empty > MAX_EMPTY_BATCHES:
            raise TauoptError(f"{plan.name}: no candidates in {empty} batches of {plan.slice}")
        parts.append(part)
        weights.append(batch.weight)
    return _finish(join(parts), np.concatenate(weights), source.cross_section_pb(), plan)


def _batch_size(wanted: int, selected: int, events: int) -> int:
    """Guess the events that give the candidates still wanted, from what came so far."""
    guess = 1.1 * wanted * (events / selected if selected else 2.0)
    return int(np.clip(guess, 20, BATCH))


def _candidates_of(batch: EventBatch, plan: FilePlan, *, rng: np.random.Generator) -> Branches:
    n_events = len(batch.weight)
    mu = draw_mu(n_events, mean=plan.pileup, rng=rng)
    candidates = reconstruct(
        batch.particles,
        mu,
        underlying=UNDERLYING[plan.slice.process],
        max_core_tracks=SEED_TRACKS,
        rng=rng,
    )
    scalars = candidates.scalars
    nearest, distance = match(
        batch.taus, candidates.event, scalars["eta"], scalars["phi"], n_events=n_events
    )
    truth = truth_columns(batch.taus, nearest)
    wanted = truth["truth_class"] > 0 if plan.slice.process == "gammatautau" else distance > VETO
    kept = wanted & (scalars["n_tracks"] > 0) & (scalars["n_tracks"] <= MAX_TRACKS)
    kept &= scalars["pt"] > 20.0
    branches = make_branches(candidates, truth)
    branches.scalars["event"] = candidates.event
    branches.scalars["selected"] = is_selected(scalars | truth)
    return branches.take(kept)


def _finish(
    branches: Branches, event_weight: np.ndarray, cross_section_pb: float, plan: FilePlan
) -> tuple[Branches, FileCounts]:
    """Cut after the event that completes the file, and number and weight what is left."""
    event, selected = branches.scalars.pop("event"), branches.scalars.pop("selected")
    n_events = int(event[np.flatnonzero(selected)[plan.candidates - 1]]) + 1
    if n_events >= EVENTS_A_FILE:
        raise TauoptError(f"{plan.name} needs {n_events} events, more than numbers are kept for")
    kept = event < n_events
    branches = branches.take(kept)
    weight = event_weight * cross_section_pb / event_weight[:n_events].sum() / plan.files_in_slice
    branches.scalars["event_number"] = plan.number * EVENTS_A_FILE + 1 + event[kept]
    branches.scalars["weight"] = weight[event[kept]].astype(np.float32)
    return branches, FileCounts(
        int(selected[kept].sum()), len(branches), n_events, cross_section_pb
    )
