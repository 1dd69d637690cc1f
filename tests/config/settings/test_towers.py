from __future__ import annotations

import pytest
from pydantic import ValidationError

from tauopt.config.settings.networks import DecayModeRnn, DeepSets, DeepSetsGroup, Dense, Rnn, Tower


@pytest.mark.parametrize(
    ("tower", "sizes"),
    [
        (Tower(layers=0), []),
        (Tower(layers=3, units=30, last_units=20), [30, 30, 20]),
        (Tower(layers=3, units=60, reduction=0.5), [60, 30, 15]),
        (Tower(layers=3, units=207, reduction=0.625, last_units=104), [207, 129, 104]),
        (Tower(layers=1, units=30, last_units=20), [20]),
        (Tower(layers=4, units=4, reduction=0.1), [4, 1, 1, 1]),
        (Tower(widths=(80, 80, 60, 60)), [80, 80, 60, 60]),
    ],
)
def test_a_tower_has_the_widths_of_its_settings(tower, sizes):
    assert tower.sizes() == sizes


def test_widths_set_the_pyramids_numbers_too():
    tower = Tower(widths=(80, 60))
    assert (tower.layers, tower.units, tower.last_units) == (2, 80, 60)
    assert Tower.model_validate(tower.model_dump()) == tower
    assert Tower.model_validate_json(tower.model_dump_json()) == tower


@pytest.mark.parametrize("other", [{"layers": 3}, {"units": 8}, {"reduction": 0.5}])
def test_widths_and_a_pyramid_that_contradicts_them_are_refused(other):
    with pytest.raises(ValidationError, match="leave out"):
        Tower(widths=(80, 60), **other)


def test_a_pyramid_in_a_file_replaces_default_widths():
    groups = {"neutral_pfos": {"phi": {"layers": 3}}, "tracks": {"phi": {"widths": [9, 8]}}}
    network = DeepSets.model_validate({"type": "deepsets", "groups": groups})
    assert network.groups["neutral_pfos"].phi.sizes() == [80, 80, 60]
    assert network.groups["neutral_pfos"].f.sizes() == [60, 40, 40]
    assert network.groups["tracks"].phi.sizes() == [9, 8]
    assert network.groups["tracks"].f.sizes() == [20, 20, 20]


@pytest.mark.parametrize("network", [DeepSets, Rnn, DecayModeRnn, Dense])
def test_settings_survive_being_written(network):
    settings = network.model_validate({"type": network.model_fields["type"].annotation.__args__[0]})
    assert network.model_validate(settings.model_dump(mode="json")) == settings


def test_known_groups_have_the_unified_classifiers_widths():
    known = DeepSets.known_groups
    assert {name: (group.phi.sizes(), group.f.sizes()) for name, group in known.items()} == {
        "tracks": ([30, 30, 20], [20, 20, 20]),
        "clusters": ([30, 30, 20], [20, 20, 20]),
        "neutral_pfos": ([80, 80, 60, 60], [60, 40, 40]),
        "shots": ([20, 20, 20], [20, 20, 20]),
        "conversions": ([30, 30, 20], [20, 20, 20]),
    }
    network = DeepSets(type="deepsets")
    assert (network.candidate.sizes(), network.merge.sizes()) == ([60, 30, 15], [100, 50])
    assert isinstance(network.groups["tracks"], DeepSetsGroup)
