"""The contract of the private parts of uproot's RNTuples that are used."""

import os
from pathlib import Path

import awkward as ak
import pytest
import uproot

from tauopt.ntuples._uproot_internals import find_children

REAL = os.environ.get("TAUOPT_REAL_DATA", "")
NESTED = ("stl_containers", "class_inheritance", "emptystruct_invalidvar", "nested_structs")


def tree(ntuple):
    """Return the paths of all fields, and of those inside of each, in their order."""
    inside = [(field.path, [child.path for child in field.fields]) for field in ntuple.all_fields]
    return inside, [field.path for field in ntuple.fields], list(ntuple.keys())


def same(path, name):
    with uproot.open(path) as slow, uproot.open(path) as fast:
        slow, fast = slow[name], fast[name]
        assert fast._fields is None
        assert fast.all_fields[0]._fields is None
        find_children(fast)
        assert fast._fields is not None
        assert tree(fast) == tree(slow)


def test_children_are_those_that_uproot_finds(tmp_path):
    first = {
        "pt": 1.0,
        "tracks": [{"pt": 1.0, "hits": [1, 2]}],
        "vertex": {"x": 1.0, "of": {"id": 3, "names": ["a"]}},
        "lists": [[1], [2, 3]],
    }
    second = {**first, "tracks": [], "lists": [[]]}
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("n", ak.Array([first, second]))
    same(tmp_path / "a.root", "n")


@pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")
@pytest.mark.parametrize("kind", NESTED)
def test_children_of_root_s_own_files_are_those_that_uproot_finds(kind):
    (path,) = (Path(REAL) / "testdata").glob(f"test_{kind}_rntuple_*.root")
    with uproot.open(path) as file:
        (name,) = file.keys(cycle=False)
    same(path, name)
