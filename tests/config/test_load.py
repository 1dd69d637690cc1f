import pickle
import random
import shutil
from pathlib import Path

import pytest

from tauopt.config.load import read_dataset, read_experiment
from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange, is_active
from tauopt.errors import ConfigError, UsageError

DATA = Path(__file__).parents[1] / "data"
GOOD = DATA / "good_experiment.yaml"


@pytest.fixture
def folder(tmp_path):
    for name in ("good_experiment.yaml", "good_dataset.yaml"):
        shutil.copy(DATA / name, tmp_path)
    return tmp_path


def write(folder, text, name="x.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def problems(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        read_experiment(path, overrides=overrides)
    return caught.value.problems


def test_ranges_become_the_space_in_the_files_order():
    file = read_experiment(GOOD)
    assert dict(file.space) == {
        "model.cell": ChoiceRange(("gru", "lstm")),
        "model.groups.tracks.length": IntRange(4, 10),
        "model.groups.tracks.units": IntRange(16, 48, log=True),
        "training.optimizer": ChoiceRange(("adam", "sgd")),
        "training.learning_rate": FloatRange(1e-4, 1e-2, log=True),
        "training.momentum": FloatRange(0.5, 0.99, when={"training.optimizer": ("sgd",)}),
        "training.batch_size": ChoiceRange((256, 1024)),
    }
    assert list(file.space) == list(read_experiment(GOOD).space)


def test_defaults_are_the_literatures_where_the_ranges_allow_them():
    file = read_experiment(GOOD, overrides=["training.batch_size={choice: [512, 1024]}"])
    assert file.defaults() == {
        "model.cell": "lstm",
        "model.groups.tracks.length": 10,
        "model.groups.tracks.units": 32,
        "training.optimizer": "adam",
        "training.learning_rate": 1e-3,
        "training.batch_size": 512,
    }
    assert file.base.training.batch_size == 512
    assert file.base.model.groups["tracks"].dense.units == 32


def sample(file, rng):
    values = {}
    for path, range_ in file.space.items():
        if not is_active(range_, values):
            continue
        if isinstance(range_, ChoiceRange):
            values[path] = rng.choice(range_.values)
        elif isinstance(range_, IntRange):
            values[path] = rng.randrange(range_.low, range_.high + 1, range_.step)
        else:
            values[path] = rng.uniform(range_.low, range_.high)
    return values


def value_at(settings, path):
    for key in path.split("."):
        settings = settings[key] if isinstance(settings, dict) else getattr(settings, key)
    return settings


def test_every_point_of_the_space_resolves_to_its_values():
    file, rng = read_experiment(GOOD), random.Random(1)
    for _ in range(100):
        values = sample(file, rng)
        resolved = file.resolve(values)
        for path, range_ in file.space.items():
            default = value_at(file.without_ranges, path)
            assert value_at(resolved, path) == values.get(path, default)
            assert (path in values) == is_active(range_, values)
        assert resolved.data is file.base.data
        assert resolved.task == file.base.task


def test_resolve_takes_values_of_the_active_ranges_and_no_others():
    file = read_experiment(GOOD)
    values = file.defaults()
    with pytest.raises(UsageError, match=r"not active"):
        file.resolve({**values, "training.momentum": 0.9})
    with pytest.raises(UsageError, match=r"no value given for training\.optimizer"):
        file.resolve({key: values[key] for key in values if key != "training.optimizer"})
    with pytest.raises(UsageError, match=r"did you mean 'training.momentum'"):
        file.resolve({**values, "training.momentums": 0.9})
    with pytest.raises(UsageError, match=r"learning_rate: expected a number greater than 0"):
        file.resolve({**values, "training.learning_rate": -1.0})


def test_an_inactive_setting_takes_its_own_default():
    file = read_experiment(GOOD, overrides=["training.momentum={float: [0.5, 0.6], when: {training.optimizer: sgd}}"])  # fmt: skip  # noqa: E501
    assert file.base.training.momentum == 0.9


def test_a_class_weight_may_be_a_range_and_begins_at_one(folder):
    text = "training: {class_weights: {jet: {float: [0.5, 4.0]}, tau: 2.0}}"
    file = read_experiment(write(folder, f"extends: good_experiment.yaml\n{text}\n"))
    assert file.space["training.class_weights.jet"] == FloatRange(0.5, 4.0)
    assert file.defaults()["training.class_weights.jet"] == 1.0
    resolved = file.resolve({**file.defaults(), "training.class_weights.jet": 3.0})
    assert resolved.training.class_weights == {"jet": 3.0, "tau": 2.0}
    again = write(folder, "extends: x.yaml\ntraining: {class_weights: {jet: null}}\n", "y.yaml")
    assert read_experiment(again).base.training.class_weights == {"tau": 2.0}


TRAINING_KNOBS = """
optimizer: {choice: [adam, adamw, nadam, sgd]}
schedule: {choice: [constant, cosine, one_cycle]}
warm_up: {float: [0.0, 0.1], when: {training.schedule: [constant, cosine]}}
peak_at: {float: [0.1, 0.5], when: {training.schedule: one_cycle}}
final_rate: {float: [0.0, 0.1]}
momentum_dip: {float: [0.0, 0.2]}
weight_decay: {float: [1.0e-5, 0.1], log: true}
clip_norm: {float: [0.0, 5.0]}
ema: {choice: [0.0, 0.99, 0.999]}
loss: {choice: [crossentropy, focal]}
focal_gamma: {float: [0.5, 4.0]}
label_smoothing: {float: [0.0, 0.2]}
class_balance: {choice: [equal, signal, none]}
class_weights: {jet: {float: [0.5, 4.0], log: true}}
batch_growth: {choice: [1.0, 2.0]}
batch_growth_every: {float: [0.1, 0.5]}
max_batch_size: {choice: [1024, 8192]}
precision: {choice: [float32, mixed]}
jit_compile: {choice: [false, true]}
"""


def test_every_knob_of_the_training_may_be_a_range(folder):
    knobs = TRAINING_KNOBS.strip().replace("\n", "\n  ")
    file = read_experiment(write(folder, f"extends: good_experiment.yaml\ntraining:\n  {knobs}\n"))
    for line in TRAINING_KNOBS.strip().splitlines():
        name = line.partition(":")[0]
        assert f"training.{name}" + (".jet" if name == "class_weights" else "") in file.space
    assert file.base.training.schedule == "constant"


def test_a_condition_on_a_fixed_setting_is_decided_at_load():
    active = read_experiment(GOOD, overrides=["training.optimizer=sgd"])
    assert active.space["training.momentum"] == FloatRange(0.5, 0.99)
    never = read_experiment(GOOD, overrides=["training.optimizer=adam"])
    assert "training.momentum" not in never.space
    assert never.inactive == {"training.momentum": "training.optimizer is adam"}


def test_a_range_follows_those_it_depends_on(folder):
    path = write(folder, """
extends: good_experiment.yaml
model:
  dropout: {float: [0.0, 0.4], when: {training.batch_size: [256, 1024], training.momentum: 0.5}}
training:
  optimizer: adam
  momentum: {choice: [0.5, 0.9], when: {training.nesterov: true}}
  nesterov: {choice: [true, false]}
""")  # fmt: skip
    order = list(read_experiment(path).space)
    assert order.index("training.nesterov") < order.index("training.momentum")
    assert order.index("training.momentum") < order.index("model.dropout")


def test_extending_merges_mappings_and_replaces_all_else(folder):
    write(folder, "extends: good_experiment.yaml\nname: middle\ntraining: {epochs: 7}\n", "m.yaml")
    path = write(folder, """
extends: m.yaml
training: {learning_rate: {choice: [0.1, 0.2]}, batch_size: 64}
task: {signal: [jet]}
model: {groups: {tracks: {dense: {units: 8}}}}
""")  # fmt: skip
    file = read_experiment(path)
    assert file.name == "middle"
    assert file.space["training.learning_rate"] == ChoiceRange((0.1, 0.2))
    assert "training.batch_size" not in file.space
    assert file.base.training.epochs == 7
    assert file.base.task.signal == ("jet",)
    assert file.base.model.groups["tracks"].dense.units == 8
    assert file.base.model.groups["clusters"].length == 6


def test_another_type_of_model_replaces_the_model(folder):
    path = write(folder, "extends: good_experiment.yaml\nmodel: {type: dense, layers: 2}\n")
    assert read_experiment(path).base.model.type == "dense"


def test_a_circle_of_files_is_refused(folder):
    write(folder, "extends: b.yaml\n", "a.yaml")
    path = write(folder, "extends: a.yaml\n", "b.yaml")
    (problem,) = problems(path)
    assert "which is circular" in problem.message
    assert problem.file == str(folder / "a.yaml")


def test_a_long_chain_of_files_is_refused(folder):
    for number in range(12):
        write(folder, f"extends: f{number + 1}.yaml\n", f"f{number}.yaml")
    assert "files deep" in problems(folder / "f0.yaml")[-1].message


def test_a_problem_in_an_extended_file_has_its_place(folder):
    write(folder, "extends: good_experiment.yaml\ntraining:\n  epochs: 0\n", "base.yaml")
    path = write(folder, "extends: base.yaml\nsearch: {trials: 0}\n")
    assert {(p.file, p.line, p.column) for p in problems(path)} == {
        (str(folder / "base.yaml"), 3, 11),
        (str(path), 2, 18),
    }


def test_a_problem_in_the_dataset_file_has_its_place(folder):
    dataset = folder / "good_dataset.yaml"
    dataset.write_text(dataset.read_text() + "chunk_size: 0\n")
    (problem,) = problems(folder / "good_experiment.yaml")
    assert (problem.file, problem.line) == (str(dataset), 25)
    assert problem.message.startswith("data.chunk_size: expected at least 1")


def test_globs_are_absolute_unless_of_a_simulated_sample(folder):
    assert read_dataset(folder / "good_dataset.yaml").samples["tau"].files == (
        str(folder / "tau*.root"),
    )
    (folder / "sub").mkdir()
    inline = write(folder, "extends: ../good_experiment.yaml\n", "sub/x.yaml")
    file = read_experiment(inline)
    assert file.base.data.samples["jet"].files == (str(folder / "jet*.root"),)
    remote = ["samples.jet.files=['root://host//a.root', ../b.root]"]
    files = read_dataset(folder / "good_dataset.yaml", overrides=remote).samples["jet"].files
    assert files == ("root://host//a.root", str(Path("../b.root").resolve()))
    simulated = read_dataset(folder / "good_dataset.yaml", overrides=["simulate={taus: 10}"])
    assert simulated.samples["jet"].files == ("jet*.root",)


def test_an_inline_dataset_may_extend_a_file(folder):
    path = write(folder, """
extends: good_experiment.yaml
data: {extends: good_dataset.yaml, chunk_size: 10}
""")  # fmt: skip
    data = read_experiment(path).base.data
    assert data.chunk_size == 10
    assert data.samples["jet"].files == (str(folder / "jet*.root"),)


def test_a_list_of_classes_makes_each_a_task_class():
    file = read_experiment(GOOD, overrides=["task.classes=[jet, 1p0n]", "task.signal=[1p0n]"])
    assert file.base.task.classes == {"jet": ("jet",), "1p0n": ("1p0n",)}


TWO = """
name: two
data:
  name: two
  samples:
    z: {files: [z.root]}
    jj: {files: [jj.root]}
  classes: {jet: "!tau", tau: tau}
  split: {folds: 5}
  candidate: {pt: {}}
task: {signal: [tau]}
model: {type: dense, groups: {}}
"""


def test_classes_of_samples_and_of_a_binary_task_are_filled_in(folder):
    file = read_experiment(write(folder, TWO))
    assert file.base.task.classes == {"jet": ("jet",), "tau": ("tau",)}
    assert file.base.task.background == ("jet",)
    assert [sample.classes for sample in file.base.data.samples.values()] == [("jet", "tau")] * 2
    explicit = TWO.replace("root]}", "root], classes: [jet, tau]}")
    explicit = explicit.replace("{signal", "{classes: [jet, tau], signal")
    assert read_experiment(write(folder, explicit)).digest == file.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[z.root]}", "[z.root], classes: [tau]}", "7:5: data.samples.jj.classes is missing"),
        ("tau: tau}", "tau: tau, e: e}", "11:1: task.classes is missing"),
        ("[tau]", "[tauu]", "11:17: task.signal: 'tauu' is not a task class (did you mean 'tau'?)"),
        ("{signal: [tau]}", "{}", "or neg_log_loss, or classes in task.signal"),
        ('{jet: "!tau", tau: tau}', "[jet, tau]", "data.classes: expected a mapping"),
        ("{files: [z.root]}", "z.root", "data.samples.z: expected a mapping"),
    ],
)
def test_wrong_classes_are_refused_at_their_place(folder, old, new, message):
    assert old in TWO
    messages = problems(write(folder, TWO.replace(old, new)))
    assert any(message in f"{p.line}:{p.column}: {p.message}" for p in messages), messages


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.learning_rate=1e-3", "training.learning_rate", 1e-3),
        ("training.early_stopping=null", "training.early_stopping", None),
        ("search.pruner=null", "search.pruner.type", "none"),
        ("training.early_stopping.patience=3", "training.early_stopping.patience", 3),
        ("training.reduce_on_plateau.factor=0.5", "training.reduce_on_plateau.factor", 0.5),
        ("model.groups.tracks.dense.layers=2", "model.groups.tracks.dense.layers", 2),
        ("search.pruner.type=median", "search.pruner.type", "median"),
        ("data.chunk_size=5", "data.chunk_size", 5),
        ("name=y", "name", "y"),
    ],
)
def test_an_override_sets_its_leaf_and_no_other(override, path, value):
    before, after = read_experiment(GOOD), read_experiment(GOOD, overrides=[override])
    assert value_at(after.base, path) == value
    assert {key: before.space[key] for key in before.space if key != path} == after.space


def test_the_last_of_two_overrides_holds():
    file = read_experiment(GOOD, overrides=["training.epochs=3", "training.epochs=4"])
    assert file.base.training.epochs == 4


def test_overriding_one_default_group_keeps_the_others(folder):
    path = write(folder, """
name: x
data: good_dataset.yaml
task: {classes: [jet, 1p0n], signal: [1p0n]}
model: {type: rnn}
""")  # fmt: skip
    groups = read_experiment(path, overrides=["model.groups.tracks.length=3"]).base.model.groups
    assert {name: group.length for name, group in groups.items()} == {"tracks": 3, "clusters": 6}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.lerning_rate=1", "did you mean 'learning_rate'"),
        ("trainning.epochs=1", "did you mean 'training'"),
        ("training.epochs.x=1", "single value"),
        ("training.epochs=many", "expected a whole number, got 'many'"),
        ("training.epochs", "expected PATH=VALUE"),
        ("=1", "expected PATH=VALUE"),
        ("training.epochs=[1", "not valid YAML"),
        ("training.epochs=!!int 3", "tags are not allowed"),
        ("training.epochs={int: [5, 1]}", "expected low < high"),
        ("model.groups.track.units=4", "unknown group 'track' (did you mean 'tracks'?)"),
        ("data=none.yaml", "there is no file"),
        ("search.trials={int: [1, 2]}", "ranges are allowed in model and training only"),
        ("extends=good_experiment.yaml", "there is no setting 'extends'"),
    ],
)
def test_a_wrong_override_is_refused_with_its_reason(override, message):
    (problem,) = problems(GOOD, override)
    assert message in problem.message
    assert problem.file == f"--set {override}"


def test_all_wrong_overrides_are_reported_at_once():
    assert len(problems(GOOD, "training.epochs=x", "training.momentum=5", "nam=3")) == 3


def test_a_network_named_in_part_keeps_its_own_defaults(folder):
    write(folder, """
name: x
data: {extends: good_dataset.yaml}
task: {classes: [jet, 1p0n], signal: [1p0n]}
model: {type: deepsets, groups: {tracks: {length: 3}}, merge: {units: 50}}
""")  # fmt: skip
    model = read_experiment(folder / "x.yaml").base.model
    assert (model.merge.layers, model.merge.units) == (2, 50)
    assert model.candidate.sizes() == [60, 30, 15]


def test_the_text_reads_back_as_the_same_experiment(folder):
    file = read_experiment(GOOD, overrides=["training.epochs=3", "name='1e5'"])
    again = read_experiment(write(folder, file.text))
    assert again.digest == file.digest
    assert again.space == file.space
    assert again.base == file.base


def test_the_digest_is_of_what_defines_the_study():
    digest = read_experiment(GOOD).digest
    same = ["search.trials=3", "search.budget.hours=1", "search.resources.cpus=2", "search.notify.command=date", "tracking.experiment=z"]  # fmt: skip  # noqa: E501
    for override in same:
        assert read_experiment(GOOD, overrides=[override]).digest == digest
    other = ["search.sampler.seed=7", "training.momentum=0.9", "training.epochs=3", "data.chunk_size=9"]  # fmt: skip  # noqa: E501
    digests = {read_experiment(GOOD, overrides=[override]).digest for override in other}
    assert len(digests | {digest}) == 5


def test_an_experiment_file_can_be_pickled_for_a_worker():
    file = read_experiment(GOOD)
    assert pickle.loads(pickle.dumps(file)) == file


def test_a_file_of_the_wrong_kind_is_refused():
    with pytest.raises(ConfigError, match="this is a dataset file"):
        read_experiment(DATA / "good_dataset.yaml")
    with pytest.raises(ConfigError, match="this is an experiment file"):
        read_dataset(GOOD)
