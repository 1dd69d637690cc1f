from __future__ import annotations

import itertools
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.settings.experiment import Task
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset, open_dataset
from tauopt.errors import CorruptError
from tauopt.stream.batches import Batch, batches, kept
from tauopt.training.rungs import Growth, Rungs
from tests.prepared_factory import CLASSES, prepared_dataset
from tests.stream.test_padding import slow_pad

TASK = Task(
    classes={"tau": ("1p0n", "1p1n", "3p0n"), "jet": ("jet",)},  # 1pXn and 3pXn are left out
    signal=("tau",),
)
LABEL_MAP = task_labels(CLASSES, TASK)
LENGTHS = {"tracks": 4, "conversions": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PreparedDataset:
    folder = tmp_path_factory.mktemp("prepared")
    return open_dataset(prepared_dataset(folder, candidates=1500, chunk_size=211))


def epoch(dataset: PreparedDataset, **changes) -> list[Batch]:
    arguments = {"batch_size": 64, "seed": 3, "epoch": 0, "label_map": LABEL_MAP}
    spec = input_spec(dataset.manifest, TASK, LENGTHS)
    return list(batches(dataset.train, spec=spec, **{**arguments, **changes}))


def same(left: list[Batch], right: list[Batch]) -> bool:
    def arrays(all_batches):
        return [[b.labels, b.weights, *b.inputs.values()] for b in all_batches]

    return len(left) == len(right) and all(
        np.array_equal(x, y)
        for a, b in zip(arrays(left), arrays(right), strict=True)
        for x, y in zip(a, b, strict=True)
    )


def fingerprints(all_batches: list[Batch]) -> np.ndarray:
    """The candidates' own features, which identify each."""
    return np.concatenate([batch.inputs["candidate"] for batch in all_batches])


def test_stored_order_equals_the_slow_reference(dataset):
    got = epoch(dataset, shuffle=False)
    chunks = dataset.train.chunks
    keep = [LABEL_MAP[chunk.labels] >= 0 for chunk in chunks]

    def joined(parts):
        return np.concatenate([part[k] for part, k in zip(parts, keep, strict=True)])

    np.testing.assert_array_equal(fingerprints(got), joined([chunk.candidate for chunk in chunks]))
    np.testing.assert_array_equal(
        np.concatenate([b.labels for b in got]), LABEL_MAP[joined([c.labels for c in chunks])]
    )
    np.testing.assert_array_equal(
        np.concatenate([b.weights for b in got]), joined([c.weights for c in chunks])
    )
    for name, length in LENGTHS.items():
        lists = []
        for chunk, k in zip(chunks, keep, strict=True):
            values, offsets = chunk.group(name)
            lists += [values[offsets[i] : offsets[i + 1]] for i in np.flatnonzero(k)]
        out, mask = slow_pad(lists, list(range(len(lists))), length, lists[0].shape[1])
        np.testing.assert_array_equal(np.concatenate([b.inputs[name] for b in got]), out)
        np.testing.assert_array_equal(np.concatenate([b.inputs[f"{name}_mask"] for b in got]), mask)


def test_batch_is_as_the_input_spec_says(dataset):
    batch = epoch(dataset)[0]
    shapes = {name: (array.shape, array.dtype.name) for name, array in batch.inputs.items()}
    assert shapes == {
        "candidate": ((64, 7), "float32"),
        "tracks": ((64, 4, 5), "float32"),
        "tracks_mask": ((64, 4), "bool"),
        "conversions": ((64, 1, 3), "float32"),
        "conversions_mask": ((64, 1), "bool"),
    }
    assert batch.labels.dtype == np.int16
    assert batch.weights.dtype == np.float32
    assert set(np.unique(batch.labels)) == {0, 1}


@pytest.mark.parametrize("batch_size", [1, 64, 10_000])
def test_every_kept_candidate_comes_once_an_epoch(dataset, batch_size):
    got = epoch(dataset, batch_size=batch_size)
    total = kept(dataset.train, LABEL_MAP)
    assert [len(b.labels) for b in got[:-1]] == [batch_size] * (len(got) - 1)
    assert sum(len(b.labels) for b in got) == total
    stored = fingerprints(epoch(dataset, shuffle=False))
    assert len(np.unique(stored, axis=0)) == total
    np.testing.assert_array_equal(np.unique(fingerprints(got), axis=0), np.unique(stored, axis=0))


def test_values_stay_with_their_candidate_when_shuffled(dataset):
    def rows(all_batches):
        flat = [
            np.concatenate(
                [*(a.reshape(len(a), -1) for a in b.inputs.values()), b.labels[:, None],
                 b.weights[:, None]], axis=1,
            )
            for b in all_batches
        ]  # fmt: skip
        return np.unique(np.concatenate(flat), axis=0)

    np.testing.assert_array_equal(rows(epoch(dataset)), rows(epoch(dataset, shuffle=False)))


@pytest.mark.parametrize("batch_size", [16, 64])
def test_batches_are_identical_whatever_the_number_of_readers(dataset, batch_size, monkeypatch):
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 100)
    single = epoch(dataset, batch_size=batch_size)
    for readers in (2, 4):
        assert same(single, epoch(dataset, batch_size=batch_size, readers=readers))


def test_batches_do_not_depend_on_the_size_of_blocks(dataset, monkeypatch):
    whole = epoch(dataset)
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 1)
    assert same(whole, epoch(dataset))


def test_joined_batches_are_the_same_and_aligned_for_tensorflow(dataset):
    whole = epoch(dataset, joined=True)
    assert len(whole) < len(epoch(dataset))
    np.testing.assert_array_equal(fingerprints(whole), fingerprints(epoch(dataset)))
    for block in whole:
        assert all(array.ctypes.data % 64 == 0 for array in block.inputs.values())


@pytest.mark.parametrize("shuffle", [True, False])
def test_any_batch_boundary_gives_the_identical_continuation(dataset, shuffle):
    whole = epoch(dataset, shuffle=shuffle)
    for cut in range(len(whole) + 1):
        before = epoch(dataset, shuffle=shuffle, stop=min(cut * 64, kept(dataset.train, LABEL_MAP)))
        after = epoch(dataset, shuffle=shuffle, start=cut * 64)
        assert same(whole, before + after)


def test_epochs_and_seeds_differ(dataset):
    variants = [epoch(dataset), epoch(dataset, epoch=1), epoch(dataset, seed=4)]
    for left, right in itertools.combinations(variants, 2):
        assert not same(left, right)
    assert same(variants[0], epoch(dataset))


def test_chunks_come_in_another_order_each_epoch(dataset):
    first = {
        tuple(epoch(dataset, batch_size=16, epoch=e)[0].inputs["candidate"][0]) for e in range(8)
    }
    assert len(first) > 4


@pytest.mark.parametrize(
    "wrong",
    [{"stop": 65}, {"start": 3, "stop": 64}, {"start": -64}, {"batch_size": 0}, {"readers": 0}],
)
def test_ranges_of_no_whole_batches_are_an_error(dataset, wrong):
    with pytest.raises(ValueError, match=r"whole batches|expected batch_size"):
        epoch(dataset, **wrong)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_is_completed_from_the_next_epoch_and_none_is_short(dataset, shuffle):
    total = kept(dataset.train, LABEL_MAP)
    stop = -(-3 * total // 64) * 64
    assert total % 64
    got = epoch(dataset, shuffle=shuffle, stop=stop)
    assert {len(batch.labels) for batch in got} == {64}
    stored = np.unique(fingerprints(epoch(dataset, shuffle=False)), axis=0)
    seen = fingerprints(got)
    for number in range(3):
        once = seen[number * total : (number + 1) * total]
        np.testing.assert_array_equal(np.unique(once, axis=0), stored)
    assert same(got[:-1], epoch(dataset, shuffle=shuffle, stop=stop - 64))
    for cut in range(0, len(got), 5):
        assert same(got[cut:], epoch(dataset, shuffle=shuffle, start=cut * 64, stop=stop))


@pytest.mark.parametrize(("batch_size", "report_every"), [(64, 0), (50, 333), (700, 0), (9999, 0)])
def test_each_candidate_comes_once_an_epoch_however_batches_grow(dataset, batch_size, report_every):
    """Epochs begin within batches, and so do the larger batches that a growth brings."""
    total = kept(dataset.train, LABEL_MAP)
    rungs = Rungs(
        candidates=total, batch_size=batch_size, epochs=4, report_every=report_every,
        growth=Growth(1.7, 0.25, 600),
    )  # fmt: skip
    segments, at = [], 0
    while at < rungs.total:
        segments += rungs.segments(at, rungs.next(at))
        at = rungs.next(at)
    got = [batch for s in segments for batch in epoch(dataset, **s._asdict())]
    seen = fingerprints(got)
    stored = np.unique(fingerprints(epoch(dataset, shuffle=False)), axis=0)
    for number in range(4):
        once = seen[number * total : (number + 1) * total]
        np.testing.assert_array_equal(np.unique(once, axis=0), stored)
    sizes = [len(batch.labels) for batch in got]
    assert sizes == sorted(sizes)
    assert sum(sizes) == rungs.total < 4 * total + sizes[-1]


def test_labels_that_were_not_counted_are_an_error(tmp_path: Path):
    folder = prepared_dataset(tmp_path, candidates=60, chunk_size=100)
    path = folder / "train-00000/labels.npy"
    labels = np.load(path)
    labels[:] = 0
    np.save(path, labels)
    with pytest.raises(CorruptError, match="train-00000: labels are not those counted"):
        epoch(open_dataset(folder))


def test_abandoned_epoch_leaves_no_thread_behind(dataset):
    spec = input_spec(dataset.manifest, TASK, LENGTHS)
    stream = batches(
        dataset.train, spec=spec, label_map=LABEL_MAP, batch_size=16, seed=1, epoch=0, readers=3
    )
    next(stream)
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("tauopt-reader")]


@pytest.mark.parametrize("readers", [1, 4])
def test_memory_is_bounded_by_chunk_and_block_and_not_by_the_dataset(
    tmp_path, readers, monkeypatch
):
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 500)
    peaks = []
    for candidates in (40_000, 80_000):
        dataset = open_dataset(
            prepared_dataset(tmp_path, candidates=candidates, chunk_size=1000, groups=["tracks"])
        )
        spec = input_spec(dataset.manifest, TASK, {"tracks": 20})
        tracemalloc.start()
        for _ in batches(
            dataset.train, spec=spec, label_map=LABEL_MAP, batch_size=500, seed=1, readers=readers
        ):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000
