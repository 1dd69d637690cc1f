import numpy as np
import pytest
import uproot

from tauopt.ntuples.write_ntuples import write_tree


def _group(counts):
    n = int(np.sum(counts))
    return np.array(counts), {
        "pt": np.arange(n, dtype=np.float32),
        "hits": np.arange(n, dtype=np.int32),
    }


def test_scalars_and_jagged_branches_come_back(tmp_path):
    path = tmp_path / "a.root"
    scalars = {"event_number": np.array([2**40, 5, 6]), "pt": np.array([1, 2, 3], np.float32)}
    write_tree(path, "candidates", scalars, {"track": _group([2, 0, 1])})
    with uproot.open(path) as file:
        tree = file["candidates"]
        assert tree.num_entries == 3
        assert tree["event_number"].array(library="np").tolist() == [2**40, 5, 6]
        assert tree["track_pt"].array().to_list() == [[0, 1], [], [2]]
        assert tree["track_hits"].array().to_list() == [[0, 1], [], [2]]
        assert tree["ntrack"].array(library="np").tolist() == [2, 0, 1]


def test_groups_without_any_object_can_be_written(tmp_path):
    path = tmp_path / "a.root"
    write_tree(path, "t", {"pt": np.zeros(2)}, {"conversion": _group([0, 0])})
    with uproot.open(path) as file:
        assert file["t"]["conversion_pt"].array().to_list() == [[], []]


def test_lengths_that_disagree_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="one length"):
        write_tree(tmp_path / "a.root", "t", {"pt": np.zeros(3)}, {"track": _group([1, 1])})
    assert list(tmp_path.iterdir()) == []
