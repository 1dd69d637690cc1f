"""Blocks and their parts on disk: nothing lost, nothing doubled, sorted by keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.dataset.manifest import SPLITS
from tauopt.errors import DataError
from tauopt.physics.jagged import Jagged
from tauopt.prepare.candidate_blocks import Block, chunk_sizes, concatenate, rechunk
from tauopt.prepare.out_of_core_shuffle import Shuffled, keys_at
from tauopt.prepare.spill_files import SpillFile, SpillPiece, SpillWriter, read_pieces, sorted_block


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
        candidate=(numbers[:, None] * [1, 2]).astype(np.float32),
        spectators=np.empty((candidates, 0), dtype=np.float32),
        groups={"tracks": Jagged(np.repeat(numbers, counts)[:, None].astype(np.float32), offsets)},
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


def write_parts(folder, blocks, *, name="copied"):
    writer = SpillWriter(folder, name)
    for block in blocks:
        writer.add(sorted_block(block))
    writer.close()
    return writer


@pytest.mark.parametrize("size", [7, 40, 1000])
@pytest.mark.parametrize("smallest", [1, 150, 1000])
def test_stream_is_sorted_by_keys_whatever_the_bins_and_the_parts(
    tmp_path, monkeypatch, size, smallest
):
    monkeypatch.setattr("tauopt.prepare.out_of_core_shuffle.SMALLEST_BIN", 1)
    monkeypatch.setattr("tauopt.prepare.spill_files.SMALLEST", smallest)
    blocks = [make_block(100, seed=i, first=100 * i) for i in range(3)]
    files = {
        0: write_parts(tmp_path, blocks[:2], name="a").parts,
        1: write_parts(tmp_path, blocks[2:], name="b").parts,
    }
    everything = concatenate(blocks)
    arranged = Shuffled(files, chunk_size=size)
    for split, name in enumerate(SPLITS):
        found = concatenate(list(arranged.read(name)))
        check(found)
        expected = everything.take(everything.splits == split)
        expected = expected.take(np.argsort(expected.keys))
        for column, values in expected.columns().items():
            if column != "files":
                np.testing.assert_array_equal(found.columns()[column], values)
                assert found.columns()[column].dtype == values.dtype
        np.testing.assert_array_equal(found.files, found.event_numbers // 200)
        light = concatenate(list(arranged.read(name, features=False)))
        np.testing.assert_array_equal(light.weights, expected.weights)
        assert light.candidate.shape == (len(expected), 0)
        assert not light.groups
        assert sum(arranged.sizes(name)) == len(expected)


@given(
    st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=9), min_size=1, max_size=5),
    st.integers(0, 2**64 - 1),
    st.data(),
)
def test_keys_at_places_are_those_of_the_sorted_keys(parts, most, data):
    parts = [np.array([key % (most + 1) for key in part], np.uint64) for part in parts]
    everything = sorted(key for part in parts for key in part.tolist())
    places = st.lists(st.integers(0, len(everything) - 1)) if everything else st.just([])
    ranks = np.array(sorted(data.draw(places)), np.int64)
    assert keys_at(ranks, lambda: parts).tolist() == [everything[rank] for rank in ranks]


def test_a_bin_is_a_chunk_where_chunks_are_large(tmp_path, monkeypatch):
    monkeypatch.setattr("tauopt.prepare.out_of_core_shuffle.SMALLEST_BIN", 1)
    files = {0: write_parts(tmp_path, [make_block(300)]).parts}
    arranged = Shuffled(files, chunk_size=30)
    assert [len(block) for block in arranged.read("train")] == arranged.sizes("train") == [25] * 4


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 30), st.integers(0, 30))
def test_a_piece_of_a_part_is_read_without_the_rest(tmp_path_factory, one, other):
    block = sorted_block(make_block(90))
    (part,) = write_parts(tmp_path_factory.mktemp("part"), [block]).parts
    start, stop = sorted((one, other))
    first = part.first("validation")
    found = read_pieces([SpillPiece(part, 3, first + start, first + stop)], "validation")
    expected = block.take(np.arange(first + start, first + stop))
    check(found)
    for column, values in expected.columns().items():
        if column != "files":
            np.testing.assert_array_equal(found.columns()[column], values)
    assert set(found.files) <= {3}
    np.testing.assert_array_equal(part.keys("validation"), block.keys[first : first + 30])


def test_sizes_of_parts_are_known_without_reading_them(tmp_path):
    writer = write_parts(tmp_path, [make_block(90), make_block(5)])
    assert [part.bytes for part in writer.parts] == [
        path.stat().st_size for path in sorted(tmp_path.iterdir())
    ]
    assert writer.bytes == sum(part.bytes for part in writer.parts)


def test_part_that_was_removed_or_cut_is_named(tmp_path):
    (part,) = write_parts(tmp_path, [make_block(90)]).parts
    whole = SpillPiece(part, 0, 0, 30)
    with part.path.open("r+b") as stream:
        stream.truncate(part.bytes - 1000)
    with pytest.raises(DataError, match=r"copied-00000\.bin: ends too early"):
        read_pieces([whole], "train")
    part.path.unlink()
    with pytest.raises(DataError, match=r"copied-00000\.bin: was removed meanwhile"):
        read_pieces([whole], "train")


def test_candidates_without_objects_or_features_are_kept(tmp_path):
    block = make_block(30).without_features()
    (part,) = write_parts(tmp_path, [block]).parts
    assert isinstance(part, SpillFile)
    found = read_pieces([SpillPiece(part, 0, 0, 10)], "train")
    assert found.candidate.shape == (10, 0)
    assert sorted(found.event_numbers) == list(range(0, 30, 3))
