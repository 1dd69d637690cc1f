"""The network must beat boosted trees on the candidate variables, where it sees tracks."""

import os
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.settings.experiment import Task
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.metrics.named_metrics import accuracy
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.standard_metrics import summary
from tests.comparison import flat_trees
from tests.comparison.compare import best_trial, compare_trial, tree_predictions
from tests.comparison.table import mode_accuracy
from tests.prepared_factory import SIGNAL, prepared_dataset

ROOT = Path(__file__).parents[2]
SEARCH = "TAUOPT_COMPARE"
"""Folder of a finished search or trial; without it, the rnn's defaults are trained (minutes)."""


def test_the_trees_are_no_straw_men(tmp_path):
    dataset = open_dataset(prepared_dataset(tmp_path, candidates=1500))
    task = Task(classes={"jet": ("jet",), "tau": SIGNAL}, signal=("tau",))
    found = tree_predictions(dataset, task, dataset.validation)
    assert len(found) == dataset.validation.candidates
    assert summary(found)["auc"].value > 0.9
    assert np.isfinite(found.score).all()


@pytest.mark.slow
def test_trees_on_all_inputs_see_more_than_those_on_variables(tmp_path):
    dataset = open_dataset(prepared_dataset(tmp_path, candidates=3000))
    names = dataset.manifest.classes
    task = Task(classes={name: (name,) for name in names}, signal=tuple(names[1:]))
    splits = [
        flat_trees.flat(split, dataset, task) for split in (dataset.train, dataset.validation)
    ]
    for split, stored in zip(splits, (dataset.train, dataset.validation), strict=True):
        assert len(split.x) == stored.candidates
        np.testing.assert_array_equal(
            split.x[:, :7], np.concatenate([chunk.candidate for chunk in stored.chunks])
        )
    settings, ensembles = flat_trees.tuned_trees(
        *splits, task, points=1, rng=np.random.default_rng(1)
    )
    found = flat_trees.signal_predictions(ensembles, splits[1], task)
    variables = tree_predictions(dataset, task, dataset.validation)
    assert summary(found)["auc"].value > summary(variables)["auc"].value
    modes = flat_trees.mode_predictions(*splits, splits[1], task=task, settings=settings)
    assert len(modes) == int(found.is_signal.sum())
    assert accuracy(modes).value > 0.6


def test_decay_modes_are_judged_among_the_modes_of_true_taus():
    found = Predictions(
        np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.6, 0.1, 0.3], [0.0, 0.4, 0.6]], np.float32),
        np.array([0, 1, 2, 1]), np.ones(4), classes=("jet", "1p0n", "1p1n"),
        signal=("1p0n", "1p1n"),
    )  # fmt: skip
    assert mode_accuracy(found).value == pytest.approx(2 / 3)
    binary = Predictions(
        found.probabilities[:, :2], np.array([0, 1, 1, 1]), np.ones(4),
        classes=("jet", "tau"), signal=("tau",),
    )  # fmt: skip
    assert mode_accuracy(binary) is None


def test_the_baseline_is_the_published_network_untouched():
    from tauopt.config.load import read_experiment

    file = read_experiment(Path(__file__).with_name("baseline.yaml"))
    assert not file.space


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_rnn_rejects_more_than_boosted_trees_beyond_errors(tmp_path):
    given = os.environ.get(SEARCH)
    trial = best_trial(Path(given)) if given else trained(tmp_path)
    for row in compare_trial(trial):
        print(row)
        assert row.difference.low > 0, str(row)
        assert row.difference.p_better < 0.05, str(row)


def trained(folder: Path) -> Path:
    """Train the rnn at the literature's defaults on the demo sample."""
    from tauopt.config.load import read_experiment
    from tauopt.tracking.spool import SpoolTracker
    from tauopt.training.train_trial import run_trial
    from tauopt.training.trial_plan import TrialPlan
    from tauopt.workflows.prepare import prepare

    file = read_experiment(ROOT / "search_spaces" / "rnn.yaml")
    plan = TrialPlan(
        file.resolve(file.defaults()),
        dataset=prepare(file.base.data).folder,
        folder=folder / "t000",
        name="t000-rnn",
        seed=1,
    )
    for _ in run_trial(plan, tracker=SpoolTracker(plan.folder)):
        pass
    return plan.folder
