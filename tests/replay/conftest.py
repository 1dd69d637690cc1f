"""A small table of curves with a known truth: one parameter decides, noise is as it is stated."""

import numpy as np
import pytest

from tauopt.config.settings.ranges import ChoiceRange, FloatRange
from tauopt.replay.curve_table import CurveTable

METRICS = ("rejection@0.75", "rejection@[0.6, 0.9]")
SPACE = {
    "training.learning_rate": FloatRange(1e-4, 1e-2, log=True),
    "model.activation": ChoiceRange(("relu", "swish")),
}
POINTS, REPORTS, GROUPS, EPOCH = 30, 6, 16, 1000.0


def make_table(*, noise=(0.2, 0.1), seeds=1, samples=2, seed=1):
    """Return a table whose values are the truth with noise that is shared by no two trainings."""
    rng = np.random.default_rng(seed)
    points = [
        {
            "training.learning_rate": float(10 ** rng.uniform(-4, -2)),
            "model.activation": ["relu", "swish"][index % 2],
        }
        for index in range(POINTS)
    ]
    height = np.array([-abs(np.log10(p["training.learning_rate"]) + 3) for p in points])
    trainings = POINTS * seeds
    point = np.tile(np.arange(POINTS), seeds)
    progress = 1 - 0.5 ** np.arange(1, REPORTS + 1)
    truth = 4.0 + 0.5 * height[point][:, None] + np.log(progress)
    influences = np.stack(
        [
            rng.normal(0, error / GROUPS**0.5, (samples, trainings, REPORTS, GROUPS))
            for error in noise
        ],
        axis=1,
    )
    return CurveTable(
        name="toy",
        space=SPACE,
        metrics=METRICS,
        samples=tuple(f"toy-{index}" for index in range(samples)),
        points=tuple(points),
        point=point,
        seed=np.repeat(np.arange(seeds), POINTS),
        candidates=np.tile(EPOCH * np.arange(1, REPORTS + 1), (trainings, 1)),
        loss=np.tile(np.exp(-truth), (samples, 1, 1)),
        values=truth + influences.sum(axis=-1),
        influences=influences,
        truth=np.stack([truth, truth]),
    )


@pytest.fixture(scope="package")
def table():
    return make_table()
