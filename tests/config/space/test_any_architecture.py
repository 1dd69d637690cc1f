"""`model: {any: ...}`: several architectures as one space, each as in a file of its own."""

import json
import pickle
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from tauopt.config.any_architecture_file import AnyArchitectureFile
from tauopt.config.load import read_experiment
from tauopt.config.settings import settings_schema
from tauopt.config.settings.json_schema import experiment_schema
from tauopt.config.settings.networks import Network
from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange, is_active
from tauopt.config.space.any_architecture import TYPE, TYPES, without_type
from tauopt.errors import ConfigError, UsageError
from tauopt.study.suggest import random_point

DATA = Path(__file__).parents[2] / "data"
BRANCHES = {
    "rnn": """
      cell: {choice: [lstm, gru]}
      dropout: {float: [0.0, 0.3], when: {model.cell: gru}}
      groups: {tracks: {length: {int: [4, 10]}}, clusters: {length: 3}}""",
    "deepsets": """
      dropout: {float: [0.1, 0.5], when: {training.optimizer: sgd}}
      groups: {tracks: {length: {int: [2, 8]}}}
      merge: {units: 50}""",
    "dense": """
      layers: {int: [1, 3]}""",
}
TRAINING = {
    "optimizer": "{choice: [adam, sgd]}",
    "learning_rate": "{float: [1.0e-4, 1.0e-2], log: true}",
    "momentum": "{float: [0.5, 0.9], when: {training.optimizer: sgd, %s: [rnn, dense]}}",
    "ema": "{choice: [0.0, 0.99], when: {%s: gru}}",
    "warm_up": "{float: [0.0, 0.1], when: {training.ema: 0.99}}",
    "clip_norm": "{float: [1.0, 5.0], when: {%s: 50}}",
}
CONDITIONS = {"momentum": "model.type", "ema": "model.rnn.cell", "clip_norm": "model.deepsets.merge.units"}  # fmt: skip  # noqa: E501
HEAD = "name: x\ndata: good_dataset.yaml\ntask: {classes: [jet, 1p0n], signal: [1p0n]}\n"


def filled(key):
    return TRAINING[key].replace("%s", CONDITIONS.get(key, ""))


TEXT = (
    HEAD
    + "model:\n  any:\n"
    + "".join(f"    {type_}:{body}\n" for type_, body in BRANCHES.items())
    + "training:\n"
    + "".join(f"  {key}: {filled(key)}\n" for key in TRAINING)
)


def alone(type_):
    """Return the same experiment as written for one architecture, without `any`."""
    dropped = {"rnn": ["clip_norm"], "deepsets": ["momentum", "ema", "warm_up"],
               "dense": ["ema", "warm_up", "clip_norm"]}[type_]  # fmt: skip
    ranges = {key: filled(key).replace("model.rnn.", "model.") for key in TRAINING}
    ranges |= {"clip_norm": "{float: [1.0, 5.0]}"}
    ranges["momentum"] = "{float: [0.5, 0.9], when: {training.optimizer: sgd}}"
    lines = [f"  {key}: {text}\n" for key, text in ranges.items() if key not in dropped]
    return f"{HEAD}model:\n      type: {type_}{BRANCHES[type_]}\ntraining:\n{''.join(lines)}"


@pytest.fixture
def folder(tmp_path):
    for name in ("good_experiment.yaml", "good_dataset.yaml"):
        shutil.copy(DATA / name, tmp_path)
    (tmp_path / "any.yaml").write_text(TEXT)
    return tmp_path


@pytest.fixture
def file(folder):
    return read_experiment(folder / "any.yaml")


def write(folder, text, name="x.yaml"):
    (folder / name).write_text(text)
    return folder / name


def problems(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        read_experiment(path, overrides=overrides)
    return [problem.message for problem in caught.value.problems]


def test_the_space_holds_the_type_first_and_each_architecture_under_its_name(file):
    rnn, deepsets = {TYPE: ("rnn",)}, {TYPE: ("deepsets",)}
    assert isinstance(file, AnyArchitectureFile)
    assert file.types == ("rnn", "deepsets", "dense")
    assert file.network == "rnn, deepsets or dense"
    assert next(iter(file.space)) == TYPE
    assert dict(file.space) == {
        TYPE: ChoiceRange(("rnn", "deepsets", "dense")),
        "model.rnn.cell": ChoiceRange(("lstm", "gru"), when=rnn),
        "model.rnn.dropout": FloatRange(0.0, 0.3, when={**rnn, "model.rnn.cell": ("gru",)}),
        "model.rnn.groups.tracks.length": IntRange(4, 10, when=rnn),
        "model.deepsets.dropout": FloatRange(0.1, 0.5, when={**deepsets, "training.optimizer": ("sgd",)}),  # noqa: E501
        "model.deepsets.groups.tracks.length": IntRange(2, 8, when=deepsets),
        "model.dense.layers": IntRange(1, 3, when={TYPE: ("dense",)}),
        "training.optimizer": ChoiceRange(("adam", "sgd")),
        "training.learning_rate": FloatRange(1e-4, 1e-2, log=True),
        "training.momentum": FloatRange(0.5, 0.9, when={TYPE: ("rnn", "dense"), "training.optimizer": ("sgd",)}),  # noqa: E501
        "training.ema": ChoiceRange((0.0, 0.99), when={**rnn, "model.rnn.cell": ("gru",)}),
        "training.warm_up": FloatRange(0.0, 0.1, when={**rnn, "training.ema": (0.99,)}),
        "training.clip_norm": FloatRange(1.0, 5.0, when=deepsets),
    }  # fmt: skip


def test_every_range_follows_those_that_it_depends_on(file):
    order = list(file.space)
    for path, range_ in file.space.items():
        assert all(order.index(other) < order.index(path) for other in range_.when)


@pytest.mark.parametrize("type_", BRANCHES)
def test_each_point_is_the_experiment_of_the_file_of_its_architecture(file, folder, type_):
    single, rng = read_experiment(write(folder, alone(type_))), np.random.default_rng(1)
    met = 0
    while met < 50:
        values = random_point(file.space, rng)
        if values[TYPE] != type_:
            continue
        met += 1
        own = without_type(values)
        assert own.pop(TYPE) == type_
        assert [path for path in single.space if path in own] == [
            path for path, range_ in single.space.items() if is_active(range_, own)
        ]
        assert file.resolve(values) == single.resolve(own)


def test_the_search_begins_with_the_literature_s_values_of_each(file):
    starts = file.starts()
    assert [point[TYPE] for point in starts] == list(BRANCHES)
    assert starts[0] == file.defaults()
    for point in starts:
        single = file.branches[point[TYPE]]
        assert file.resolve(point) == single.base


def test_a_point_with_settings_of_another_architecture_is_refused(file):
    values = file.starts()[2]
    with pytest.raises(UsageError, match=r"model\.rnn\.cell can't be given here: not active"):
        file.resolve({**values, "model.rnn.cell": "gru"})
    with pytest.raises(UsageError, match=r"did you mean 'dense'"):
        file.resolve({**values, TYPE: "denses"})
    with pytest.raises(UsageError, match=r"no value given for model\.type"):
        file.resolve({path: values[path] for path in values if path != TYPE})
    with pytest.raises(UsageError, match=r"no value given for model\.dense\.layers"):
        file.resolve({path: values[path] for path in values if path != "model.dense.layers"})


def test_the_text_reads_back_and_a_worker_takes_it(file, folder):
    again = read_experiment(write(folder, file.text))
    assert (again.digest, again.space) == (file.digest, file.space)
    assert pickle.loads(pickle.dumps(file)) == file


def test_the_definition_changes_with_any_architecture(file, folder):
    digests = {file.digest}
    changes = ["model.any.rnn.groups.clusters.length=4", "model.any.deepsets.merge.units=60",
               "model.any.dense.units=11", "model.any.dense.layers=2", "training.epochs=3",
               "model.any.transformer={groups: {tracks: {}}}"]  # fmt: skip
    for change in changes:
        digests.add(read_experiment(folder / "any.yaml", overrides=[change]).digest)
    assert len(digests) == 1 + len(changes)
    same = ["search.trials=3"]
    assert read_experiment(folder / "any.yaml", overrides=same).digest == file.digest


def test_a_range_that_is_never_active_has_a_reason(folder):
    fixed = ["model.any.rnn.cell=lstm"]
    file = read_experiment(folder / "any.yaml", overrides=fixed)
    assert file.inactive == {
        "model.rnn.dropout": "model.rnn.cell is lstm",
        "training.ema": "model.rnn.cell is lstm",
        "training.warm_up": "training.ema is never active",
    }


@pytest.mark.parametrize("path", ["model.any.rnn", "model.rnn"])
def test_an_override_reaches_into_an_architecture(folder, path):
    set_ = [f"{path}.cell=gru", f"{path}.groups.tracks.length=8"]
    file = read_experiment(folder / "any.yaml", overrides=set_)
    model = file.branches["rnn"].base.model
    assert (model.cell, model.groups["tracks"].length) == ("gru", 8)
    assert model.groups["clusters"].length == 3
    assert file.branches["deepsets"].base == read_experiment(folder / "any.yaml").branches["deepsets"].base  # fmt: skip  # noqa: E501


def test_an_override_adds_an_architecture_or_selects_one(folder):
    added = read_experiment(folder / "any.yaml", overrides=["model.any.decay_mode_rnn.groups={tracks: {}}"])  # fmt: skip  # noqa: E501
    assert added.types == ("rnn", "deepsets", "dense", "decay_mode_rnn")
    single = read_experiment(folder / "any.yaml", overrides=["model.type=deepsets"])
    assert (single.types, single.base.model.merge.units) == (("deepsets",), 50)
    assert single.inactive["training.momentum"] == "model.type is deepsets"
    assert single.space["training.clip_norm"] == FloatRange(1.0, 5.0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.any.rn.cell=gru", "did you mean 'rnn'"),
        ("model.rn.cell=gru", "there is no setting 'model.rn.cell'"),
        ("model.type=dens", "did you mean 'dense'"),
        ("model.dropout=0.1", "each architecture has its own"),
        ("model.any.rnn.cel=gru", "there is no setting 'model.rnn.cel' (did you mean 'cell'?)"),
        ("model.any.rnn.type=rnn", "leave this out"),
        ("model.any.rnn=3", "model.any.rnn: expected a mapping, got 3"),
        ("model.any=[rnn]", "model.any: expected types with their settings"),
        ("model.any.dense.layers=-1", "model.dense.layers: expected at least"),
    ],
)
def test_a_wrong_override_is_refused_with_its_reason(folder, override, message):
    assert message in problems(folder / "any.yaml", override)[0]


def test_files_with_any_merge_by_architecture(folder):
    path = write(folder, """
extends: any.yaml
model: {any: {rnn: {cell: gru}, deepsets: {merge: {layers: 1}}}}
""")  # fmt: skip
    file = read_experiment(path)
    assert file.types == tuple(BRANCHES)
    assert file.branches["rnn"].base.model.cell == "gru"
    merge = file.branches["deepsets"].base.model.merge
    assert (merge.layers, merge.units) == (1, 50)


def test_null_removes_an_architecture(folder):
    path = write(folder, """
extends: any.yaml
model: {any: {deepsets: null}}
training: {clip_norm: 1.0}
""")  # fmt: skip
    assert read_experiment(path).types == ("rnn", "dense")
    path.write_text("extends: any.yaml\nmodel: {any: {deepset: null}}\n")
    assert "nothing of this name to remove (did you mean 'deepsets'?)" in problems(path)[0]


def test_a_type_replaces_any_and_any_replaces_a_type(folder):
    training = "training: {ema: 0.0, warm_up: 0.0, clip_norm: 0.0, momentum: 0.9}\n"
    single = write(folder, f"extends: any.yaml\nmodel: {{type: rnn}}\n{training}", "one.yaml")
    assert read_experiment(single).base.model.cell == "lstm"
    several = write(folder, "extends: one.yaml\nmodel: {any: {rnn: {}, dense: {units: 9}}}\n")
    file = read_experiment(several)
    assert file.types == ("rnn", "dense")
    assert "model.rnn.cell" not in file.space


def test_problems_have_the_places_in_the_file(folder):
    text = TEXT.replace("int: [2, 8]", "int: [8, 2]").replace("lstm, gru", "lstm, elman")
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        read_experiment(path)
    lines = text.splitlines()
    where = {
        lines[problem.line - 1][problem.column - 1 :].partition(",")[0].partition("}")[0]
        for problem in caught.value.problems
    }
    assert {"[8", "{choice: [lstm"} & where
    assert all(problem.file == str(path) for problem in caught.value.problems)


def test_no_setting_of_a_network_has_the_name_of_a_network():
    fields = {
        name
        for network in settings_schema.by_type(Network).values()
        for name in network.model_fields
    }
    assert not fields & {*TYPES, "any"}
    assert all(
        issubclass(network, BaseModel) for network in settings_schema.by_type(Network).values()
    )


def test_the_schema_checks_each_architecture():
    validator = jsonschema.Draft7Validator(experiment_schema())
    content = yaml.safe_load(TEXT)
    assert validator.is_valid(json.loads(json.dumps(content)))
    for wrong in ({"rnn": {"cel": "gru"}}, {"rnn": {"type": "rnn"}}, {"rnns": {}}, {"dense": None}):
        bad = {**content, "model": {"any": {**content["model"]["any"], **wrong}}}
        assert not validator.is_valid(bad)
    assert not validator.is_valid({**content, "model": {**content["model"], "dropout": 0.1}})
    assert not validator.is_valid({**content, "model": {"any": {"rnn": {}}}})
    takes_out = {"extends": "any.yaml", "model": {"any": {"dense": None}}}
    assert validator.is_valid(takes_out)
