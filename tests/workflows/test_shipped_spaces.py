"""The shipped search spaces: their points are valid networks on their data, and can be searched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.load import read_experiment
from tauopt.config.settings.networks import group_lengths
from tauopt.study.suggest import random_point
from tests.models.specs import spec_of_data

ROOT = Path(__file__).parents[2]
SPACES = sorted(ROOT.glob("search_spaces/*.yaml"))
POINTS = 20
SMALL = (
    "--set", "data.simulate.taus=1500", "--set", "data.simulate.jets=1500",
    "--set", "training.epochs=1", "--trials", "2",
)  # fmt: skip


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_default_and_random_points_resolve(path):
    file, rng = read_experiment(path), np.random.default_rng(1)
    assert file.name == path.stem
    for values in [file.defaults(), *(random_point(file.space, rng) for _ in range(POINTS))]:
        experiment = file.resolve(values)
        assert experiment.model.type
        assert set(group_lengths(experiment.model)) <= set(experiment.data.groups)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_default_point_is_a_network_of_its_data(path):
    from tauopt.models.build_model import build_model

    experiment = read_experiment(path).base
    model = build_model(spec_of_data(experiment), experiment.model, seed=1)
    assert model.output_shape == (None, len(experiment.task.classes))
    assert model.count_params() > 100


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_each_space_is_searched_on_a_small_demo_sample(path, cache, tmp_path):
    words = ["search", str(path), *SMALL, "--output", str(tmp_path), "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "tauopt", *words],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "TAUOPT_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    trials = json.loads(ended.stdout)["trials"]
    assert {trial["state"] for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert len(trials) == 2
