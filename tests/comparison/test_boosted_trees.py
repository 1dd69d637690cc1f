"""The network must beat boosted trees on the candidate variables, where it sees tracks."""

import os
from pathlib import Path

import numpy as np
import pytest

from tauopt.dataset.prepared import open_dataset
from tauopt.evaluation.summary import summary

from ..prepared_factory import SIGNAL, prepared_dataset
from .compare import best_trial, compare_trial, tree_predictions

ROOT = Path(__file__).parents[2]
SEARCH = "TAUOPT_COMPARE"
"""Folder of a finished search or trial; without it, the rnn's defaults are trained (minutes)."""


def test_the_trees_are_no_straw_men(tmp_path):
    from tauopt.config.experiment import Task

    dataset = open_dataset(prepared_dataset(tmp_path, candidates=1500))
    task = Task(classes={"jet": ("jet",), "tau": SIGNAL}, signal=("tau",))
    found = tree_predictions(dataset, task, dataset.validation)
    assert len(found) == dataset.validation.candidates
    assert summary(found)["auc"].value > 0.9
    assert np.isfinite(found.score).all()


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
    from tauopt.training.protocols import TrialPlan
    from tauopt.training.trial import run_trial
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
