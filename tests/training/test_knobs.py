"""Each setting of the training has its effect in a whole trial, also in a resumed one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tauopt.errors import Interrupted
from tauopt.models.model_file import load_model
from tauopt.training.checkpoints import load_checkpoint
from tauopt.training.train_step import TrainStepModel
from tauopt.training.train_trial import run_trial
from tests.prepared_factory import prepared_dataset
from tests.training.test_learning_rate import slow_rate
from tests.training.toys import Recorder, make_trainer, plan, train_and_be_killed

CYCLE = {
    "batch_size": 64,
    "epochs": 3,
    "report_every": 400,
    "optimizer": "sgd",
    "schedule": "one_cycle",
    "learning_rate": 0.05,
    "momentum_dip": 0.1,
    "ema": 0.9,
    "batch_growth": 1.5,
    "batch_growth_every": 0.3,
    "reduce_on_plateau": {"patience": 1, "factor": 0.5},
    "early_stopping": None,
}
"""Epochs of 480 candidates in batches of 64, 96 and 144."""
KEPT = ("network", "optimizer", "pace", "averages", "best")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=800, chunk_size=170)


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """A trial with a cycle, growing batches and averaged weights, that was never interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    the_plan = plan(dataset, folder, network="deepsets", **CYCLE)
    return the_plan, list(run_trial(the_plan, tracker=Recorder()))


@pytest.fixture(scope="module")
def trained(dataset):
    """A function from settings to the weights after one epoch."""
    known = {}

    def train(**training):
        if str(training) not in known:
            trainer, data, rungs = make_trainer(dataset, epochs=1, learning_rate=0.05, **training)
            (segment,) = rungs.segments(0, rungs.total)
            with data.train(segment) as fed:
                trainer.model.fit(fed, verbose=0, shuffle=False)
            known[str(training)] = trainer.network.get_weights()
        return known[str(training)]

    return train


def assert_same_state(a, b, purposes):
    """The newest checkpoints of two folders hold the same arrays, bit by bit."""
    one, other = (load_checkpoint(folder).arrays for folder in (a, b))
    for purpose in purposes:
        for x, y in zip(one[purpose], other[purpose], strict=True):
            np.testing.assert_array_equal(x, y, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [[2, 5], [1, 9, 4]])
def test_resumed_anywhere_a_cycle_with_growth_and_averages_is_the_same(
    finished, dataset, tmp_path, batches
):
    """Interrupted within rungs, in epochs of different batch sizes, and between reports."""
    reference, expected = finished
    the_plan = plan(dataset, tmp_path, network="deepsets", **CYCLE)
    for count in batches:
        left = iter(range(count, 0, -1))
        with pytest.raises(Interrupted):
            list(run_trial(the_plan, tracker=Recorder(), stop=lambda left=left: next(left, 0) <= 1))
    reports = run_trial(the_plan, tracker=Recorder(), after=0)
    found = [next(reports), next(reports)]
    reports.close()
    found += run_trial(the_plan, tracker=Recorder(), after=2)
    assert [r.value for r in found] == [r.value for r in expected]
    assert [r.metrics["learning_rate"] for r in found] == [
        r.metrics["learning_rate"] for r in expected
    ]
    assert_same_state(reference.folder, tmp_path, KEPT)


@pytest.mark.slow
def test_killed_a_cycle_with_growth_and_averages_goes_on_the_same(finished, dataset, tmp_path):
    reference, expected = finished
    train_and_be_killed(dataset, tmp_path, after=500, network="deepsets", **CYCLE)
    the_plan = plan(dataset, tmp_path, network="deepsets", **CYCLE)
    found = list(run_trial(the_plan, tracker=Recorder(), after=1))
    assert [r.value for r in found] == [r.value for r in expected[1:]]
    assert_same_state(reference.folder, tmp_path, KEPT)


def test_the_reported_learning_rate_is_the_schedules_at_the_last_batch(dataset, tmp_path):
    settings = {"schedule": "cosine", "warm_up": 0.2, "final_rate": 0.1}
    the_plan = plan(dataset, tmp_path, epochs=1, report_every=150, **settings)
    training = the_plan.experiment.training
    for report in run_trial(the_plan, tracker=Recorder()):
        middle = (report.candidates_seen - 64 / 2) / 512  # 8 batches of 64, for an epoch of 480
        expected = training.learning_rate * slow_rate(middle, training)
        assert report.metrics["learning_rate"] == pytest.approx(expected, rel=1e-5)


class Rates(keras.callbacks.Callback):
    """Keeps the learning rate of each batch."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def test_each_batch_has_its_rate_and_larger_ones_no_graph_of_their_own(dataset, monkeypatch):
    traces, original = [], TrainStepModel.train_step

    def counted(self, data):
        traces.append(data[1].shape)
        return original(self, data)

    monkeypatch.setattr(TrainStepModel, "train_step", counted)
    trainer, data, rungs = make_trainer(dataset, **CYCLE)
    watch, sizes, expected = Rates(), [], []
    for segment in rungs.segments(0, rungs.total):
        with data.train(segment) as fed:
            for _, _, weights in fed.as_numpy_iterator():
                middle = (sum(sizes) + len(weights) / 2) / rungs.total
                expected.append(0.05 * slow_rate(middle, data.experiment.training))
                sizes.append(len(weights))
            trainer.model.fit(fed, verbose=0, shuffle=False, callbacks=[watch])
    assert sizes == [64] * 8 + [96] * 5 + [144] * 4
    np.testing.assert_allclose(watch.rates, expected, rtol=1e-5)
    assert len(traces) == 1
    assert int(trainer.model.schedule.variables[0]) == sum(sizes) == rungs.total


class Weights(keras.callbacks.Callback):
    """Keeps the weights before training and after each batch."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_train_begin(self, logs=None):
        self.kept.append(self.model.get_weights())

    def on_train_batch_end(self, batch, logs=None):
        self.kept.append(self.model.get_weights())


def test_averaged_weights_are_judged_and_the_raw_ones_go_on(dataset):
    trainer, data, rungs = make_trainer(
        dataset, network="dense", ema=0.8, learning_rate=0.05, epochs=1
    )
    (segment,) = rungs.segments(0, rungs.total)
    watch = Weights()
    with data.train(segment) as fed:
        trainer.model.fit(fed, verbose=0, shuffle=False, callbacks=[watch])
    average = watch.kept[0]
    for steps, weights in enumerate(watch.kept[1:]):
        kept = min(0.8, (1 + steps) / (10 + steps))
        average = [kept * a + (1 - kept) * w for a, w in zip(average, weights, strict=True)]
    for found, expected in zip(trainer.evaluated_weights(), average, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    for found, expected in zip(trainer.network.get_weights(), watch.kept[-1], strict=True):
        np.testing.assert_array_equal(found, expected)

    probabilities = trainer.predict(data, alive=lambda: None)
    trainer.network.set_weights(average)
    batch = next(data.validation())
    by_hand = trainer.network({name: batch.inputs[name] for name in ("candidate",)}, training=False)
    np.testing.assert_allclose(probabilities[: len(batch.labels)], by_hand, rtol=1e-3, atol=1e-5)


def test_the_averaged_network_is_the_one_saved(finished):
    the_plan, _ = finished
    checkpoint = load_checkpoint(the_plan.folder)
    saved = load_model(the_plan.folder / "best.keras").get_weights()
    best, raw = checkpoint.arrays["best"], checkpoint.arrays["network"]
    kernels = [i for i, weight in enumerate(best) if weight.ndim == 2 and weight.shape[0] > 2]
    floats = [weight for weight in best if weight.dtype == np.float32]
    assert len(saved) == len(floats)
    for x, y in zip(saved, floats, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not any(np.array_equal(best[i], raw[i]) for i in kernels)


def test_results_made_again_are_of_the_averaged_network(finished):
    the_plan, _ = finished
    folder = the_plan.folder
    before = np.load(folder / "predictions.npz", allow_pickle=False)
    (folder / "result.json").unlink()
    (folder / "best.keras").unlink()
    list(run_trial(the_plan, tracker=Recorder()))
    after = np.load(folder / "predictions.npz", allow_pickle=False)
    for name in before.files:
        np.testing.assert_array_equal(before[name], after[name])


def _slow(change):
    """A slow case: `test_parity.py` tests most knobs as well, against a known training."""
    return pytest.param(change, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "change",
    [
        _slow({"optimizer": "sgd", "clip_norm": 0.01}),
        _slow({"weight_decay": 0.5}),
        _slow({"label_smoothing": 0.3}),
        _slow({"loss": "focal"}),
        _slow({"class_balance": "none"}),
        _slow({"class_weights": {"tau": 5.0}}),
        _slow({"optimizer": "nadam"}),
        _slow({"optimizer": "sgd", "nesterov": False}),
        _slow({"optimizer": "sgd", "schedule": "one_cycle"}),
        _slow({"optimizer": "sgd", "schedule": "one_cycle", "momentum_dip": 0.3}),
        {"schedule": "one_cycle", "peak_at": 0.6},
        _slow({"schedule": "cosine"}),
        _slow({"schedule": "cosine", "final_rate": 0.5}),
        _slow({"warm_up": 0.3}),
    ],
    ids=str,
)
def test_no_knob_of_the_training_is_idle(trained, change):
    name = list(change)[-1]
    without = {key: value for key, value in change.items() if key != name}
    one, other = trained(**without), trained(**change)
    assert not any(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def test_a_nadam_that_is_resumed_keeps_all_its_state(dataset):
    """One more step, with the same gradient, leads to the same weights."""
    trainer, data, rungs = make_trainer(dataset, optimizer="nadam", epochs=1)
    (segment,) = rungs.segments(0, rungs.total)
    with data.train(segment) as fed:
        trainer.model.fit(fed, verbose=0, shuffle=False)
    resumed, _, _ = make_trainer(dataset, optimizer="nadam", epochs=1)
    resumed.restore(trainer.arrays())
    for each in (trainer, resumed):
        each.optimizer.apply([tf.ones(w.shape) for w in each.model.trainable_variables])
    for purpose, arrays in trainer.arrays().items():
        for x, y in zip(arrays, resumed.arrays()[purpose], strict=True):
            np.testing.assert_array_equal(x, y, strict=True)


def test_mixed_precision_without_a_gpu_is_float32_and_says_so_once(
    dataset, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("tauopt.training.precision.gpus", list)
    plain, mixed = (
        next(run_trial(plan(dataset, tmp_path / name, precision=name), tracker=Recorder()))
        for name in ("float32", "mixed")
    )
    assert mixed.metrics["val_loss"] == plain.metrics["val_loss"]
    assert caplog.text.count("needs a GPU") == 1
