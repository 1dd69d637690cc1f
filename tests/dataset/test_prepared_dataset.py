"""Prepared datasets on disk: reading, damage, writing of chunks, and inputs of a network."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.settings.experiment import Task
from tauopt.dataset.chunk_writer import write_chunk
from tauopt.dataset.manifest import VERSION, read_manifest
from tauopt.dataset.network_inputs import check_task, class_weights, input_spec, task_labels
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import CorruptError, DataError, InvalidNameError
from tests.prepared_factory import CLASSES, prepared_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return prepared_dataset(tmp_path_factory.mktemp("prepared"), candidates=900, chunk_size=200)


@pytest.fixture
def damaged(tmp_path) -> Path:
    return prepared_dataset(tmp_path, candidates=60, chunk_size=20, groups=["tracks"])


def task(**classes: list[str]) -> Task:
    return Task(classes=classes, signal=("tau",))


ALL = task(jet=["jet"], tau=list(CLASSES[1:]))


def test_manifest_totals_are_those_of_the_chunks(folder):
    dataset = open_dataset(folder)
    dataset.verify()
    for split in (dataset.train, dataset.validation, dataset.sealed_test(opened_by="a test")):
        info = dataset.manifest.splits[split.name]
        columns = split.columns(["labels", "weights", "event_numbers", "prongs"])
        assert split.candidates == info.candidates == len(columns["labels"])
        for index, name in enumerate(CLASSES):
            here = columns["labels"] == index
            assert info.counts[name] == here.sum()
            assert info.weights[name] == pytest.approx(columns["weights"][here].sum(), rel=1e-5)
        assert set(np.unique(columns["prongs"])) <= {1, 3}


def test_splits_share_no_event(folder):
    dataset = open_dataset(folder)
    splits = (dataset.train, dataset.validation, dataset.sealed_test(opened_by="a test"))
    events = np.concatenate([split.columns(["event_numbers"])["event_numbers"] for split in splits])
    assert len(np.unique(events)) == len(events) == 900


def test_arrays_are_mapped_and_read_only(folder):
    chunk = open_dataset(folder).train.chunks[0]
    values, offsets = chunk.group("tracks")
    assert values.base is not None
    assert offsets[-1] == len(values)
    with pytest.raises(ValueError, match="read-only"):
        chunk.candidate[0, 0] = 1


def test_dataset_is_pickled_as_its_path(folder):
    dataset = open_dataset(folder)
    content = pickle.dumps(dataset)
    assert len(content) < 500
    assert pickle.loads(content) == dataset


def test_opening_the_test_split_is_logged_and_needs_a_name(folder, caplog):
    dataset = open_dataset(folder)
    with caplog.at_level(logging.INFO):
        dataset.sealed_test(opened_by="promote 3f2a")
    assert "promote 3f2a" in caplog.text
    with pytest.raises(DataError, match="sealed"):
        dataset.sealed_test(opened_by=" ")
    assert not hasattr(dataset, "test")


def test_unknown_column_names_the_nearest(folder):
    with pytest.raises(DataError, match="did you mean 'prongs'"):
        open_dataset(folder).train.columns(["prong"])


def test_missing_manifest_is_an_unfinished_dataset(damaged):
    (damaged / "manifest.json").unlink()
    with pytest.raises(DataError, match="no prepared dataset here"):
        open_dataset(damaged)


def test_newer_format_is_refused_before_its_fields_are_checked(damaged):
    (damaged / "manifest.json").write_text(f'{{"version": {VERSION + 1}, "novelty": 1}}')
    with pytest.raises(DataError, match="newer tauopt"):
        read_manifest(damaged)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": "1"}', "\xff"])
def test_damaged_manifest_is_named(damaged, content):
    (damaged / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CorruptError, match=r"manifest\.json"):
        open_dataset(damaged)


def test_short_and_missing_files_are_noticed_at_open_and_all_named(damaged):
    short, gone = damaged / "train-00000/weights.npy", damaged / "test-00000/labels.npy"
    short.write_bytes(short.read_bytes()[:-1])
    gone.unlink()
    with pytest.raises(CorruptError) as caught:
        open_dataset(damaged)
    assert str(short) in str(caught.value)
    assert str(gone) in str(caught.value)


def test_flipped_bit_is_noticed_by_verify(damaged):
    path = damaged / "train-00000/candidate.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"train-00000/candidate\.npy"):
        open_dataset(damaged).verify()


def test_offsets_out_of_range_never_reach_compiled_code(damaged):
    path = damaged / "train-00000/tracks.offsets.npy"
    offsets = np.load(path)
    offsets[3] = 10**9
    np.save(path, offsets)
    with pytest.raises(CorruptError, match="offsets decrease"):
        open_dataset(damaged).train.chunks[0].group("tracks")


def test_array_of_another_dtype_is_noticed(damaged):
    path = damaged / "train-00000/weights.npy"
    np.save(path, np.load(path).view(np.int32))
    with pytest.raises(CorruptError, match="expected float32"):
        _ = open_dataset(damaged).train.chunks[0].weights


def chunk_arguments() -> dict:
    return {
        "classes": CLASSES,
        "labels": np.array([0, 1]),
        "weights": np.ones(2),
        "event_numbers": np.arange(2),
        "candidate": np.ones((2, 3)),
        "groups": {"tracks": (np.ones((3, 2)), np.array([0, 3, 3]))},
        "spectators": np.ones((2, 0)),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 6])}, "labels from 0 to 5, got 0 to 6"),
        ({"labels": np.array([], int)}, "got none"),
        ({"weights": np.ones(3)}, "expected 2 rows of weights, .* got 3"),
        ({"weights": np.array([1, np.nan])}, "1 values of weights are NaN"),
        ({"candidate": np.full((2, 3), 1e300)}, "6 values of candidate are NaN or infinite"),
        ({"groups": {"tracks": (np.ones((3, 2)), np.array([0, 3, 4]))}}, "0 to 3"),
        ({"groups": {"tracks": (np.ones((3, 2)), np.array([0, 3]))}}, "expected 3 offsets"),
    ],
)
def test_bad_chunk_is_not_written(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        write_chunk(tmp_path, "train-00000", **{**chunk_arguments(), **change})
    assert not list(tmp_path.iterdir())


def test_group_name_may_not_leave_the_folder(tmp_path):
    groups = {"../tracks": (np.ones((3, 2)), np.array([0, 3, 3]))}
    with pytest.raises(InvalidNameError):
        write_chunk(tmp_path, "train-00000", **{**chunk_arguments(), "groups": groups})


def test_task_labels_follow_the_task_and_leave_classes_out():
    labels = task_labels(CLASSES, task(tau=["3p0n", "1p0n"], jet=["jet"]))
    assert labels.tolist() == [1, 0, -1, -1, 0, -1]
    assert labels.dtype == np.int16


def test_unknown_or_doubled_class_is_an_error():
    with pytest.raises(DataError, match="did you mean '1p1n'"):
        task_labels(CLASSES, task(jet=["jet"], tau=["1p1m"]))
    with pytest.raises(DataError, match="two task classes"):
        task_labels(CLASSES, task(jet=["jet"], tau=["jet"]))


def test_input_spec_selects_groups(folder):
    manifest = open_dataset(folder).manifest
    spec = input_spec(manifest, ALL, {"clusters": 3, "tracks": 5})
    assert [group.name for group in spec.groups] == ["clusters", "tracks"]
    assert spec.classes == ("jet", "tau")
    with pytest.raises(DataError, match="did you mean 'tracks'"):
        input_spec(manifest, ALL, {"track": 5})


def test_equal_balance_gives_each_task_class_the_same_sum(folder):
    dataset = open_dataset(folder)
    factors = class_weights(dataset.manifest, ALL, "equal")
    columns = dataset.train.columns(["labels", "weights"])
    label = task_labels(CLASSES, ALL)[columns["labels"]]
    sums = np.bincount(label, columns["weights"] * factors[label])
    assert sums[0] == pytest.approx(sums[1])
    assert sums.sum() == pytest.approx(len(label))
    plain = class_weights(dataset.manifest, ALL, "none")
    assert plain[0] == plain[1]
    assert (columns["weights"] * plain[label]).sum() == pytest.approx(len(label))


SEPARATE = Task(classes={name: (name,) for name in CLASSES}, signal=CLASSES[1:])


def class_sums(dataset, *arguments, **factors):
    """Return the sum of weights in the loss of each class of `SEPARATE`."""
    given = class_weights(dataset.manifest, SEPARATE, *arguments, factors=factors)
    columns = dataset.train.columns(["labels", "weights"])
    label = columns["labels"]
    return np.bincount(label, columns["weights"] * given[label]), columns


def test_signal_balance_gives_signal_and_background_the_same_sum(folder):
    sums, columns = class_sums(open_dataset(folder), "signal")
    assert sums[0] == pytest.approx(sums[1:].sum())
    assert sums.sum() == pytest.approx(len(columns["labels"]))
    plain = np.bincount(columns["labels"], columns["weights"])
    np.testing.assert_allclose(sums[1:] / sums[1], plain[1:] / plain[1], rtol=1e-5)


@pytest.mark.parametrize("balance", ["equal", "signal", "none"])
def test_class_weights_come_on_top_of_the_balance(folder, balance):
    dataset = open_dataset(folder)
    before, _ = class_sums(dataset, balance)
    after, columns = class_sums(dataset, balance, **{"jet": 3.0, "1p1n": 0.5})
    factors = np.array([3.0, 1.0, 0.5, 1.0, 1.0, 1.0])
    expected = before * factors * before.sum() / (before * factors).sum()
    np.testing.assert_allclose(after, expected, rtol=1e-5)
    assert after.sum() == pytest.approx(len(columns["labels"]))


def test_a_class_weight_of_no_task_class_is_an_error(folder):
    manifest = open_dataset(folder).manifest
    with pytest.raises(DataError, match="did you mean 'tau'"):
        class_weights(manifest, ALL, "equal", factors={"taus": 2.0})


def test_class_without_candidates_in_a_split_is_an_error(folder):
    manifest = open_dataset(folder).manifest

    def emptied(split: str, *names: str):
        info = manifest.splits[split]
        new = info.model_copy(update={"counts": {**info.counts, **dict.fromkeys(names, 0)}})
        return manifest.model_copy(update={"splits": {**manifest.splits, split: new}})

    check_task(manifest, ALL)
    with pytest.raises(DataError, match=r"training split holds no candidate of task class 'jet'"):
        check_task(emptied("train", "jet"), ALL)
    with pytest.raises(DataError, match=r"validation split holds no candidate of .* 'tau' \("):
        check_task(emptied("validation", *CLASSES[1:]), ALL)
    with pytest.raises(DataError, match=r"'jet' \(task.classes: jet\); it holds 1p0n"):
        check_task(emptied("validation", "jet"), ALL)
    check_task(emptied("validation", "1p0n"), ALL)
