from dataclasses import replace

import pytest

from tauopt.config.settings.dataset import Simulation
from tauopt.simulate.sample_plan import (
    CANDIDATES_A_FILE,
    JET_SLICES,
    TAU_SLICES,
    divide,
    plan_files,
)


@pytest.mark.parametrize(("taus", "jets"), [(1, 1), (7, 3), (500, 600), (60_000, 60_000)])
def test_files_hold_the_requested_number_of_candidates(taus, jets):
    plans = plan_files(Simulation(taus=taus, jets=jets))
    for process, requested in (("gammatautau", taus), ("dijet", jets)):
        counts = [plan.candidates for plan in plans if plan.slice.process == process]
        assert sum(counts) == requested
        assert 0 < min(counts) <= max(counts) <= CANDIDATES_A_FILE


def test_file_names_and_numbers_are_unique():
    plans = plan_files(Simulation(taus=60_000, jets=60_000))
    assert len({plan.name for plan in plans}) == len({plan.number for plan in plans}) == len(plans)


def test_plans_give_the_number_of_files_of_their_slice():
    plans = plan_files(Simulation(taus=60_000, jets=60_000))
    for plan in plans:
        same = [other for other in plans if other.slice == plan.slice]
        assert plan.files_in_slice == len(same)


def test_seeds_differ_by_file_and_by_seed():
    plan = plan_files(Simulation(taus=10, jets=10, seed=3))[0]
    others = [replace(plan, number=1), replace(plan, seed=4)]
    seeds = [plan.seeds()[:2], *(other.seeds()[:2] for other in others)]
    assert len({seed for pair in seeds for seed in pair}) == 6
    assert plan.seeds()[:2] == replace(plan).seeds()[:2]
    assert all(1 <= seed <= 900_000_000 for pair in seeds for seed in pair)


def test_division_keeps_the_sum():
    assert divide(10, [1.0, 1.0, 1.0]) == [3, 4, 3]
    assert divide(0, [1.0]) == [0]
    assert divide(5, [0.0, 1.0]) == [0, 5]


def test_slices_meet_without_a_gap():
    for slices in (JET_SLICES, TAU_SLICES):
        assert sum(piece.share for piece in slices) == pytest.approx(1)
        assert [p.high for p in slices[:-1]] == [p.low for p in slices[1:]]
    assert all(p.low < p.high for p in (*JET_SLICES, *TAU_SLICES))
