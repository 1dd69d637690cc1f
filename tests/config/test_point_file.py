"""Points by hand: what a file may hold, and every mistake with its place."""

import json

import pytest

from tauopt.config.load import read_experiment
from tauopt.config.point_file import read_points
from tauopt.config.space.searched_space import searched_space
from tauopt.errors import ConfigError

RNN = read_experiment(
    "search_spaces/rnn.yaml",
    overrides=[
        "model.dropout={float: [0.0, 0.3]}",
        "model.merge.layers={int: [0, 2]}",
        "model.merge.units={int: [32, 96], log: true, when: {model.merge.layers: [1, 2]}}",
        "training.learning_rate={float: [5.0e-4, 1.0e-2], log: true}",
    ],
)
ANY = read_experiment("search_spaces/any.yaml")


def space_of(file):
    return searched_space(json.loads(json.dumps(file.definition, sort_keys=True)))


@pytest.fixture
def points(tmp_path):
    def read(text, file=RNN):
        path = tmp_path / "point.yaml"
        path.write_text(text)
        return read_points(path, space_of(file))

    return read


def problems(read, text, file=RNN):
    with pytest.raises(ConfigError) as error:
        read(text, file)
    return [str(problem).partition("point.yaml")[2] for problem in error.value.problems]


def test_missing_values_take_the_defaults_of_their_ranges(points):
    (point,) = points("model: {cell: gru, groups: {tracks: {units: 48}}}")
    assert point == {**RNN.defaults(), "model.cell": "gru", "model.groups.tracks.units": 48}


def test_dotted_paths_are_the_same_and_a_list_is_several_points(points):
    nested, dotted = points(
        "- training: {learning_rate: 2.0e-3}\n- training.learning_rate: 0.002\n"
    )
    assert nested == dotted
    assert RNN.resolve(nested).training.learning_rate == 2e-3


def test_numbers_have_the_kind_of_their_range(points):
    (point,) = points(
        "training.batch_size: 512.0\nmodel.dropout: 0\nmodel.groups.tracks.length: 8.0"
    )
    values = (
        point["training.batch_size"],
        point["model.dropout"],
        point["model.groups.tracks.length"],
    )
    assert [(value, type(value)) for value in values] == [(512, int), (0.0, float), (8, int)]


def test_a_setting_that_is_no_range_may_have_the_value_that_it_has(points):
    assert points("training.epochs: 6\nmodel.type: rnn\nmodel.cell: lstm") == [RNN.defaults()]
    assert problems(points, "training: {epochs: 7}\n") == [
        ":1:20: training.epochs: is no range of this search, but fixed at 6; leave it out"
    ]


def test_a_condition_makes_a_range_active(points):
    wanted = "model.merge: {layers: 2, units: 40}"
    assert points(wanted)[0]["model.merge.units"] == 40
    assert problems(points, "model.merge: {layers: 0, units: 40}") == [
        ":1:33: model.merge.units: is searched only where model.merge.layers is 1 or 2; leave it "
        "out, or give that too"
    ]


def test_with_several_architectures_a_path_may_name_its_own_or_not(points):
    own = points("model: {type: transformer, transformer: {dim: 24}}", ANY)
    assert own == points("model: {type: transformer, dim: 24}", ANY)
    assert own[0] == {**ANY.starts()[2], "model.transformer.dim": 24}
    (message,) = problems(points, "model.transformer.dim: 24", ANY)
    assert "is searched only where model.type is transformer" in message


def test_every_mistake_is_named_at_once_with_range_and_nearest(points):
    assert problems(points, """
- model: {cel: gru, cell: gruu, dropout: 7}
- training.learning_rate:
- 5
- {}
- {model.cell: gru, model: {cell: lstm}}
""") == [
        ":2:27: model.cell: expected choice [lstm, gru], got 'gruu' (did you mean 'gru'?)",
        ":2:42: model.dropout: expected float [0.0, 0.3], got 7; the nearest is 0.3",
        ":2:16: model.cel: is no range of this search (did you mean 'model.cell'?); it has "
        + ", ".join(space_of(RNN).ranges),
        ":3:26: training.learning_rate: expected float [0.0005, 0.01] log, got nothing",
        ":4:3: expected a mapping of path to value, or a list of such, got 5",
        ":5:3: expected `path: value` lines, got no value",
        ":6:35: model.cell: is given twice, dotted and nested; leave one out",
    ]  # fmt: skip
    assert problems(points, "[]") == [": expected a point, got an empty list"]
    assert problems(points, "x: [") != []
