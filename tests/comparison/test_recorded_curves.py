"""The recorded tables: what the rules of a search are worth, judged by an independent sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.settings.experiment import Pruner
from tauopt.metrics.ties import TIED
from tauopt.replay.curve_table import CurveTable
from tauopt.replay.play import play, recorded
from tauopt.replay.regret import regret_course
from tauopt.replay.rules import Rules

METRIC = "rejection@0.75"
BEFORE = Rules("largest of all reports", METRIC, monitor="objective")
LARGEST = Rules("largest value", METRIC)
CONFIRMED = replace(LARGEST, name="confirmed", tied=TIED, top=5, seeds=2)
NOW = Rules("as shipped", METRIC, tied=TIED, pruner=Pruner(type="asha"))


@pytest.mark.parametrize("space", ["deepsets", pytest.param("any", marks=pytest.mark.slow)])
def test_the_shipped_rules_choose_better_with_less_and_tell_what_is_true(space):
    table = CurveTable.load(Path(__file__).parent / "curves" / f"{space}.npz")
    assert (len(table.points), len(table.point)) == (150, 250)
    samples = [index for index, name in enumerate(table.samples) if name.startswith("12k")]
    before, now = (
        regret_course(
            [
                play(
                    table, rules, recorded(table, sample=samples[seed % len(samples)]),
                    judge=METRIC, seed=seed, trials=150,
                )
                for seed in range(8)
            ],
            best=float(table.best[0]),
        )
        for rules in (BEFORE, NOW)
    )  # fmt: skip
    assert now.mean[-1] < 0.65 * before.mean[-1]
    assert now.candidates[-1] < 0.5 * before.candidates[-1]
    assert abs(now.curse) < 1.0 < before.curse


@pytest.mark.parametrize("space", ["any", pytest.param("deepsets", marks=pytest.mark.slow)])
def test_a_confirmed_choice_is_better_and_nearer_the_truth_than_the_largest_value(space):
    """On the points that were trained on three seeds, by chance one first and two to confirm it."""
    table = CurveTable.load(Path(__file__).parent / "curves" / f"{space}.npz").repeated()
    samples = [index for index, name in enumerate(table.samples) if name.startswith(("2k", "12k"))]
    drawn = [table.reordered(np.random.default_rng(seed)) for seed in range(40)]
    largest, confirmed = (
        regret_course(
            [
                play(
                    each, rules, recorded(each, sample=samples[seed % len(samples)]),
                    judge=METRIC, sample=samples[seed % len(samples)], seed=seed, trials=20,
                )
                for seed, each in enumerate(drawn)
            ],
            best=float(table.best[0]),
        )
        for rules in (LARGEST, CONFIRMED)
    )  # fmt: skip
    assert confirmed.mean[-1] < 0.95 * largest.mean[-1]
    assert confirmed.curse < 0.5 * largest.curse
