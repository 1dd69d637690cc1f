"""Parquet and Feather: records, missing values and kinds of columns."""

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tauopt.errors import DataError
from tauopt.ntuples.arrow import Feather, Parquet
from tauopt.ntuples.bad_files import BadFileError
from tauopt.physics.jagged import Jagged, to_awkward

WRITERS = {
    "parquet": (Parquet, pq.write_table),
    "feather": (Feather, pyarrow.feather.write_feather),
}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    """Return a function that writes columns and returns the source."""
    kind, write = WRITERS[request.param]

    def make(**columns):
        path = tmp_path / f"a.{request.param}"
        write(pa.table(columns), path)
        return kind(path)

    return make


def read(source, *branches, step=2):
    steps = list(source.iterate(branches, step=step))
    parts = [[to_awkward(s[b]) if isinstance(s[b], Jagged) else s[b] for s in steps]
             for b in branches]  # fmt: skip
    return [ak.concatenate(part).to_list() for part in parts]


def test_fields_of_records_are_branches(written):
    tracks = [[{"pt": 1.0, "d0": {"value": 4}}], [], [{"pt": 2.0, "d0": {"value": 5}}] * 2]
    source = written(tracks=tracks, jet=[{"pt": 1.5, "p": [1, 2]}] * 3)
    assert set(source.columns()) == {"tracks.pt", "tracks.d0.value", "jet.pt", "jet.p"}
    got = read(source, "tracks.pt", "tracks.d0.value", "jet.pt", "jet.p")
    assert got == [[[1.0], [], [2.0, 2.0]], [[4], [], [5, 5]], [1.5] * 3, [[1, 2]] * 3]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.int8()),
                                  pa.list_(pa.int64(), 2)])  # fmt: skip
def test_every_kind_of_list_is_read(written, kind):
    values = [[1, 2], [3, 4], [5, 6]]
    assert read(written(x=pa.array(values, kind)), "x") == [values]


@pytest.mark.parametrize("kind", [pa.bool_(), pa.uint64(), pa.float16(), pa.float64()])
def test_every_kind_of_number_is_read(written, kind):
    values = [1, 0, 1] if kind != pa.bool_() else [True, False, True]
    assert read(written(x=pa.array(values, kind)), "x") == [values]


def test_a_missing_float_is_nan_and_anything_else_missing_is_an_error(written):
    source = written(x=[1.0, None, 2.0], n=[1, None, 2], lists=[[1.0], None, [None]])
    assert repr(read(source, "x")) == "[[1.0, nan, 2.0]]"
    for name in ("n", "lists"):
        with pytest.raises(
            DataError, match=rf"a\.\w+: branch '{name}' from entry \d on holds 1 missing"
        ):
            read(source, name)


def test_a_float_missing_in_a_list_is_nan(written):
    (got,) = read(written(lists=[[1.0, None], []]), "lists")
    assert np.isnan(got[0][1])


def test_what_is_not_numbers_is_refused_all_at_once(written):
    source = written(name=["a", "b"], deep=[[[1.0]], []])
    with pytest.raises(DataError) as caught:
        source.inspect(["name", "deep"])
    assert "branch 'name' is string, expected numbers" in str(caught.value)
    assert "branch 'deep' is list of list" in str(caught.value)


def test_magic_bytes_decide_the_format_whatever_the_suffix(written, tmp_path):
    from tauopt.ntuples.file_formats import open_source

    source = written(x=[1.0, 2.0])
    other = source.path.rename(tmp_path / "ntuple.root")
    assert type(open_source(other, tree="candidates")) is type(source)


def test_the_error_of_a_feather_file_of_version_1_names_it(tmp_path):
    path = tmp_path / "old.feather"
    path.write_bytes(b"FEA1" + bytes(100) + b"FEA1")
    with pytest.raises(BadFileError, match=r"old\.feather: "):
        Feather(path).inspect(["x"])
