"""RNTuples: which fields are read, and that clusters are read once each."""

from itertools import pairwise
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.ntuples import rntuple, root_files
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.root import RootTree
from tests.ntuples.test_contract import join
from tests.ntuples_factory import columns, write_rntuple


@pytest.mark.parametrize(
    ("kind", "jagged"),
    [
        ("bool", False),
        ("float", False),
        ("std::uint8_t", False),
        ("std::int64_t", False),
        ("std::vector<float>", True),
        ("ROOT::VecOps::RVec<std::int32_t>", True),
        ("std::array<double,3>", True),
        ("ROOT::RNTupleCardinality<std::uint32_t>", False),
        ("std::atomic<std::int32_t>", False),
        ("std::bitset<42>", True),
        ("ROOT::RNTupleCardinality<Jet>", None),
        ("std::string", None),
        ("std::vector<std::string>", None),
        ("std::vector<std::vector<float>>", None),
        ("MyTrack", None),
    ],
)
def test_numbers_and_flat_lists_of_them_are_read(kind, jagged):
    field = SimpleNamespace(typename=kind, top_level=True, num_entries=3)
    assert rntuple.column(field).jagged is jagged
    inside = SimpleNamespace(typename=kind, top_level=False, num_entries=3)
    assert rntuple.column(inside).jagged is None


def test_what_is_not_numbers_is_refused_with_its_type(tmp_path):
    content = {"pt": np.arange(2.0), "name": ak.Array(["a", "b"]), "deep": ak.Array([[[1.0]], []])}
    path = write_rntuple(tmp_path / "a.root", content)
    with pytest.raises(DataError) as caught:
        RootTree(path, "candidates").inspect(["pt", "name", "deep"])
    assert "branch 'name' is std::string, expected numbers" in str(caught.value)
    assert "branch 'deep' is std::vector<std::vector<" in str(caught.value)


@pytest.mark.parametrize(("step", "reads"), [(1000, 1), (50, 10), (7, 10), (120, 4)])
def test_no_cluster_is_read_twice(tmp_path, monkeypatch, step, reads):
    from uproot.behaviors.RNTuple import HasFields

    content = columns(500)
    path = write_rntuple(tmp_path / "a.root", content, parts=10)
    whole, ranges = HasFields.arrays, []

    def noted(self, *args, **kwargs):
        ranges.append((kwargs["entry_start"], kwargs["entry_stop"]))
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(HasFields, "arrays", noted)
    steps = list(RootTree(path, "candidates").iterate(["track_pt"], step=step))
    assert join(steps, "track_pt") == content["track_pt"].tolist()
    assert len(ranges) == reads
    assert all(left[1] == right[0] for left, right in pairwise(ranges))


def test_a_damaged_list_of_pages_is_noticed_before_it_takes_memory(tmp_path):
    path = write_rntuple(tmp_path / "a.root", columns(500), parts=2)
    with root_files.open_tree(path, "candidates") as ntuple:
        links = [record.page_list_link for record in ntuple.footer.cluster_group_records]
    raw = path.read_bytes()
    for link in links:
        place = link.locator.offset + link.locator.num_bytes // 2
        changed = bytearray(raw)
        changed[place] ^= 0x40
        path.write_bytes(changed)
        with pytest.raises(BadFileError, match=r"a\.root: .* list of its pages .* wrong checksum"):
            RootTree(path, "candidates").inspect(["pt"])


def test_a_nested_field_has_a_problem_that_says_so():
    column = rntuple.column(SimpleNamespace(typename="float", top_level=False, num_entries=3))
    assert column.jagged is None
    assert "is inside of another field" in column.problem
