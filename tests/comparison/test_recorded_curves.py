"""The recorded tables: what the rules of a search are worth, judged by an independent sample."""

from pathlib import Path

import pytest

from tauopt.config.settings.experiment import Pruner
from tauopt.metrics.ties import TIED
from tauopt.replay.curve_table import CurveTable
from tauopt.replay.play import play, recorded
from tauopt.replay.regret import regret_course
from tauopt.replay.rules import Rules

METRIC = "rejection@0.75"
BEFORE = Rules("largest of all reports", METRIC, monitor="objective")
NOW = Rules("as shipped", METRIC, tied=TIED, pruner=Pruner(type="asha"))


@pytest.mark.parametrize("space", ["deepsets", "any"])
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
