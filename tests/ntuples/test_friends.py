"""Trees of one file joined by entry: as if all branches stood in one tree."""

import pickle

import pytest

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.file_formats import open_source
from tests.ntuples.test_contract import join
from tests.ntuples_factory import columns, write_trees


@pytest.fixture
def content():
    return columns(300)


def part(content, *names):
    return {name: content[name] for name in names}


@pytest.fixture
def joined(content, tmp_path):
    path = write_trees(
        tmp_path / "a.root",
        candidates=part(content, "event_number", "pt"),
        tracks=part(content, "track_pt", "track_d0", "eta"),
        scores={"pt": -content["pt"], "eta": -content["eta"]},
    )
    return open_source(path, tree="candidates", friends=["tracks", "scores"])


@pytest.mark.parametrize("step", [1000, 70])
def test_branches_of_all_trees_come_as_if_from_one(joined, content, step):
    branches = ["track_pt", "pt", "event_number", "eta"]
    steps = list(joined.iterate(branches, step=step))
    for name in branches:
        assert join(steps, name) == content[name].tolist()
    assert joined.inspect(branches).entries == 300
    assert joined.inspect(branches).jagged["track_pt"]


def test_the_first_tree_that_has_a_branch_gives_it_unless_another_is_named(joined, content):
    (step,) = joined.iterate(["pt", "scores.pt", "eta", "scores.eta"])
    assert step["pt"].tolist() == content["pt"].tolist()
    assert step["scores.pt"].tolist() == (-content["pt"]).tolist()
    assert step["eta"].tolist() == content["eta"].tolist()
    assert step["scores.eta"].tolist() == (-content["eta"]).tolist()


def test_branches_of_friends_alone_can_be_read(joined, content):
    (step,) = joined.iterate(["track_pt"])
    assert join([step], "track_pt") == content["track_pt"].tolist()


def test_reading_can_begin_anywhere(joined, content):
    columns = joined.open(["track_pt", "pt", "scores.pt"]).read(50, 120)
    assert join([columns], "track_pt") == content["track_pt"][50:120].tolist()
    assert columns["scores.pt"].tolist() == (-content["pt"][50:120]).tolist()


def test_all_branches_are_listed_with_their_trees(joined):
    listed = set(joined.columns())
    assert {"pt", "tracks.track_pt", "scores.pt"} <= listed
    assert joined.inspect(sorted(listed)).entries == 300


def test_missing_branches_are_named_with_neighbours_in_any_tree(joined):
    with pytest.raises(DataError, match=r"no branch 'track_p' \(did you mean 'track_pt'\?\)"):
        joined.inspect(["pt", "track_p"])


@pytest.mark.parametrize("branches", [["pt"], ["pt", "eta"]])
def test_trees_of_different_lengths_are_refused_whatever_is_read(content, tmp_path, branches):
    path = write_trees(
        tmp_path / "a.root", candidates=part(content, "pt"), tracks=part(columns(299), "eta")
    )
    source = open_source(path, tree="candidates", friends=["tracks"])
    for call in (source.inspect, lambda b: list(source.iterate(b))):
        with pytest.raises(BadFileError, match=r"friend 'tracks' has 299 entries, expected 300"):
            call(branches)


def test_a_friend_that_is_not_there_is_named(joined):
    source = open_source(joined.path, tree="candidates", friends=["track"])
    with pytest.raises(DataError, match=r"no tree 'track' \(did you mean 'tracks'\?\)"):
        source.inspect(["pt"])


def test_only_trees_of_root_files_have_friends(tmp_path):
    with pytest.raises(DataError, match="only trees of ROOT files have friends"):
        open_source(tmp_path / "a.h5", tree="jets", friends=["tracks"])


def test_a_source_can_be_pickled(joined):
    assert pickle.loads(pickle.dumps(joined)) == joined
