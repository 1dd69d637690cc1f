"""The layout of a dataset file."""

import pytest
from pydantic import ValidationError

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.layout import EventLayout
from tests.ntuples_factory import dataset_settings


def _layout(**objects):
    return EventLayout.model_validate(
        {"type": "events", "candidates": "Tau_", "objects": {"jet": objects}}
    )


def test_one_candidate_per_entry_is_the_default():
    assert Dataset.model_validate(dataset_settings("x")).layout.type == "candidates"


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({}, "expected exactly one of index, links, cone, nearest, got none"),
        ({"index": "Tau_jetIdx", "cone": 0.4}, "got index and cone"),
        ({"links": ["a", "b", "c"]}, "at most 2"),
        ({"links": ["a", "b"], "keys": [1]}, "a key for each of 2 links"),
        ({"cone": 0}, "greater than 0"),
        ({"cone": 0.4, "eta": "log("}, "expression"),
    ],
)
def test_objects_are_matched_to_candidates_in_exactly_one_way(objects, message):
    with pytest.raises(ValidationError, match=message):
        _layout(collection="Jet_", **objects)


def test_all_four_ways_of_matching_are_valid():
    for way in ({"index": "i"}, {"links": ["a", "b"]}, {"cone": 0.4}, {"nearest": 0.2}):
        assert _layout(collection="Jet_", **way).objects["jet"].collection == "Jet_"
