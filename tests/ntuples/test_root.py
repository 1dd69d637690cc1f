"""Reading TTrees: what is read is what was written, and what is damaged is named."""

import os
from pathlib import Path
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.ntuples import root_files
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.root import RootTree
from tauopt.physics.jagged import Jagged, to_awkward
from tests.ntuples.damage import little_memory, mutate
from tests.ntuples_factory import columns, write

BRANCHES = ("pt", "track_pt", "event_number")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    content = columns(500)
    return write(tmp_path_factory.mktemp("ntuples") / "a.root", content, baskets=3), content


def to_awkward_or_same(column):
    return to_awkward(column) if isinstance(column, Jagged) else column


def _join(steps, name):
    parts = [step[name] for step in steps]
    if isinstance(parts[0], Jagged):
        return ak.concatenate([to_awkward(part) for part in parts])
    return np.concatenate(parts)


@pytest.mark.parametrize("step", [1000, 170, 500])
def test_what_is_read_is_what_was_written(written, step):
    path, content = written
    steps = list(RootTree(path, "candidates").iterate(BRANCHES, step=step))
    for name in BRANCHES:
        assert _join(steps, name).tolist() == content[name].tolist()


def test_only_numbers_and_flat_lists_of_them_are_taken():
    from uproot.interpretation.jagged import AsJagged
    from uproot.interpretation.numerical import AsDtype
    from uproot.interpretation.strings import AsStrings

    def kind(interpretation):
        return root_files.is_jagged(SimpleNamespace(interpretation=interpretation))

    assert kind(AsDtype(">f4")) is False
    assert kind(AsDtype((">f4", (3,)))) is True
    assert kind(AsJagged(AsDtype(">i8"))) is True
    for other in (
        AsStrings(),
        AsDtype((">f4", (3, 2))),
        AsJagged(AsDtype((">f4", (3,)))),
        AsDtype([("x", ">f4"), ("y", ">f4")]),
    ):
        assert kind(other) is None


def test_what_is_no_tree_is_refused(tmp_path):
    import uproot

    path = tmp_path / "histogram.root"
    with uproot.recreate(path) as file:
        file["candidates"] = np.histogram([1.0, 2.0])
    with pytest.raises(DataError, match="TH1D, expected a TTree or RNTuple"):
        RootTree(path, "candidates").inspect(["pt"])


def test_missing_tree_is_named_with_its_neighbours(written):
    with pytest.raises(DataError, match=r"no tree 'candidate' \(did you mean 'candidates'\?\)"):
        RootTree(written[0], "candidate").inspect(["pt"])


def test_file_that_was_never_closed_is_named(tmp_path):
    import uproot

    path = tmp_path / "open.root"
    with uproot.recreate(path):
        copy = tmp_path / "copy.root"
        copy.write_bytes(path.read_bytes())
    with pytest.raises(BadFileError, match=r"copy\.root: holds nothing; it was not closed"):
        RootTree(copy, "candidates").inspect(["pt"])


@pytest.mark.parametrize("content", [b"", b"root", b"not a root file at all" * 100, bytes(4000)])
def test_what_is_no_root_file_is_named(tmp_path, content):
    path = tmp_path / "no.root"
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=r"no\.root"):
        RootTree(path, "candidates").inspect(["pt"])


def test_unreadable_and_missing_files_are_named(tmp_path):
    with pytest.raises(BadFileError, match=r"gone\.root"):
        RootTree(tmp_path / "gone.root", "candidates").inspect(["pt"])


def _read(path):
    return list(RootTree(path, "candidates").iterate(BRANCHES, step=200))


def _error(path):
    """Read a file; return the error message, empty if every entry was read.

    Values may differ where the format has no checksum, but nothing may be missing.
    """
    try:
        steps = _read(path)
    except DataError as error:
        return str(error)
    assert sum(len(step["pt"]) for step in steps) == 500
    return ""


def _same(steps, content):
    return all(_join(steps, name).tolist() == content[name].tolist() for name in BRANCHES)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_truncated_file_is_never_taken_for_a_whole_one(written, tmp_path, fraction):
    path, content = written
    whole = path.read_bytes()
    short = tmp_path / "short.root"
    short.write_bytes(whole[: int(len(whole) * fraction)])
    error = _error(short)
    if error:
        assert "short.root" in error
    else:  # only what nobody needs was cut off
        assert _same(_read(short), content)


def test_damaged_basket_is_named_with_its_branch(written, tmp_path):
    path, _ = written
    whole = bytearray(path.read_bytes())
    with root_files.open_tree(path, "candidates") as tree:
        seek = int(tree["track_pt"].member("fBasketSeek")[1])
    whole[seek + 80 : seek + 200] = os.urandom(120)
    damaged = tmp_path / "damaged.root"
    damaged.write_bytes(whole)
    with pytest.raises(BadFileError, match=r"damaged\.root: branch 'track_pt'"):
        _read(damaged)


def _damage(whole, folder, *, files, seed):
    """Read mutated files; return how many were noticed."""
    rng = np.random.default_rng(seed)
    noticed = 0
    with little_memory():
        for number in range(files):
            path = folder / f"{number}.root"
            path.write_bytes(mutate(whole, rng))
            error = _error(path)
            noticed += bool(error)
            assert not error or path.name in error
            path.unlink()
    return noticed


def test_mutated_files_give_an_error_or_every_entry(written, tmp_path):
    assert _damage(written[0].read_bytes(), tmp_path, files=200, seed=1) > 60


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_five_thousand_mutated_files_give_an_error_or_every_entry(written, tmp_path):
    assert _damage(written[0].read_bytes(), tmp_path, files=5000, seed=2) > 1500


def test_truncated_numbers_are_numbers_alone_and_in_lists():
    from uproot.interpretation.jagged import AsJagged
    from uproot.interpretation.numerical import AsDouble32, AsDtype, AsFloat16

    def jagged(interpretation):
        return root_files.is_jagged(SimpleNamespace(interpretation=interpretation))

    assert jagged(AsDouble32(-1, 1, 12)) is False
    assert jagged(AsFloat16(0, 0, 10)) is False
    assert jagged(AsDouble32(0, 0, 32, to_dims=(3,))) is True
    assert jagged(AsDouble32(0, 0, 32, to_dims=(3, 2))) is None
    assert jagged(AsJagged(AsFloat16(0, 0, 12))) is True
    assert jagged(AsJagged(AsDouble32(0, 0, 32, to_dims=(3,)))) is None
    assert jagged(AsDtype([("x", ">f4"), ("y", ">i4")])) is None


def test_a_branch_that_uproot_can_not_read_is_listed_with_its_problem():
    class Broken:
        num_entries = 7

        @property
        def interpretation(self):
            raise ValueError("no streamer\nfor this")

    column = root_files.column_or_problem(Broken())
    assert (column.jagged, column.entries) == (None, 7)
    assert column.problem == "can't be read: no streamer for this"


def test_the_error_of_a_folder_says_that_it_is_one(tmp_path):
    with pytest.raises(BadFileError, match="is a folder, expected a file"):
        root_files.list_trees(tmp_path)


def test_a_name_with_a_slash_has_no_shorter_one(tmp_path):
    values = columns(5)
    path = write(tmp_path / "a.root", {"evt/mass": values["pt"], "pt": values["pt"]})
    source = RootTree(path, "candidates")
    assert [column.short for column in source.columns().values()] == ["", ""]
    (step,) = source.iterate(["evt/mass"])
    np.testing.assert_array_equal(step["evt/mass"], values["pt"])


REAL = os.environ.get("TAUOPT_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")
@pytest.mark.parametrize(
    ("name", "tree", "branches"),
    [
        ("cms_nanoaod_2015_ttbar.root", "Events", ["event", "nTau", "Tau_pt", "Tau_decayMode"]),
        ("atlas_physlite.root", "CollectionTree", ["AnalysisTauJetsAuxDyn.pt"]),
    ],
)
def test_real_files_are_read_whole(name, tree, branches):
    path = Path(REAL) / name
    (columns,) = RootTree(path, tree).iterate(branches)
    with root_files.open_tree(path, tree) as opened:
        for branch in branches:
            assert to_awkward_or_same(columns[branch]).tolist() == opened[branch].array().tolist()


def _file(name):
    return Path(REAL) / "testdata" / name


@pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")
def test_branches_of_split_objects_have_their_short_names():
    source = RootTree(_file("uproot-small-evnt-tree-fullsplit.root"), "tree")
    got = source.columns()
    assert got["evt/I16"].short == "I16"
    assert got["evt/P3/P3.Px"].short == "P3.Px"
    short, full = (next(source.iterate([name]))[name] for name in ("I16", "evt/I16"))
    np.testing.assert_array_equal(short, full)


@pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")
def test_truncated_numbers_and_cardinalities_have_their_values():
    source = RootTree(_file("uproot-double32-float16.root"), "tree")
    got = next(source.iterate(["double32_32", "array_30"]))
    first = [-1.9999999994342215, -1.4999999998277052, -1.000000000221189]
    assert got["double32_32"][:3].tolist() == first
    assert got["array_30"].counts.tolist() == [3] * 17
    path = _file("Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root")
    muons = next(RootTree(path, "Events").iterate(["nMuon", "Muon_pt"]))
    np.testing.assert_array_equal(muons["nMuon"], muons["Muon_pt"].counts)
