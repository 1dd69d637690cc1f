"""The contract of all formats in which scores are written."""

from __future__ import annotations

import awkward as ak
import h5py
import numpy as np
import pyarrow.parquet
import pytest
import uproot

from tauopt.errors import DataError
from tauopt.ntuples.friend import TREE
from tauopt.ntuples.friend_formats import FORMATS

COLUMNS = {"p": np.dtype("float32"), "passes": np.dtype("bool"), "n": np.dtype("int64")}


def parts(*sizes):
    rng = np.random.default_rng(1)
    return [
        {
            "p": rng.random(size, np.float32),
            "passes": rng.random(size) < 0.5,
            "n": rng.integers(-5, 5, size),
        }
        for size in sizes
    ]


def read_root(path):
    with uproot.open(path) as file:
        array = file[TREE].arrays()
    return {name: ak.to_list(array[f"{TREE}_{name}"]) for name in COLUMNS}


def read_parquet(path):
    table = pyarrow.parquet.read_table(path)
    return {name: table[f"{TREE}_{name}"].to_pylist() for name in COLUMNS}


def read_hdf5(path):
    with h5py.File(path) as file:
        group = file[TREE]
        columns = {name: group[name][:] for name in COLUMNS}
        if "counts" in group:
            return {
                name: ak.to_list(ak.unflatten(v, group["counts"][:])) for name, v in columns.items()
            }
        return {name: values.tolist() for name, values in columns.items()}


READ = {"root": read_root, "parquet": read_parquet, "hdf5": read_hdf5}
EACH = pytest.mark.parametrize("format", FORMATS)


def test_every_format_is_tested():
    assert set(READ) == set(FORMATS)


def whole(steps):
    return {name: np.concatenate([step[name] for step in steps]).tolist() for name in COLUMNS}


@EACH
def test_columns_come_back_in_order_whatever_the_steps(tmp_path, format):
    path, steps = tmp_path / "a", parts(5, 0, 3, 1)
    written = FORMATS[format].write(path, steps, columns=COLUMNS, record={"of": "x"})
    assert written == 9
    assert READ[format](path) == whole(steps)
    assert FORMATS[format].record(path) == {"of": "x"}


@EACH
def test_entries_that_are_events_come_back_as_lists(tmp_path, format):
    path, steps = tmp_path / "a", parts(3, 0, 4)
    counts = np.array([0, 2, 1, 0, 3, 0, 1, 0])
    written = FORMATS[format].write(path, steps, columns=COLUMNS, counts=counts, record={})
    assert written == 8
    expected = {
        name: ak.to_list(ak.unflatten(np.array(values), counts))
        for name, values in whole(steps).items()
    }
    assert READ[format](path) == expected


@EACH
def test_events_without_any_candidate_are_written(tmp_path, format):
    counts = np.zeros(5, np.int64)
    made = FORMATS[format].write(tmp_path / "a", [], columns=COLUMNS, counts=counts, record={})
    assert made == 5
    assert READ[format](tmp_path / "a")["p"] == [[]] * 5


@EACH
def test_a_wrong_number_of_candidates_leaves_no_file(tmp_path, format):
    with pytest.raises(DataError, match=r"within an event|expected"):
        FORMATS[format].write(
            tmp_path / "a", parts(3, 4), columns=COLUMNS, counts=np.array([4, 4]), record={}
        )
    assert not list(tmp_path.iterdir())


@EACH
def test_a_failure_leaves_the_previous_file(tmp_path, format):
    path = tmp_path / "a"
    FORMATS[format].write(path, parts(2), columns=COLUMNS, record={"of": "first"})
    before = path.read_bytes()

    def failing():
        yield parts(3)[0]
        raise DataError("the input ends")

    with pytest.raises(DataError, match="the input ends"):
        FORMATS[format].write(path, failing(), columns=COLUMNS, record={"of": "second"})
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


@EACH
@pytest.mark.parametrize("content", [None, b"", b"x" * 100])
def test_a_file_of_another_writer_has_no_record(tmp_path, format, content):
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    assert FORMATS[format].record(path) == {}


@EACH
def test_a_file_cut_short_has_no_record(tmp_path, format):
    path = tmp_path / "a"
    FORMATS[format].write(path, parts(5000), columns=COLUMNS, record={"of": "x"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert FORMATS[format].record(path) == {}
