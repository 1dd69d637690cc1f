"""Reading TTrees by their baskets gives what uproot gives, for every type and range."""

import os
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from tauopt.ntuples.baskets import BranchReader, _without_headers, baskets_of, stores_offsets
from tauopt.ntuples.root import TreeReader
from tauopt.ntuples.root_files import is_jagged, open_tree
from tauopt.physics.jagged import Jagged, to_awkward

TYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "float32",
    "float64",
)
ENTRIES = 700
CODECS = {
    "none": None,
    "zlib": uproot.ZLIB(1),
    "lzma": uproot.LZMA(1),
    "lz4": uproot.LZ4(1),
    "zstd": uproot.ZSTD(3),
}


def some_of_all_types(rng):
    """Return columns of one number, of three and of any number an entry, for every type."""
    counts = rng.integers(0, 5, ENTRIES) * rng.integers(0, 2, ENTRIES)
    columns = {}
    for kind in TYPES:
        values = rng.integers(0, 200, (ENTRIES, 3)) - (0 if kind[0] in "bu" else 100)
        columns[f"{kind}_one"] = values[:, 0].astype(kind)
        if kind != "bool":  # uproot writes no arrays of them
            columns[f"{kind}_three"] = values.astype(kind)
        content = rng.integers(0, 100, counts.sum()).astype(kind)
        columns[f"{kind}_lists"] = ak.unflatten(content, counts)
    return columns


@pytest.fixture(scope="module", params=CODECS)
def written(request, tmp_path_factory):
    columns = some_of_all_types(np.random.default_rng(3))
    path = tmp_path_factory.mktemp("trees") / f"{request.param}.root"
    with uproot.recreate(path, compression=CODECS[request.param]) as file:
        file.mktree("t", {name: ak.type(ak.Array(v)).content for name, v in columns.items()})
        for first, last in ((0, 1), (1, 300), (300, 301), (301, ENTRIES)):
            file["t"].extend({name: values[first:last] for name, values in columns.items()})
    return path, columns


def plain(column):
    if isinstance(column, Jagged):
        assert (column.offsets[0], column.offsets[-1]) == (0, len(column.content))
        return to_awkward(column).tolist()
    return column.tolist()


def test_every_type_and_codec_is_read_from_any_entry_to_any_other(written):
    path, columns = written
    reader = TreeReader(path, "t", list(columns))
    assert not reader._others  # none is left to uproot
    rng = np.random.default_rng(4)
    ranges = [sorted(rng.choice(ENTRIES + 1, 2, replace=False).tolist()) for _ in range(12)]
    for start, stop in [(0, ENTRIES), (0, 1), (300, 301), *ranges]:
        got = reader.read(start, stop)
        for name, values in columns.items():
            assert plain(got[name]) == values[start:stop].tolist(), (name, start, stop)
            dtype = (got[name].content if isinstance(got[name], Jagged) else got[name]).dtype
            assert dtype == np.dtype(name.partition("_")[0])


def test_steps_decompress_each_basket_once(written, monkeypatch):
    path, columns = written
    seeks = []
    pread = os.pread

    def counted(file, size, seek):
        seeks.append(seek)
        return pread(file, size, seek)

    reader = TreeReader(path, "t", list(columns))
    monkeypatch.setattr(os, "pread", counted)
    steps = list(reader.steps(0, ENTRIES, step=64))
    for name, values in columns.items():
        got = [value for step in steps for value in plain(step[name])]
        assert got == values.tolist()
    assert len(seeks) == len(set(seeks)) == 4 * len(columns)


def test_lists_of_one_number_are_lists(tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(6, 1)
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("t", {"x": (values.dtype, (1,))})
        file["t"].extend({"x": values})
    reader = TreeReader(tmp_path / "a.root", "t", ["x"])
    assert not reader._others
    assert plain(reader.read(2, 5)["x"]) == values[2:5].tolist()


def test_of_a_large_basket_only_the_range_is_decoded(tmp_path, monkeypatch):
    """Else a file that was written in one go costs the square of its length."""
    lists = ak.unflatten(np.arange(8000.0), np.full(2000, 4))
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("t", {"x": "int32", "y": "var * float64"})
        file["t"].extend({"x": np.arange(2000, dtype=np.int32), "y": lists})
    sizes, concatenate = [], np.concatenate

    def counted(parts, **options):
        sizes.append(sum(map(len, parts)))
        return concatenate(parts, **options)

    monkeypatch.setattr(np, "concatenate", counted)
    got = list(TreeReader(tmp_path / "a.root", "t", ["x", "y"]).steps(0, 2000, step=100))
    assert [value for step in got for value in plain(step["y"])] == lists.tolist()
    assert max(sizes) == 400


def with_offsets(path, change):
    """Write lists of two numbers, and damage what the basket says of where they begin."""
    lists = ak.unflatten(np.arange(200, dtype=np.int32), np.full(100, 2))
    with uproot.recreate(path, compression=None) as file:
        file.mktree("t", {"y": "var * int32"})
        file["t"].extend({"y": lists})
    with open_tree(path, "t") as tree:
        baskets = baskets_of(tree["y"])
    whole = bytearray(path.read_bytes())
    end = int(baskets.seeks[0] + baskets.sizes[0])
    places = np.frombuffer(whole[end - 4 * 101 : end], ">i4").copy()
    change(places)
    whole[end - 4 * 101 : end] = places.tobytes()
    path.write_bytes(whole)
    return baskets


@pytest.mark.parametrize("amount", [-100_000, -3, 3, 100_000])
@pytest.mark.parametrize(
    ("place", "start", "stop"),
    [(0, 0, 100), (0, 0, 1), (30, 30, 60), (30, 0, 30), (30, 29, 31), (60, 0, 100), (99, 99, 100)],
)
def test_a_list_that_begins_at_an_impossible_place_is_noticed(tmp_path, place, start, stop, amount):
    def change(places):
        places[place] += amount

    baskets = with_offsets(tmp_path / "a.root", change)
    message = "impossible places|does not begin where|end outside"
    with (tmp_path / "a.root").open("rb") as file, pytest.raises(ValueError, match=message):
        BranchReader(baskets, file.fileno()).read(start, stop)


def test_seams_are_where_baskets_of_all_branches_begin(written):
    path, columns = written
    assert TreeReader(path, "t", list(columns)).seams.tolist() == [0, 1, 300, 301, ENTRIES]


def test_branches_of_the_same_objects_share_their_offsets(written):
    path, _ = written
    got = TreeReader(path, "t", ["int8_lists", "float64_lists"]).read(5, 600)
    assert got["int8_lists"].offsets is got["float64_lists"].offsets


@pytest.mark.parametrize(("header", "dtype"), [(10, ">f4"), (10, ">i1"), (1, ">f8"), (10, ">f8")])
def test_headers_are_taken_out_of_lists(header, dtype):
    rng = np.random.default_rng(header)
    counts = rng.integers(0, 4, 50)
    lists = [rng.integers(0, 99, n).astype(dtype) for n in counts]
    raw = b"".join(rng.bytes(header) + values.tobytes() for values in lists)
    begins = np.cumsum([0, *(header + values.nbytes for values in lists[:-1])])
    size = np.dtype(dtype).itemsize
    kept = _without_headers(np.frombuffer(raw, np.uint8), begins, header=header, itemsize=size)
    assert kept.tobytes() == b"".join(values.tobytes() for values in lists)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, b"\x7f\xff\xff\xff", "no basket of"),
        (14, b"\xff\xff", "no basket of"),
        (6, b"\x00\x00\x00\x01", "has 1 bytes, numbers to|no basket of"),
        (-9, b"\x00\x00\x00\x63", "holds 99 entries, expected 100"),
    ],
)
def test_a_basket_that_contradicts_itself_is_refused(tmp_path, place, value, message):
    path = tmp_path / "a.root"
    lists = ak.unflatten(np.arange(200.0), np.full(100, 2))
    with uproot.recreate(path) as file:
        file.mktree("t", {"y": ak.type(lists).content})
        file["t"].extend({"y": lists})
    with open_tree(path, "t") as tree:
        baskets = baskets_of(tree["y"])
    whole = bytearray(path.read_bytes())
    begin = int(baskets.seeks[0]) + place
    if place < 0:  # counted from the key's end
        begin += int.from_bytes(whole[begin - place + 14 : begin - place + 16], "big")
    whole[begin : begin + len(value)] = value
    path.write_bytes(whole)
    with path.open("rb") as file, pytest.raises(ValueError, match=message):
        BranchReader(baskets, file.fileno()).read(0, 100)


REAL = os.environ.get("TAUOPT_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")
def test_branches_of_real_files_are_those_of_uproot():
    path, read = Path(REAL) / "atlas_physlite.root", 0
    with open_tree(path, "CollectionTree") as opened, path.open("rb") as file:
        for branch in opened.itervalues(recursive=True):
            baskets = baskets_of(branch) if is_jagged(branch) is not None else None
            if baskets is None or not stores_offsets(baskets, file.fileno()):
                continue
            count = branch.num_entries
            start, stop = count // 3, count
            got = BranchReader(baskets, file.fileno()).read(start, stop)
            expected = branch.array(entry_start=start, entry_stop=stop)
            assert ak.array_equal(to_awkward(got) if isinstance(got, Jagged) else got, expected)
            read += 1
    assert read > 300


def test_baskets_of_several_compressed_blocks_are_read_and_no_file_stays_open(tmp_path):
    """ROOT compresses at most 16 MB at a time."""
    rng = np.random.default_rng(6)
    counts = rng.integers(0, 4, 3_000_000)
    lists = ak.unflatten(rng.normal(size=counts.sum()).astype("float32"), counts)
    path = tmp_path / "large.root"
    with uproot.recreate(path, compression=uproot.LZ4(1)) as file:
        file.mktree("folder/t", {"y": ak.type(lists).content})
        file["folder/t"].extend({"y": lists})
    before = len(os.listdir("/proc/self/fd"))
    reader = TreeReader(path, "folder/t", ["y"])
    assert not reader._others
    got = reader.read(10, len(counts))["y"]
    np.testing.assert_array_equal(got.counts, counts[10:])
    np.testing.assert_array_equal(got.content, ak.to_numpy(ak.flatten(lists[10:])))
    del reader
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("edges", [[0, 300, 1, 301, ENTRIES], [5, 6, 300, 301, ENTRIES]])
def test_baskets_that_begin_at_impossible_entries_are_refused(written, monkeypatch, edges):
    path, _ = written
    with open_tree(path, "t") as tree:
        branch = tree["int8_one"]
        monkeypatch.setattr(type(branch), "entry_offsets", edges)
        with pytest.raises(ValueError, match="impossible entries"):
            baskets_of(branch)
