"""A training that continues a trial has the weights of one that was never stopped."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import islice

import numpy as np
import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import UsageError
from tauopt.training.checkpoints import Checkpoint, TrainingState, load_checkpoint, save_checkpoint
from tauopt.training.continued_training import continued
from tauopt.training.train_trial import run_trial, write_pruned_results
from tauopt.training.trial_identity import identity
from tauopt.training.trial_plan import write_plan
from tests.prepared_factory import prepared_dataset
from tests.training.toys import Recorder, plan

SETTINGS = {"learning_rate": 0.01, "early_stopping": {"patience": 1}}
CANDIDATES = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=250, chunk_size=100)


def plan_of(folder, to, **training):
    return plan(folder, to, network="of_all_kinds", **(SETTINGS | training))


def trained(the_plan, *, reports=None):
    """Train to the end or for some reports; return the last checkpoint."""
    running = run_trial(the_plan, tracker=Recorder())
    for _ in islice(running, reports):
        pass
    running.close()
    return load_checkpoint(the_plan.folder)


def trained_on(the_plan, checkpoint, to, **options):
    dataset = open_dataset(the_plan.dataset)
    experiment, first = continued(the_plan, checkpoint, dataset, **options)
    save_checkpoint(to, first)
    return trained(replace(the_plan, experiment=experiment, folder=to))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The last checkpoint of a training of three epochs without a stop."""
    return trained(plan_of(folder, tmp_path_factory.mktemp("whole"), epochs=3, early_stopping=None))


def assert_same(one, other):
    for purpose in ("network", "optimizer", "best"):
        for x, y in zip(one.arrays[purpose], other.arrays[purpose], strict=True):
            np.testing.assert_array_equal(x, y, strict=True)
    assert one.state["identity"] == other.state["identity"]


def test_a_trial_cut_at_its_first_report_and_continued_equals_one_trained_through(
    folder, whole, tmp_path
):
    cut = plan_of(folder, tmp_path / "cut", epochs=3, early_stopping=None)
    checkpoint = trained(cut, reports=1)
    assert len(checkpoint.state["training"]["history"]) == 1
    assert_same(trained_on(cut, checkpoint, tmp_path / "on"), whole)
    assert_same(load_checkpoint(cut.folder), checkpoint)  # the trial itself stays as it is


def test_more_epochs_after_the_end_or_early_stopping_equal_a_longer_training(
    folder, whole, tmp_path
):
    short = plan_of(folder, tmp_path / "short", epochs=2)
    checkpoint = trained(short)
    state = {**checkpoint.state["training"], "ended": "early stopping"}
    stopped = Checkpoint({**checkpoint.state, "training": state}, checkpoint.arrays)
    assert_same(trained_on(short, stopped, tmp_path / "on", epochs=3), whole)


def checkpoint_of(the_plan, dataset, *, seen, **state):
    """A checkpoint without weights."""
    content = asdict(TrainingState(seen=seen, target=seen, **state))
    same = identity(the_plan, dataset_digest=dataset.digest)
    return Checkpoint({"training": content, "identity": same, "precision": "float32"}, {})


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"schedule": "cosine"}, "training.schedule: cosine"),
        ({"warm_up": 0.1}, "training.warm_up: 0.1"),
        ({"warm_up": 500}, "training.warm_up: 500"),
        ({"batch_growth": 2.0}, "training.batch_growth: 2"),
    ],
)
def test_more_epochs_are_refused_where_the_rate_or_the_batches_depend_on_them(
    folder, tmp_path, training, words
):
    the_plan, dataset = plan_of(folder, tmp_path, **training), open_dataset(folder)
    checkpoint = checkpoint_of(the_plan, dataset, seen=CANDIDATES)
    with pytest.raises(UsageError, match=rf"{words}.*--like RUN --set training\.epochs=5"):
        continued(the_plan, checkpoint, dataset, epochs=5)
    experiment, _ = continued(the_plan, checkpoint, dataset)  # to its own end
    assert experiment == the_plan.experiment


def test_a_rise_of_the_rate_in_candidates_allows_more_epochs(folder, tmp_path):
    the_plan, dataset = plan_of(folder, tmp_path, warm_up=100), open_dataset(folder)
    checkpoint = checkpoint_of(the_plan, dataset, seen=CANDIDATES)
    assert continued(the_plan, checkpoint, dataset, epochs=5)[0].training.epochs == 5


def test_a_trial_without_an_epoch_left_or_of_other_data_is_refused(folder, tmp_path):
    the_plan, dataset = plan_of(folder, tmp_path), open_dataset(folder)
    ended = checkpoint_of(the_plan, dataset, seen=320, ended="all epochs")
    with pytest.raises(UsageError, match=r"trained for 2\.\d+ epochs.*--epochs"):
        continued(the_plan, ended, dataset)
    other = open_dataset(prepared_dataset(tmp_path, candidates=200))
    with pytest.raises(UsageError, match="dataset: was"):
        continued(the_plan, ended, other, epochs=4)


def test_the_results_of_a_pruned_trial_are_those_of_its_best_report(folder, tmp_path):
    the_plan = plan_of(folder, tmp_path / "t000", epochs=3)
    write_plan(the_plan)
    checkpoint = trained(the_plan, reports=2)
    result = write_pruned_results(the_plan.folder)
    history = checkpoint.state["training"]["history"]
    best = history[checkpoint.state["training"]["best"]]
    assert result["value"] == pytest.approx(best["rejection@0.75"], rel=1e-6)
    assert (result["ended"], result["reports"]) == ("pruned", 2)
    assert write_pruned_results(the_plan.folder) == result
    assert_same(load_checkpoint(the_plan.folder), checkpoint)
