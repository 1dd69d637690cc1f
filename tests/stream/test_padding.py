from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types

import tauopt
from tauopt.stream.compiled_loops import compiled
from tauopt.stream.padding import pad_into, take_into

PACKAGE = Path(tauopt.__file__).parent


def slow_pad(lists: list[np.ndarray], rows: list[int], length: int, features: int):
    """Pad one object at a time: the obvious reference."""
    out = np.zeros((len(rows), length, features), np.float32)
    mask = np.zeros((len(rows), length), bool)
    for i, row in enumerate(rows):
        for j, values in enumerate(lists[row][:length]):
            out[i, j] = values
            mask[i, j] = True
    return out, mask


def jagged(lists: list[np.ndarray], features: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([np.empty((0, features), np.float32), *lists])
    return values, np.concatenate([[0], np.cumsum([len(part) for part in lists])]).astype(np.int64)


def padded(lists, rows, length, features):
    """Pad into arrays full of NaN and True, so that an element left unwritten shows."""
    out = np.full((len(rows), length, features), np.nan, np.float32)
    mask = np.ones((len(rows), length), bool)
    rows = np.array(rows, np.int64)
    pad_into(jagged(lists, features), rows, out=out, mask=mask)
    return out, mask


@settings(deadline=None, max_examples=200)
@given(
    counts=st.lists(st.integers(0, 7), min_size=1, max_size=12),
    length=st.integers(1, 9),
    features=st.integers(1, 6),
    picks=st.lists(st.integers(0, 11), max_size=20),
    seed=st.integers(0, 1000),
)
def test_padding_equals_the_slow_reference(counts, length, features, picks, seed):
    rng = np.random.default_rng(seed)
    lists = [rng.normal(size=(n, features)).astype(np.float32) for n in counts]
    rows = [pick % len(lists) for pick in picks]
    for fast, slow in zip(
        padded(lists, rows, length, features), slow_pad(lists, rows, length, features), strict=True
    ):
        np.testing.assert_array_equal(fast, slow)


def test_only_empty_lists_give_zeros_and_no_mask():
    out, mask = padded([np.empty((0, 2), np.float32)] * 3, [2, 0], 4, 2)
    assert not out.any()
    assert not mask.any()


def test_read_only_input_is_taken_as_it_is():
    values, offsets = jagged([np.ones((2, 3), np.float32)], 3)
    values.flags.writeable = offsets.flags.writeable = False
    out, mask = np.empty((1, 2, 3), np.float32), np.empty((1, 2), bool)
    pad_into((values, offsets), np.array([0]), out=out, mask=mask)
    assert out.all()
    assert mask.all()


@pytest.mark.parametrize("row", [-1, 2, 10**12])
def test_row_out_of_range_is_an_error_and_not_a_crash(row):
    lists = [np.ones((1, 2), np.float32)] * 2
    with pytest.raises(IndexError, match="of 2 candidates"):
        padded(lists, [0, row], 3, 2)
    with pytest.raises(IndexError, match="of 2 candidates"):
        take_into(np.ones((2, 3), np.float32), np.array([row]), out=np.ones((1, 3), np.float32))


def test_shapes_that_disagree_are_an_error():
    group, rows = jagged([np.ones((1, 2), np.float32)], 2), np.array([0])
    for shape, mask_shape in [((1, 3, 1), (1, 3)), ((1, 3, 2), (1, 4)), ((2, 3, 2), (2, 3))]:
        with pytest.raises(ValueError, match="do not fit"):
            pad_into(group, rows, out=np.ones(shape, np.float32), mask=np.ones(mask_shape, bool))
    with pytest.raises(ValueError, match="C-ordered"):
        take_into(np.ones((2, 4), np.float32)[:, ::2], rows, out=np.ones((1, 2), np.float32))


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 9))
def test_take_equals_indexing(rows, features):
    values = np.arange(7 * features, dtype=np.float32).reshape(7, features)
    out = np.full((len(rows), features), np.nan, np.float32)
    take_into(values, np.array(rows, np.int64), out=out)
    np.testing.assert_array_equal(out, values[np.array(rows, int)])


LOAD = """
import logging, numpy as np
logging.basicConfig()
from tauopt.stream import padding
out = np.ones((1, 2), np.float32)
padding.take_into(np.zeros((1, 2), np.float32), np.array([0]), out=out)
print(out.sum(), sum(padding._pad.stats.cache_hits.values()))
"""


def load(cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.service
def test_fresh_process_loads_instead_of_compiling_and_survives_a_damaged_cache(tmp_path):
    cache = tmp_path / "cache"
    load(cache)
    assert load(cache).stdout.split() == ["0.0", "1"]
    for entry in cache.rglob("*.nb?"):
        entry.write_bytes(entry.read_bytes()[:40])
    damaged = load(cache)
    assert damaged.stdout.split() == ["0.0", "0"]
    assert "no cache for compiled code" in damaged.stderr


def test_no_place_for_a_cache_still_compiles(caplog):
    def double(values):
        for i in range(values.shape[0]):
            values[i] *= 2

    nowhere = FunctionType(double.__code__.replace(co_filename="/nowhere/at/all.py"), globals())
    values = np.ones(3, np.float32)
    compiled(types.void(types.float32[::1]))(nowhere)(values)
    assert values.tolist() == [2, 2, 2]
    assert "NUMBA_CACHE_DIR" in caplog.text
