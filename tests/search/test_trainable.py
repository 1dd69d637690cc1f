"""A worker trains only with the code and the dataset of the search; without Ray."""

import threading

import pytest

from tauopt.config.load import read_experiment
from tauopt.errors import Interrupted
from tauopt.search import trainable
from tauopt.search.trainable import AFTER, CODE, CPUS, FOLDER, GPUS, INTERRUPTED, REFUSED, STOP
from tauopt.study.provenance import code_version
from tauopt.training.trial_plan import TrialPlan, write_plan
from tauopt.training.trial_report import TrialReport
from tests.search.fake_worker import FakeWorker
from tests.search.searches import write_experiment


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "dataset"


@pytest.fixture
def worker(tmp_path, dataset, monkeypatch):
    """A function that makes a worker of one planned trial, in this process."""
    monkeypatch.setattr(trainable, "limit_process", lambda cpus, gpus: None)
    file = read_experiment(write_experiment(tmp_path))
    params = {"model.units": 4, "training.learning_rate": 2e-3}
    folder = tmp_path / "out" / "searches" / "toy" / "t000"
    plan = TrialPlan(
        file.resolve(params), dataset=dataset, folder=folder, name="t000", seed=1,
        params=params,
    )  # fmt: skip
    write_plan(plan)

    def make(code):
        config = {FOLDER: str(folder), AFTER: 0, STOP: str(tmp_path / "stop"), CPUS: 1, GPUS: 0}
        return FakeWorker(config={**config, CODE: code})

    return make


def test_other_code_on_a_node_ends_the_search_not_the_trial(worker, dataset):
    dataset.mkdir()
    result = worker("0.0.1+other").step()
    assert result["done"]
    assert f"has tauopt {code_version()}, the search 0.0.1+other" in result[REFUSED]
    assert worker(code_version()).step()["number"] == 1


def test_a_dataset_that_is_on_its_way_is_waited_for(worker, dataset):
    timer = threading.Timer(0.5, dataset.mkdir)
    timer.start()
    assert worker("").step()["number"] == 1
    assert dataset.is_dir()


def test_a_node_without_the_dataset_refuses_the_trial_with_the_reason(worker, dataset, monkeypatch):
    monkeypatch.setattr(trainable, "_COPY_WAIT_S", 0.0)
    assert f"does not see {dataset}" in worker("").step()[REFUSED]


def test_a_search_that_stops_is_not_held_up_by_a_copy(worker, tmp_path):
    (tmp_path / "stop").touch()
    assert worker("").step() == {INTERRUPTED: "the search stops", "done": False}


def test_an_interrupted_training_returns_so_at_each_step_and_never_fails(
    worker, dataset, monkeypatch
):
    def interrupted(self, folder):
        yield TrialReport(1, 1000, {}, 0.5, 0.5, done=False)
        raise Interrupted("t000 stopped after 1500 candidates")

    dataset.mkdir()
    monkeypatch.setattr(FakeWorker, "train_trial", interrupted)
    interrupted_worker = worker("")
    assert interrupted_worker.step()["number"] == 1
    for _ in range(3):
        result = interrupted_worker.step()
        assert result == {INTERRUPTED: "t000 stopped after 1500 candidates", "done": False}
        result["done"] = True  # Ray writes into what it is given
