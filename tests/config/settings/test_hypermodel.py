"""Settings of a model of the user's own in an experiment file."""

import json
from pathlib import Path

import pytest

from tauopt.config.load import read_experiment
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange
from tauopt.errors import ConfigError, UsageError

GOOD = Path(__file__).parents[2] / "data" / "good_experiment.yaml"
MODEL = """
model:
  type: my_package.module:MyModel
  arguments: {shape: [3, 4], name: {a: 1}}
  hyperparameters:
    units: 64
    lr: {float: [1e-4, 1e-2], log: true}
    "conv/kernel.size": {choice: [3, 5]}
    layers: {int: [1, 9], step: 2}
"""


def read(folder, model=MODEL, *overrides):
    path = folder / "own.yaml"
    path.write_text(f"extends: {GOOD}{model}")
    return read_experiment(path, overrides=overrides)


def test_a_file_fixes_or_narrows_hyperparameters_by_name_without_making_a_space(tmp_path):
    file = read(tmp_path)
    assert file.base.model.hyperparameters == {
        "units": 64,
        "lr": FloatRange(1e-4, 1e-2, log=True),
        "conv/kernel.size": ChoiceRange((3, 5)),
        "layers": IntRange(1, 9, step=2),
    }
    assert set(file.base.model.narrowed) == {"lr", "conv/kernel.size", "layers"}
    assert not [path for path in file.space if path.startswith("model.")]


def test_a_model_sees_all_groups_of_the_dataset_unless_some_are_named(tmp_path):
    assert set(read(tmp_path).base.model.groups) == {"tracks", "clusters"}
    named = read(tmp_path, MODEL + "  groups: {tracks: {length: {int: [4, 10]}}}\n")
    assert set(named.base.model.groups) == {"tracks"}
    assert "model.groups.tracks.length" in named.space
    assert read(tmp_path, MODEL + "  groups: {}\n").base.model.groups == {}
    with pytest.raises(ConfigError, match="unknown group 'track'"):
        read(tmp_path, MODEL + "  groups: {track: {}}\n")


def test_settings_survive_json(tmp_path):
    base = read(tmp_path).base
    dumped = json.loads(json.dumps(base.model_dump(mode="json")))
    assert Experiment.model_validate(dumped) == base
    assert base.model.arguments == {"shape": [3, 4], "name": {"a": 1}}


def test_the_command_line_fixes_and_narrows_too(tmp_path):
    file = read(tmp_path, MODEL, "model.hyperparameters.units={int: [8, 64]}",
                "model.hyperparameters.drop=true")  # fmt: skip
    assert file.base.model.hyperparameters["units"] == IntRange(8, 64)
    assert file.base.model.hyperparameters["drop"] is True
    plain = read(tmp_path, "\n", "model={type: my.module:Model}")
    assert plain.base.model.type == "my.module:Model"


def test_fixed_and_narrowed_hyperparameters_define_the_study(tmp_path):
    digests = {
        read(tmp_path).digest,
        read(tmp_path, MODEL, "model.hyperparameters.units=32").digest,
        read(tmp_path, MODEL, "model.hyperparameters.lr={float: [1e-4, 1e-3], log: true}").digest,
        read(tmp_path, MODEL, "model.type=my_package.module:Other").digest,
    }
    assert len(digests) == 4


def test_a_point_sets_every_hyperparameter(tmp_path):
    file = read(tmp_path)
    at = "model.hyperparameters."
    values = {f"{at}units": 32, f"{at}conv/kernel.size": 3, f"{at}new": "x"}
    model = file.resolve({**file.defaults(), **values}).model
    assert model.hyperparameters == {"units": 32, "conv/kernel.size": 3, "new": "x"}
    with pytest.raises(UsageError, match=r"'model\.units' is not a range"):
        file.resolve({**file.defaults(), "model.units": 3})


def test_a_condition_on_a_hyperparameter_is_refused(tmp_path):
    training = (
        "training:\n  momentum: {float: [0.5, 0.9], when: {model.hyperparameters.units: 64}}\n"
    )
    with pytest.raises(ConfigError, match=r"no setting 'model\.hyperparameters\.units'"):
        read(tmp_path, MODEL + training)


def test_problems_found_later_have_their_place(tmp_path):
    file = read(tmp_path)
    problems = [
        file.problem(f"model.{path}", "x")
        for path in ("hyperparameters.conv/kernel.size", "hyperparameters.nowhere", "type")
    ]
    assert [(problem.line, problem.column) for problem in problems] == [(8, 25), (3, 9), (3, 9)]
