"""A space read back from the record of its search is the space of the file."""

import json

import pytest

from tauopt.config.load import read_experiment
from tauopt.config.space.searched_space import searched_space

SPACES = ("rnn", "any", "deepsets", "unified")


@pytest.mark.parametrize("name", SPACES)
def test_a_space_reads_back_from_its_record_with_its_defaults(name):
    file = read_experiment(f"search_spaces/{name}.yaml")
    recorded = json.loads(json.dumps(file.definition, sort_keys=True))
    space = searched_space(recorded)
    assert dict(space.ranges) == dict(file.space)
    order = [*space.ranges]
    assert all(
        order.index(other) < order.index(path)
        for path, range_ in space.ranges.items()
        for other in range_.when
    )
    for start in file.starts():
        # `training` of the record is that of the first architecture, whose defaults all share.
        assert {path: space.default(path) for path in start if path != "model.type"} == {
            path: value for path, value in start.items() if path != "model.type"
        }


def test_a_record_without_a_space_has_no_ranges():
    assert not searched_space({}).ranges
