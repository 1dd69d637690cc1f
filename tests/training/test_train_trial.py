from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import create_trial

from tauopt.config.settings.experiment import Task
from tauopt.config.settings.objective import Goal, parse_objective
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import CorruptError, DataError, Interrupted, TrialFailed, UsageError
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.influence import PairedValue, paired_value
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.models.model_file import load_model
from tauopt.prepare.prepare_dataset import prepare
from tauopt.stream.batches import batches
from tauopt.study import leaderboard_rows
from tauopt.training import train_trial, trial_identity
from tauopt.training.checkpoints import load_checkpoint
from tauopt.training.network_and_data import TrialData
from tauopt.training.rungs import Rungs
from tauopt.training.train_trial import run_trial
from tauopt.training.trial_plan import trial_folder
from tests.ntuples_factory import columns, write
from tests.ntuples_factory import dataset as ntuple_dataset
from tests.prepared_factory import prepared_dataset
from tests.training.toys import Recorder, plan, train_and_be_killed
from tests.undrawn import with_figures

ROOT = Path(__file__).parents[2]
RESUMABLE = {
    "batch_size": 64,
    "epochs": 2,
    "report_every": 200,
    "learning_rate": 0.01,
    "reduce_on_plateau": {"patience": 1, "factor": 0.5},
    "early_stopping": None,
}
"""Five rungs, some of them across the end of an epoch of 450 candidates: seven batches and two."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=750, chunk_size=170)


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """A trial that ran without interruption, its reports and its record."""
    folder, tracker = tmp_path_factory.mktemp("finished"), Recorder()
    the_plan = plan(dataset, folder, network="of_all_kinds", **RESUMABLE)
    with with_figures():
        return the_plan, list(run_trial(the_plan, tracker=tracker)), tracker


@pytest.fixture
def copied(finished, tmp_path):
    """The same trial with its checkpoints in a folder of the test's own."""
    the_plan, _, _ = finished
    return replace(the_plan, folder=shutil.copytree(the_plan.folder, tmp_path / "copied"))


def first_report(the_plan):
    """Train to the first report and leave, without the results of a finished trial."""
    reports = run_trial(the_plan, tracker=Recorder())
    report = next(reports)
    reports.close()
    return report


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def assert_same_training(a: Path, b: Path) -> None:
    """Weights, optimizer, dropout seeds, plateau and reports are equal bit by bit."""
    one, other = load_checkpoint(a), load_checkpoint(b)
    for purpose in ("network", "optimizer", "best"):
        for x, y in zip(one.arrays[purpose], other.arrays[purpose], strict=True):
            np.testing.assert_array_equal(x, y, strict=True)
    for kept in (one, other):
        kept.state["training"]["seconds"] = 0
        for entry in kept.state["training"]["history"]:
            del entry["candidates_per_s"]
            entry["loss"] = pytest.approx(entry["loss"], rel=1e-5)  # a mean of more parts
    assert one.state == other.state
    assert result(a)["metrics"] == result(b)["metrics"]


def test_reports_come_by_candidates_seen_and_the_last_is_done(finished):
    _, reports, _ = finished
    assert [r.number for r in reports] == [1, 2, 3, 4, 5]
    assert [r.candidates_seen for r in reports] == [256, 448, 640, 832, 960]
    assert [r.done for r in reports] == [False] * 4 + [True]
    assert [r.best for r in reports] == list(np.maximum.accumulate([r.value for r in reports]))
    for report in reports:
        assert report.value == report.metrics["rejection@0.75"]
        assert all(np.isfinite(list(report.metrics.values())))


def test_what_an_epoch_leaves_over_makes_no_step_of_its_own(finished, dataset):
    """Two candidates are left over, but each batch has 64: no candidate weighs more in a step."""
    the_plan, _, _ = finished
    data = TrialData(open_dataset(dataset), the_plan.experiment, the_plan.seed)
    assert data.candidates == 7 * 64 + 2
    rungs = Rungs.from_training(the_plan.experiment.training, candidates=data.candidates)
    sizes, seen = [], 0
    while seen < rungs.total:
        for segment in rungs.segments(seen, rungs.next(seen)):
            with data.train(segment) as fed:
                sizes += [len(weights) for _, _, weights in fed]
        seen = rungs.next(seen)
    assert sizes == [64] * 15
    steps = load_checkpoint(the_plan.folder).arrays["optimizer"][0]
    assert steps == len(sizes)


def test_the_network_learns(finished):
    _, reports, _ = finished
    losses = [r.metrics["val_loss"] for r in reports]
    assert losses[-1] < 0.9 * losses[0]
    assert reports[-1].metrics["auc"] > 0.85


def test_the_saved_model_reproduces_the_saved_predictions_and_the_value(finished, dataset):
    the_plan, reports, _ = finished
    found = result(the_plan.folder)
    model = load_model(the_plan.folder / "best.keras", sha256=found["model_sha256"])
    saved = Predictions.load(the_plan.folder / "predictions.npz")
    data = TrialData(open_dataset(dataset), the_plan.experiment, 0)
    found_again = [model(b.inputs, training=False) for b in data.validation()]
    again, score = (
        np.concatenate([part[name] for part in found_again])
        for name in ("probabilities", "signal_score")
    )
    np.testing.assert_allclose(again, saved.probabilities, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(score, saved.score, rtol=1e-4, atol=1e-6)
    best = min(reports, key=lambda r: r.metrics["val_loss"])
    assert found["value"] == pytest.approx(best.value) == reports[-1].best
    assert found["parameters"] == model.count_params()


def test_the_result_names_dataset_reports_and_metrics_with_intervals(finished, dataset):
    the_plan, reports, _ = finished
    found = result(the_plan.folder)
    assert found["dataset_digest"] == open_dataset(dataset).digest
    assert found["candidates_seen"] == 960
    assert found["reports"] == 5
    assert found["ended"] == "all epochs"
    for name in ("auc", "accuracy", "rejection@0.75", "rejection@0.6/3p"):
        value, low, high = found["metrics"][name]
        assert low <= value <= high
    best = min(reports, key=lambda r: r.metrics["val_loss"])
    assert found["best_report"] == best.number == reports[-1].best_number


def test_every_report_has_its_value_as_a_paired_value(finished):
    the_plan, reports, _ = finished
    objective = parse_objective("rejection@0.75")
    for report in reports:
        assert math.exp(PairedValue.parse(report.paired_value).value) == pytest.approx(report.value)
    kept = PairedValue.parse(reports[-1].best_paired_value)
    again = paired_value(objective, Predictions.load(the_plan.folder / "predictions.npz"))
    difference, error = kept.ahead_of(again)
    assert abs(difference) < 1e-6
    assert error < 2e-3 * again.error


def test_predictions_are_those_of_the_validation_split_alone(finished, dataset):
    the_plan, _, _ = finished
    saved = Predictions.load(the_plan.folder / "predictions.npz")
    split = open_dataset(dataset).validation
    columns = split.columns(["labels", "weights", "pt"])
    np.testing.assert_array_equal(saved.labels, columns["labels"] > 0)
    np.testing.assert_array_equal(saved.weights, columns["weights"].astype(np.float64))
    np.testing.assert_array_equal(saved.columns["pt"], columns["pt"])


def test_the_tracker_gets_parameters_every_report_and_the_files(finished):
    _, reports, tracker = finished
    assert tracker.params == {"training.batch_size": 64}
    assert tracker.tags == {"study": "toy"}
    for report in reports:
        for name, value in report.metrics.items():
            assert tracker.points[name, report.candidates_seen] == value
    assert {"model/best.keras", "result.json", "predictions.npz"} <= set(tracker.files)
    for name in ("roc", "score", "confusion", "training"):
        assert {f"figures/{name}.png", f"figures/{name}.json"} <= set(tracker.files)
    assert {("validation_auc", 960), ("validation_auc_1p_low", 960)} <= set(tracker.points)
    assert not any("/" in name for name, _ in tracker.points)  # MLflow would show those first


def test_report_result_record_and_leaderboard_have_one_interval_of_the_best_network(finished):
    the_plan, reports, tracker = finished
    name = "rejection@0.75"
    best = next(r for r in reports if r.number == result(the_plan.folder)["best_report"])
    told = [best.metrics[key] for key in (name, f"{name}_low", f"{name}_high")]
    assert told == pytest.approx(result(the_plan.folder)["metrics"][name], rel=1e-9)
    last = reports[-1].candidates_seen
    keys = (f"validation_{name}", f"validation_{name}_low", f"validation_{name}_high")
    assert [tracker.points[key, last] for key in keys] == result(the_plan.folder)["metrics"][name]
    search = the_plan.folder.parent / f"{the_plan.folder.name}-search"
    search.mkdir()
    done = create_trial(value=result(the_plan.folder)["value"])
    trial_folder(search, done.number).symlink_to(the_plan.folder)
    (row,) = leaderboard_rows.rows([done], search, goals=[Goal(name, "maximize")])
    assert [row.value, row.low, row.high] == result(the_plan.folder)["metrics"][name]


def test_the_test_split_stays_sealed(dataset, tmp_path, monkeypatch):
    from tauopt.dataset.prepared_dataset import PreparedDataset

    def opened(*_, **__):
        raise AssertionError("a trial opened the test split")

    monkeypatch.setattr(PreparedDataset, "sealed_test", opened)
    list(run_trial(plan(dataset, tmp_path, epochs=1), tracker=Recorder()))


def test_interrupted_and_with_a_damaged_checkpoint_it_ends_at_the_same_weights(
    finished, dataset, tmp_path
):
    """Interrupted twice within a rung, once in each epoch, and between reports.

    Without its newest checkpoint it trains a rung again and nothing else.
    """
    reference, expected, _ = finished
    the_plan, tracker = plan(dataset, tmp_path, network="of_all_kinds", **RESUMABLE), Recorder()
    reports = []
    for batches_before_stop in (2, 7, None):
        countdown = iter(range(batches_before_stop or 0, 0, -1))

        def stop(counted=countdown, endless=batches_before_stop is None) -> bool:
            return not endless and next(counted, 0) <= 1

        try:
            for report in run_trial(the_plan, tracker=tracker, stop=stop):
                reports.append(report)
                if report.number == 3 and batches_before_stop is None:
                    break
        except Interrupted:
            assert batches_before_stop
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    reports += run_trial(the_plan, tracker=tracker)
    assert [r.number for r in reports] == [1, 2, 3, 3, 4, 5]
    values = [r.value for r in expected]
    assert [r.value for r in reports] == values[:3] + values[2:]
    assert_same_training(reference.folder, tmp_path)


def test_a_finished_trial_only_repeats_its_last_report(finished):
    the_plan, reports, _ = finished
    before = (the_plan.folder / "best.keras").stat().st_mtime_ns
    (again,) = run_trial(the_plan, tracker=Recorder())
    assert again == reports[-1]
    assert (the_plan.folder / "best.keras").stat().st_mtime_ns == before


def test_reports_that_the_caller_missed_are_yielded_again(finished):
    the_plan, reports, _ = finished
    assert list(run_trial(the_plan, tracker=Recorder(), after=3)) == reports[3:]


def test_results_that_a_kill_left_unfinished_are_made_again(finished):
    the_plan, _, _ = finished
    expected = result(the_plan.folder)
    (the_plan.folder / "result.json").unlink()
    (the_plan.folder / "best.keras").write_bytes(b"half")
    list(run_trial(the_plan, tracker=Recorder()))
    found = result(the_plan.folder)
    assert found["metrics"] == expected["metrics"]
    load_model(the_plan.folder / "best.keras", sha256=found["model_sha256"])


class Dies(BaseException):
    """Nothing in a trial catches it."""


class Dying(Recorder):
    """Raises after the first checkpoint behind some candidates: its report is not received."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self.after = after

    def metrics(self, values, *, step):
        if step > self.after:
            raise Dies


def die(the_plan, *, after):
    with pytest.raises(Dies):
        list(run_trial(the_plan, tracker=Dying(after=after)))


def be_killed(the_plan, *, after):
    settings = {"network": "of_all_kinds", **RESUMABLE}
    train_and_be_killed(the_plan.dataset, the_plan.folder, after=after, **settings)


@pytest.mark.parametrize("end", [die, pytest.param(be_killed, marks=pytest.mark.slow)])
def test_killed_between_checkpoint_and_report_it_goes_on_with_the_same_weights(
    finished, dataset, tmp_path, end
):
    """By default in this process; `search/test_kill.py` kills whole workers."""
    reference, expected, _ = finished
    the_plan, tracker = plan(dataset, tmp_path, network="of_all_kinds", **RESUMABLE), Recorder()
    end(the_plan, after=400)
    assert [r.number for r in run_trial(the_plan, tracker=tracker)] == [3, 4, 5]
    assert tracker.points["val_loss", 448] == expected[1].metrics["val_loss"]
    assert_same_training(reference.folder, tmp_path)


def test_without_a_whole_checkpoint_no_training_starts_again(copied):
    for path in (copied.folder / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CorruptError, match="delete"):
        next(run_trial(copied, tracker=Recorder()))


def test_a_checkpoint_of_other_settings_is_refused_with_the_difference(copied):
    settings = {**RESUMABLE, "learning_rate": 0.1}
    other = plan(copied.dataset, copied.folder, network="of_all_kinds", **settings)
    with pytest.raises(UsageError, match=r"training\.learning_rate: was 0\.01, is 0\.1"):
        next(run_trial(other, tracker=Recorder()))


def test_a_checkpoint_of_another_training_method_is_refused(copied, monkeypatch):
    """Such as checkpoints from before LSTMs had their correct gradient."""
    monkeypatch.setattr(trial_identity, "METHOD", 4)
    with pytest.raises(UsageError, match=r"training method 3, this version has method 4"):
        next(run_trial(copied, tracker=Recorder()))


def test_trials_in_one_process_do_not_touch_each_other(finished, dataset, tmp_path):
    """The same trial gives the same numbers whatever ran before it, and seeds differ."""
    _, (expected, *_), _ = finished
    found = {}
    for seed in (2, 1):
        folder = tmp_path / str(seed)
        the_plan = plan(dataset, folder, network="of_all_kinds", seed=seed, **RESUMABLE)
        found[seed] = first_report(the_plan).metrics["val_loss"]
    assert found[1] == expected.metrics["val_loss"] != found[2]


def test_early_stopping_ends_the_trial_and_the_best_network_is_kept(dataset, tmp_path):
    the_plan = plan(
        dataset,
        tmp_path,
        epochs=50,
        learning_rate=1e-9,
        objective="auc",
        early_stopping={"patience": 2, "min_delta": 0.1},
    )
    reports = list(run_trial(the_plan, tracker=Recorder()))
    assert len(reports) == 3
    assert reports[-1].done
    assert result(tmp_path)["ended"] == "early stopping"


def test_at_equal_values_the_weights_with_the_lowest_loss_are_kept(dataset, tmp_path, monkeypatch):
    """An objective that few candidates decide stays constant while the network learns."""

    def still(name, predictions):
        found = measure(name, predictions)
        return found if name.metric == "auc" else Estimate(2660.0, 836.0, 8471.0)

    monkeypatch.setattr(train_trial, "measure", still)
    patient = {"patience": 1, "min_delta": 0.0}
    the_plan = plan(
        dataset, tmp_path, epochs=4, learning_rate=0.003, early_stopping=patient,
        monitor="objective",
    )  # fmt: skip
    reports = list(run_trial(the_plan, tracker=Recorder()))
    losses = [report.metrics["val_loss"] for report in reports]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4
    assert result(tmp_path)["best_report"] == 4


def test_a_plateau_lowers_the_learning_rate(dataset, tmp_path):
    the_plan = plan(
        dataset,
        tmp_path,
        epochs=9,
        optimizer="sgd",
        learning_rate=10.0,
        momentum=0.0,
        reduce_on_plateau={"patience": 1, "factor": 0.5},
    )
    for report in run_trial(the_plan, tracker=Recorder()):
        if report.metrics["learning_rate"] < 10.0:
            break
    assert report.metrics["learning_rate"] == 5.0
    assert report.number > 2


def test_a_trial_trains_straight_from_the_ntuples(tmp_path):
    write(tmp_path / "in" / "a.root", columns(900))
    settings = ntuple_dataset(tmp_path / "in", stream="direct", chunk_size=300)
    folder = prepare(settings, cache=tmp_path / "cache")
    the_plan = plan(folder, tmp_path / "trial", network="of_all_kinds")
    task = Task(classes={"jet": ("jet",), "tau": ("tau",)}, signal=("tau",))
    experiment = the_plan.experiment.model_copy(update={"task": task})
    reports = list(run_trial(replace(the_plan, experiment=experiment), tracker=Recorder()))
    assert [report.candidates_seen for report in reports] == [576, 1088]
    assert result(tmp_path / "trial")["dataset_digest"] == open_dataset(folder).digest


def damaged(dataset: Path, folder: Path, split: str, file: str, change) -> Path:
    """Copy a dataset and change the arrays of a split in place."""
    copy = folder / dataset.name
    copy.mkdir()
    (copy / "manifest.json").write_bytes((dataset / "manifest.json").read_bytes())
    for path in dataset.glob("*/*.npy"):
        array = np.load(path)
        if path.parent.name.startswith(split) and path.name == file:
            change(array)
        (copy / path.parent.name).mkdir(exist_ok=True)
        np.save(copy / path.parent.name / path.name, array)
    return copy


def test_a_loss_that_is_not_finite_fails_the_trial_at_once(dataset, tmp_path):
    def spoil(array):
        array[3] = np.nan

    bad = damaged(dataset, tmp_path, "train", "weights.npy", spoil)
    with pytest.raises(TrialFailed, match="training loss became nan"):
        list(run_trial(plan(bad, tmp_path / "trial"), tracker=Recorder()))


def test_output_that_is_not_finite_fails_the_trial(dataset, tmp_path):
    def spoil(array):
        array[3, 0] = np.nan

    bad = damaged(dataset, tmp_path, "validation", "candidate.npy", spoil)
    # Its activation is swish: some processors' fused ReLU makes NaN a zero.
    the_plan = plan(bad, tmp_path / "trial", network="of_all_kinds")
    with pytest.raises(TrialFailed, match="output is not finite"):
        list(run_trial(the_plan, tracker=Recorder()))


def test_a_chunk_that_is_not_what_the_manifest_says_is_named(dataset, tmp_path):
    def spoil(array):
        array[:] = 0

    bad = damaged(dataset, tmp_path, "train", "labels.npy", spoil)
    with pytest.raises(CorruptError, match=r"train-0000.*labels"):
        list(run_trial(plan(bad, tmp_path / "trial"), tracker=Recorder()))


def test_one_class_only_is_refused_before_training(dataset, tmp_path):
    the_plan = plan(dataset, tmp_path)
    task = the_plan.experiment.task.model_copy(
        update={"classes": {"jet": ("jet",), "tau": ()}, "signal": ("tau",)}
    )
    experiment = the_plan.experiment.model_copy(update={"task": task})
    wrong = type(the_plan)(**{**vars(the_plan), "experiment": experiment})
    with pytest.raises(DataError, match="no candidate of task class 'tau'"):
        next(run_trial(wrong, tracker=Recorder()))
    assert not (tmp_path / "checkpoints").exists()


def test_validation_is_not_training(dataset):
    """A regression: two splits with one seed had the same candidates."""
    opened = open_dataset(dataset)
    train, validation, test = (
        set(split.columns(["event_numbers"])["event_numbers"])
        for split in (opened.train, opened.validation, opened.sealed_test(opened_by="a test"))
    )
    assert not train & validation
    assert not validation & test


def test_the_network_sees_objects_by_object_then_variable(dataset, tmp_path):
    data = TrialData(open_dataset(dataset), plan(dataset, tmp_path, network="rnn").experiment, 1)
    batch = next(
        batches(data.dataset.train, spec=data.spec, label_map=data.label_map, batch_size=8)
    )
    features = len(data.spec.group("tracks").features)
    assert batch.inputs["tracks"].shape == (8, 3, features)
    assert batch.inputs["tracks_mask"].dtype == bool
    assert not batch.inputs["tracks"][~batch.inputs["tracks_mask"]].any()


@pytest.mark.parametrize("package", ["models", "training"])
def test_nothing_stops_for_a_debugger(package):
    for path in (ROOT / "tauopt" / package).rglob("*.py"):
        text = path.read_text()
        assert "breakpoint()" not in text
        assert "set_trace" not in text
