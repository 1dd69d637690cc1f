"""HDF5's layouts: how names, padding and lengths are understood, and what is refused."""

import os
import pickle

import h5py
import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.hdf5 import Hdf5

TRACK = [("pt", "f2"), ("d0", ">f4"), ("valid", "?")]


def make(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name.replace("__", "/")] = data
    return path


def jets(rows=3):
    data = np.zeros(rows, dtype=[("pt", "f4"), ("n", "i4"), ("name", "S4"), ("p", "f4", (2,))])
    data["pt"] = np.arange(rows)
    return data


def tracks(*counts, slots=4):
    data = np.zeros((len(counts), slots), dtype=TRACK)
    data["pt"] = np.arange(data.size).reshape(data.shape)
    data["valid"] = np.arange(slots) < np.array(counts)[:, None]
    return data


def read(source, *branches, step=1000):
    (columns,) = source.iterate(branches, step=step)
    return {name: [v.tolist() for v in np.atleast_1d(c)] if isinstance(c, np.ndarray)
            else [v.tolist() for v in np.split(c.content, c.offsets[1:-1])]
            for name, c in columns.items()}  # fmt: skip


def test_structured_arrays_are_read_by_full_and_by_plain_names(tmp_path):
    path = make(tmp_path / "a.h5", jets=jets(), tracks=tracks(2, 0, 1))
    got = read(Hdf5(path), "jets.pt", "n", "tracks.pt", "d0", "jets.p")
    assert got == {
        "jets.pt": [0, 1, 2],
        "n": [0, 0, 0],
        "tracks.pt": [[0, 1], [], [8]],
        "d0": [[0, 0], [], [0]],
        "jets.p": [[0, 0]] * 3,
    }
    assert read(Hdf5(path), "pt") == {"pt": [0, 1, 2]}  # the candidate's, not its tracks'
    assert read(Hdf5(path, "jets"), "pt") == {"pt": [0, 1, 2]}


def test_invalid_slots_between_valid_ones_are_left_out(tmp_path):
    data = tracks(4, 4)
    data["valid"][0] = [True, False, True, False]
    path = make(tmp_path / "a.h5", jets=jets(2), tracks=data)
    assert read(Hdf5(path), "tracks.pt") == {"tracks.pt": [[0, 2], [4, 5, 6, 7]]}


def test_without_valid_every_slot_is_an_object(tmp_path):
    data = np.ones((3, 2), dtype=[("pt", "f4")])
    path = make(tmp_path / "a.h5", jets=jets(), cells=data)
    assert read(Hdf5(path), "cells.pt") == {"cells.pt": [[1, 1]] * 3}


def test_padding_never_fills_the_memory(tmp_path, monkeypatch):
    path = make(tmp_path / "a.h5", jets=jets(20), tracks=tracks(*[i % 5 for i in range(20)]))
    at_once = read(Hdf5(path), "tracks.pt", "tracks.d0")
    monkeypatch.setattr("tauopt.ntuples.hdf5_parts._PIECE_BYTES", 100)
    assert read(Hdf5(path), "tracks.pt", "tracks.d0") == at_once


def test_nan_of_a_real_object_is_kept_and_padding_is_not(tmp_path):
    nan = np.nan
    path = make(
        tmp_path / "a.h5",
        TauJets__pt=np.array([1.0, 2.0, 3.0]),
        TauTracks__pt=np.array([[1, 2, nan], [nan, nan, nan], [1, nan, 3]]),
        TauTracks__d0=np.array([[1, nan, nan], [nan, nan, nan], [1, 2, 3]]),
        TauTracks__hits=np.array([[1, 2, 0], [0, 0, 0], [1, 2, 3]]),
    )
    got = read(Hdf5(path), "TauJets.pt", "TauTracks.pt", "d0", "hits")
    assert repr(got["TauTracks.pt"]) == "[[1.0, 2.0], [], [1.0, nan, 3.0]]"
    assert repr(got["d0"]) == "[[1.0, nan], [], [1.0, 2.0, 3.0]]"
    assert got["hits"] == [[1, 2], [], [1, 2, 3]]
    assert read(Hdf5(path), "hits") == {"hits": [[1, 2], [], [1, 2, 3]]}
    assert repr(read(Hdf5(path), "d0")) == "{'d0': [[1.0, nan], [], [1.0, 2.0, 3.0]]}"
    assert read(Hdf5(path, "TauJets"), "pt") == {"pt": [1, 2, 3]}
    with pytest.raises(DataError, match=r"no branch 'pt'"):  # which of the two?
        Hdf5(path).inspect(["pt"])


def test_datasets_of_different_lengths_are_refused_only_together(tmp_path):
    path = make(tmp_path / "a.h5", TauJets__pt=np.zeros(3), TauJets__eta=np.zeros(2))
    assert Hdf5(path).inspect(["pt"]).entries == 3
    assert Hdf5(path).inspect(["eta"]).entries == 2
    with pytest.raises(BadFileError, match=r"'eta' has 2 entries, expected 3"):
        Hdf5(path).inspect(["pt", "eta"])
    path = make(tmp_path / "b.h5", jets=jets(3), tracks=tracks(1, 1))
    with pytest.raises(BadFileError, match=r"'tracks\.pt' has 2 entries, expected 3"):
        Hdf5(path).inspect(["jets.pt", "tracks.pt"])


def test_datasets_at_the_root_have_no_prefix(tmp_path):
    path = make(tmp_path / "a.h5", pt=np.zeros(3), label=np.zeros(3, int), version=np.float32(1))
    assert set(Hdf5(path).columns()) == {"pt", "label"}
    assert Hdf5(path).inspect(["pt", "label"]).entries == 3


def test_what_is_not_numbers_is_refused_all_at_once(tmp_path):
    path = make(tmp_path / "a.h5", jets=jets(), TauJets__cells=np.zeros((3, 2, 2)))
    with pytest.raises(DataError) as caught:
        Hdf5(path).inspect(["jets.name", "cells"])
    assert "branch 'jets.name' is |S4, expected numbers" in str(caught.value)
    assert "branch 'cells' is float64[2, 2], expected numbers" in str(caught.value)


def test_a_tree_that_is_not_there_is_named_with_its_neighbours(tmp_path):
    path = make(tmp_path / "a.h5", jets=jets(), tracks=tracks(1, 1, 1))
    with pytest.raises(DataError, match=r"'jet' \(did you mean 'jets'\?\); it has 'jets', 'trac"):
        Hdf5(path, "jet").inspect(["pt"])


def test_a_file_without_a_table_is_refused(tmp_path):
    path = make(tmp_path / "a.h5", version=np.float32(1))
    with pytest.raises(DataError, match="holds no dataset with one row a candidate"):
        Hdf5(path).inspect(["pt"])


def test_what_was_never_written_is_not_read_as_zeros(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("jets/pt", (100,), "f4", chunks=(10,))[:50] = 1
        file.create_dataset("jets/eta", (100,), "f4")
        file["jets/phi"] = np.zeros(100)
    assert Hdf5(path).inspect(["phi"]).entries == 100
    with pytest.raises(BadFileError, match="'/jets/pt' has 5 of 10 chunks: never written whole"):
        Hdf5(path).inspect(["pt"])
    with pytest.raises(BadFileError, match="'/jets/eta' has 0 bytes of 400"):
        list(Hdf5(path).iterate(["eta"]))


def test_a_file_that_its_writer_holds_open_is_never_taken_for_a_whole_one(tmp_path):
    path, copy = tmp_path / "a.h5", tmp_path / "copy.h5"
    with h5py.File(path, "w") as file:
        file["jets/pt"] = np.arange(10_000.0)
        copy.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"copy\.h5"):
        Hdf5(copy).inspect(["pt"])


def test_data_in_other_files_is_refused_since_nobody_would_notice_their_changes(tmp_path):
    make(tmp_path / "a.h5", jets__pt=np.zeros(3))
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(tmp_path / "a.h5", "jets/pt", shape=(3,))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("jets/pt", layout)
        raw = [(os.fsencode(tmp_path / "raw"), 0, 24)]
        file.create_dataset("jets/eta", (3,), "f8", external=raw)[:] = 1
    for branch in ("pt", "eta"):
        with pytest.raises(DataError, match="is kept in other files"):
            Hdf5(tmp_path / "virtual.h5").inspect([branch])


LISTS = [[1.0, 2.0], [], [3.0], [4.0, 5.0, 6.0]]


def varying(kind, rows):
    values = np.empty(len(rows), dtype=h5py.vlen_dtype(kind))
    for i, row in enumerate(rows):
        values[i] = np.array(row, dtype=kind)
    return values


@pytest.mark.parametrize("kind", ["f4", "f8", "f2", "i4", "u1"])
def test_arrays_of_variable_length_are_lists(tmp_path, kind):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["pt"] = np.arange(4.0)
        file.create_dataset("hits", data=varying(kind, LISTS), chunks=(2,), compression="gzip")
        file["none"] = varying(kind, [[]] * 4)
    source = Hdf5(path)
    assert source.columns()["hits"].jagged is True
    got = read(source, "pt", "hits", "none")
    assert got["hits"] == LISTS
    assert got["none"] == [[]] * 4
    steps = [step["hits"].content.tolist() for step in source.iterate(["hits"], step=3)]
    assert steps == [[1, 2, 3], [4, 5, 6]]
    assert source.open(["hits"]).read(2, 4)["hits"].content.tolist() == [3, 4, 5, 6]


def test_lists_in_another_byte_order_are_refused_since_h5py_reads_other_values(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["hits"] = varying(">f8", LISTS)
        file["pt"] = np.arange(4.0)
    with pytest.raises(DataError, match="'hits' is a list in another byte order"):
        Hdf5(path).inspect(["pt", "hits"])
    with h5py.File(path) as file:
        wrong = file["hits"][0].tolist()
    assert wrong != LISTS[0], "h5py is mended: read such lists"


def test_fields_of_variable_length_are_lists_too(tmp_path):
    path = tmp_path / "a.h5"
    fields = [("pt", "f4"), ("hits", h5py.vlen_dtype("f4")), ("name", h5py.string_dtype())]
    with h5py.File(path, "w") as file:
        data = np.zeros(4, dtype=fields)
        for i, row in enumerate(LISTS):
            data[i] = (i, np.array(row, "f4"), "a")
        file["jets"] = data
    got = read(Hdf5(path), "pt", "jets.hits")
    assert got == {"pt": [0, 1, 2, 3], "jets.hits": LISTS}
    assert Hdf5(path).columns()["jets.name"].jagged is None


def test_types_unknown_to_numpy_have_a_name(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["name"] = np.array(["a", "b"], dtype=h5py.string_dtype())
        file["names"] = varying("f4", [[1], []])[:, None]
        file["to"] = np.array([file["name"].ref], dtype=h5py.ref_dtype)
    types = {name: column.type for name, column in Hdf5(path).columns().items()}
    assert types == {"name": "string", "names": "list of float32[1]", "to": "reference"}


def test_a_link_into_another_file_names_that_file(tmp_path):
    make(tmp_path / "data.h5", jets=jets(), tracks=tracks(1, 1, 1))
    path = make(tmp_path / "a.h5", jets=jets())
    with h5py.File(path, "a") as file:
        file["tracks"] = h5py.ExternalLink("data.h5", "/tracks")
    source = Hdf5(path)
    assert "is kept in data.h5; name that in `files`" in source.columns()["tracks"].problem
    assert read(source, "pt") == {"pt": [0, 1, 2]}
    with pytest.raises(DataError, match=r"'tracks.pt' is kept in data.h5"):
        source.inspect(["pt", "tracks.pt"])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["jets"] = h5py.ExternalLink("data.h5", "/jets")
    with pytest.raises(DataError, match=r"candidate: 'jets' is kept in data.h5"):
        Hdf5(tmp_path / "b.h5").columns()


def test_a_link_within_a_file_is_another_name(tmp_path):
    path = make(tmp_path / "a.h5", raw__jets=jets(), raw__mu=np.arange(3.0))
    with h5py.File(path, "a") as file:
        file["taus"] = h5py.SoftLink("/raw/jets")
        file["raw/pileup"] = h5py.SoftLink("mu")
        file["gone"] = h5py.SoftLink("/nowhere")
    got = read(Hdf5(path), "taus.pt", "raw.pileup", "raw.jets.pt")
    assert got == {"taus.pt": [0, 1, 2], "raw.pileup": [0, 1, 2], "raw.jets.pt": [0, 1, 2]}
    assert read(Hdf5(path, "taus"), "pt") == {"pt": [0, 1, 2]}


def test_one_piece_of_a_family_is_refused_with_the_remedy(tmp_path):
    with h5py.File(tmp_path / "a_%d.h5", "w", driver="family", memb_size=2**20) as file:
        file["jets/pt"] = np.zeros(3)
    with pytest.raises(DataError, match=r"a_0\.h5: is one piece of an HDF5 family .*h5repart"):
        Hdf5(tmp_path / "a_0.h5").inspect(["pt"])


class Payload:
    def __reduce__(self):
        return (os.mkdir, (f"{os.environ['PAYLOAD']}",))


def test_column_names_of_pandas_run_no_code(tmp_path, monkeypatch):
    monkeypatch.setenv("PAYLOAD", str(tmp_path / "ran"))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        table = np.zeros(3, dtype=[("index", "i8"), ("values_block_0", "f8", (1,))])
        stored = group.create_dataset("table", data=table)
        stored.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps([Payload()], protocol=0))
    with pytest.raises(BadFileError, match=r"a name of a column is a posix\.mkdir"):
        Hdf5(path).inspect(["pt"])
    assert not (tmp_path / "ran").exists()
