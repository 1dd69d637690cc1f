from __future__ import annotations

import pytest

from tauopt.config.settings.networks import Dense, Rnn, RnnGroup, group_lengths
from tauopt.config.settings.networks.input_selection import (
    dropped_features,
    first_feature,
    kept_positions,
    selected_groups,
)

KNOWN = ("candidate", "tracks", "clusters")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", KNOWN),
        ("tracks", ("tracks",)),
        ("clusters+candidate", ("candidate", "clusters")),
        ("all-candidate", ("tracks", "clusters")),
        ("all-candidate-tracks", ("clusters",)),
    ],
)
def test_inputs_choose_groups_in_the_networks_order(text, expected):
    assert selected_groups(text, KNOWN) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected all"),
        ("tracks clusters", "expected all"),
        ("all+tracks", "unknown group 'all'"),
        ("track", "did you mean 'tracks'"),
        ("tracks+tracks", "appears twice"),
        ("all-candidate-tracks-clusters", "at least one group"),
    ],
)
def test_invalid_inputs_are_refused(text, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        selected_groups(text, KNOWN)


def test_groups_that_are_not_seen_are_not_streamed():
    groups = {"tracks": RnnGroup(length=5), "clusters": RnnGroup(length=3)}
    for text, lengths in (
        ("all", {"tracks": 5, "clusters": 3}),
        ("candidate", {}),
        ("all-tracks", {"clusters": 3}),
    ):
        assert group_lengths(Rnn(type="rnn", inputs=text, groups=groups)) == lengths
    assert group_lengths(Dense(type="dense")) == {}


def test_features_to_drop_are_named_with_their_group():
    assert dropped_features("") == {}
    assert dropped_features("tracks.d0  candidate.x tracks.z0") == {
        "tracks": ("d0", "z0"),
        "candidate": ("x",),
    }
    assert kept_positions(("a", "b", "c"), ("b",), group="tracks") == [0, 2]
    with pytest.raises(ValueError, match=r"unknown feature tracks\.bb \(did you mean 'b'\?\)"):
        kept_positions(("a", "b"), ("bb",), group="tracks")
    with pytest.raises(ValueError, match="no feature of tracks is left"):
        kept_positions(("a",), ("a",), group="tracks")


def test_the_first_name_that_a_group_has_counts():
    assert first_feature("pt et", ("d_eta", "et"), group="clusters") == "et"
    with pytest.raises(ValueError, match="expected clusters to have a feature pt"):
        first_feature("pt", ("et",), group="clusters")
