"""Small simulated files, each simulated once in a test run."""

from dataclasses import replace

import pytest

from tauopt.config.settings.dataset import Simulation
from tauopt.simulate.sample_plan import plan_files
from tauopt.simulate.simulate_file import simulate_candidates
from tauopt.simulate.taus import decay_bank

SETTINGS = Simulation(taus=1, jets=1, seed=5)


def plan_of(slice_name, *, candidates, **changes):
    """Return the plan of one file of a slice."""
    many = SETTINGS.model_copy(update={"taus": 50_000, "jets": 50_000})
    plan = next(p for p in plan_files(many) if p.slice.name == slice_name)
    return replace(plan, candidates=candidates, files_in_slice=1, **changes)


def _silent(amount):
    del amount


@pytest.fixture(scope="session")
def taus():
    """Branches and counts of a file of taus."""
    return simulate_candidates(plan_of("gammatautau_m120", candidates=1000), advance=_silent)


@pytest.fixture(scope="session")
def jets():
    """Branches and counts of a file of jets of much the same momenta."""
    return simulate_candidates(plan_of("dijet_jz2", candidates=400), advance=_silent)


@pytest.fixture(scope="session")
def banks():
    """Decays at rest with hadronic currents (5) and in phase space (0)."""
    return {5: decay_bank(1600, mode=5, seed=11), 0: decay_bank(3000, mode=0, seed=12)}
