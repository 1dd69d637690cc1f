"""Blocks and the shuffle on disk: nothing lost, nothing doubled, uniform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.prepare import spill as module
from tauopt.prepare.blocks import Block, chunk_sizes, concatenate, rechunk
from tauopt.prepare.spill import Spill


def make_block(candidates, seed=1, first=0):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, candidates)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    numbers = first + np.arange(candidates)
    return Block(
        entries=np.arange(first, first + candidates),
        keys=rng.integers(0, 2**64, candidates, dtype=np.uint64),
        files=(numbers % 2).astype(np.int32),
        splits=(numbers % 3).astype(np.int8),
        labels=(numbers % 2).astype(np.int16),
        weights=rng.random(candidates),
        event_numbers=numbers,
        spectrum=rng.random((candidates, 1)),
        candidate=numbers[:, None].astype(np.float32) * [1, 2],
        spectators=np.empty((candidates, 0), dtype=np.float32),
        groups={"tracks": (np.repeat(numbers, counts)[:, None].astype(np.float32), offsets)},
    )


def check(block):
    """Every value belongs to its candidate."""
    values, offsets = block.groups["tracks"]
    assert offsets[0] == 0
    assert offsets[-1] == len(values)
    np.testing.assert_array_equal(
        values[:, 0], np.repeat(block.event_numbers, np.diff(offsets)).astype(np.float32)
    )
    np.testing.assert_array_equal(block.candidate[:, 0], block.event_numbers)
    np.testing.assert_array_equal(block.labels, block.event_numbers % 2)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=6), st.lists(st.integers(1, 15), max_size=8)
)
def test_blocks_are_joined_and_cut_without_loss(lengths, sizes):
    starts = np.cumsum([0, *lengths])
    blocks = [make_block(n, seed=n, first=s) for n, s in zip(lengths, starts, strict=False)]
    total, cut = sum(lengths), []
    while sum(cut) < total:
        cut.append(min((sizes or [7])[len(cut) % max(1, len(sizes))], total - sum(cut)))
    parts = list(rechunk(blocks, cut))
    assert [len(part) for part in parts] == cut
    for part in parts:
        check(part)
    joined = concatenate(parts)
    check(joined)
    assert joined.event_numbers.tolist() == list(range(total))
    check(joined.take(np.random.default_rng(1).permutation(total)))
    check(joined.take(joined.event_numbers % 3 == 0))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 100))
def test_chunks_are_as_few_and_as_equal_as_can_be(candidates, chunk_size):
    sizes = chunk_sizes(candidates, chunk_size)
    assert sum(sizes) == candidates
    assert len(sizes) == -(-candidates // chunk_size)
    assert not sizes or (max(sizes) <= chunk_size and max(sizes) - min(sizes) <= 1)


@pytest.mark.parametrize("size", [7, 40, 1000])
def test_stream_is_sorted_by_keys_whatever_the_bins(tmp_path, monkeypatch, size):
    monkeypatch.setattr(module, "_SMALLEST_BIN", 1)
    spill = Spill(tmp_path / "spill", entries=300, chunk_size=size)
    blocks = [make_block(100, seed=i, first=100 * i) for i in range(3)]
    for block in blocks:
        spill.add(block)
    spill.flush()
    everything = concatenate(blocks)
    good = np.array([True, True])
    for split, name in enumerate(["train", "validation", "test"]):
        found = concatenate(list(spill.read(name, good=good)))
        check(found)
        expected = everything.take(everything.splits == split)
        expected = expected.take(np.argsort(expected.keys))
        for column, values in expected.columns().items():
            np.testing.assert_array_equal(found.columns()[column], values)
    assert spill.bytes == sum(path.stat().st_size for path in spill.folder.iterdir())
    odd = concatenate(list(spill.read("train", good=np.array([False, True]), delete=True)))
    assert set(odd.files) == {1}
    assert not list(spill.folder.glob("train-*"))
