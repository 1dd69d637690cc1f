"""First search spaces: whatever the network and the dataset, every point of them is a network."""

import re
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.first_space import first_space
from tauopt.config.first_space.commented_lines import WIDTH, CommentedLine, aligned, comment
from tauopt.config.first_space.guess_task import guess_task, is_background
from tauopt.config.first_space.usable_groups import usable_groups
from tauopt.config.load import read_dataset, read_experiment
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.network_catalogue import catalogue, knobs, network_class
from tauopt.config.settings.networks import group_lengths
from tauopt.errors import UsageError
from tauopt.study.suggest import random_point

ROOT = Path(__file__).parents[2]
TYPES = [entry.type for entry in catalogue()]
DATA = sorted(ROOT.glob("search_spaces/data/*.yaml"))
SPACES = sorted(ROOT.glob("search_spaces/*.yaml"))
POINTS = 40


def dataset(classes=("jet", "tau"), groups=None, held=None):
    """Return a dataset of these classes, and groups of features."""
    return Dataset.model_validate(
        {
            "name": "own",
            "samples": {"all": {"files": ["*.root"], "classes": list(held or classes)}},
            "classes": {name: f"c == {number}" for number, name in enumerate(classes)},
            "split": {"folds": 5},
            "candidate": {"pt": {}},
            "groups": {
                name: {"features": {feature: {} for feature in features}}
                for name, features in (groups or {}).items()
            },
        }
    )


def written(type_, data, folder, *, file="space.yaml"):
    """Return the file that stands for a dataset file, read."""
    path = folder / file
    path.write_text(first_space(type_, read_dataset(data), file=file, data=str(data)))
    return read_experiment(path)


def saved(settings, folder):
    """Write a dataset, as JSON, which is YAML."""
    path = folder / "own.yaml"
    path.write_text(settings.model_dump_json(exclude_unset=True))
    return path


def general(path):
    return re.sub(r"^model\.groups\.[^.]*", "model.groups.<group>", path)


@pytest.mark.parametrize("data", DATA, ids=lambda path: path.stem)
@pytest.mark.parametrize("type_", TYPES)
def test_every_point_of_a_first_space_resolves(type_, data, tmp_path):
    file, rng = written(type_, data, tmp_path), np.random.default_rng(1)
    assert (file.name, file.types, file.inactive) == ("space", (type_,), {})
    for values in [*file.starts(), *(random_point(file.space, rng) for _ in range(POINTS))]:
        experiment = file.resolve(values)
        assert set(group_lengths(experiment.model)) <= set(experiment.data.groups)
        if type_ == "transformer":
            assert experiment.model.dim % experiment.model.heads == 0


@pytest.mark.parametrize("type_", TYPES)
def test_the_usual_ranges_are_searched_and_listed_in_the_catalogue(type_, tmp_path):
    file, network = written(type_, DATA[0], tmp_path), network_class(type_)
    listed = {knob.path: knob.usual for knob in knobs(type_) if knob.usual}
    usual = {f"model.{path}" for path in network.usual}
    if type_ != "dense":  # it lays objects flat on request only
        usual.add("model.groups.<group>.length")
    assert usual <= set(listed)
    searched = {general(path) for path in file.space}
    assert {path for path in searched if path.startswith("model.")} == usual
    text = file.path.read_text()
    for path in usual - {"model.groups.<group>.length"}:
        assert listed[path] in text
    assert {path for path in searched if path.startswith("training.")} == {
        f"training.{name}" for name, value in network.usual_training.items() if "{" in value
    }


def test_shipped_spaces_search_only_usual_settings():
    usual = {f"training.{name}" for type_ in TYPES for name in network_class(type_).usual_training}
    for path in SPACES:
        file = read_experiment(path)
        own = {knob.path for type_ in file.types for knob in knobs(type_) if knob.usual}
        own |= {re.sub("^model", f"model.{type_}", path) for type_ in file.types for path in own}
        plain = {re.sub(r"\.groups\.[^.]*", ".groups.<group>", path) for path in file.space}
        of_task = {"model.inputs", "model.type", "training.mode_weight"}
        assert plain <= own | usual | of_task, path


@pytest.mark.parametrize("data", DATA, ids=lambda path: path.stem)
@pytest.mark.parametrize("type_", TYPES)
def test_lines_are_short_and_their_comments_are_aligned(type_, data):
    text = first_space(type_, read_dataset(data), file="space.yaml", data="data.yaml")
    assert all(len(line) <= WIDTH and line == line.rstrip() for line in text.splitlines())
    for block in text.split("\n\n")[1:]:
        columns = {line.rfind("# ") for line in block.splitlines()}
        assert len({column for column in columns if 20 < column <= 55}) <= 1, block


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(name, True) for name in ("jet", "Jets", "fake_tau", "QCDJets", "light-jet", "qcd1")],
        *[(name, True) for name in ("background", "bkg", "e", "mu", "Electron", "muons")],
        *[(name, False) for name in ("tau", "1p0n", "3pXn", "signal", "jetty", "tau_e", "mu_tau")],
    ],
)
def test_jets_and_leptons_are_background_by_their_names(name, expected):
    assert is_background(name) is expected


@pytest.mark.parametrize(
    ("classes", "grouped", "signal"),
    [
        (
            ("3p0n", "jet", "1p0n", "mu"),
            {"jet": ("jet",), "mu": ("mu",), "tau": ("3p0n", "1p0n")},
            ("tau",),
        ),
        (("genuine", "qcd"), {"qcd": ("qcd",), "genuine": ("genuine",)}, ("genuine",)),
        (("1p0n", "3p0n"), {"1p0n": ("1p0n",), "3p0n": ("3p0n",)}, ()),
        (("jet", "e"), {"jet": ("jet",), "e": ("e",)}, ()),
    ],
)
def test_decay_modes_are_merged_into_one_class_if_there_is_background(classes, grouped, signal):
    task = guess_task(dataset(classes), decay_modes=False)
    assert list(task.classes.items()) == list(grouped.items())
    assert task.signal == signal
    assert bool(task.note) == (not signal)


def test_a_decay_mode_network_separates_the_modes_of_true_taus_only():
    task = guess_task(dataset(("jet", "1p0n", "3p0n", "e")), decay_modes=True)
    assert (list(task.classes), task.signal) == (["1p0n", "3p0n"], ())
    assert "(jet, e left out)" in task.note
    task = guess_task(dataset(("jet", "tau")), decay_modes=True)
    assert (list(task.classes), task.signal) == (["jet", "tau"], ("tau",))
    assert "no decay modes" in task.note


def test_classes_that_no_sample_holds_are_left_out():
    some = dataset(("jet", "tau", "e"), held=("jet", "tau"))
    assert list(guess_task(some, decay_modes=False).classes) == ["jet", "tau"]
    with pytest.raises(UsageError, match=r"at least two classes.*hold jet"):
        guess_task(dataset(held=("jet",)), decay_modes=False)


def test_without_background_the_objective_is_accuracy(tmp_path):
    data = saved(dataset(("1p0n", "3p0n"), {"tracks": ("pt",)}), tmp_path)
    assert written("rnn", data, tmp_path).base.objective.maximize == ("accuracy",)
    assert "No class is named like jets" in (tmp_path / "space.yaml").read_text()


def test_coordinates_are_found_under_other_names(tmp_path):
    groups = {"a": ("pt", "d_eta", "d_phi"), "b": ("b_ET", "b_dEta", "deltaPhi"), "c": ("pt", "x")}
    data = saved(dataset(groups=groups), tmp_path)
    file = written("particlenet", data, tmp_path)
    assert list(file.base.model.groups) == ["a", "b"]
    assert file.base.model.coordinates.eta == "d_eta b_dEta"
    assert file.base.model.coordinates.phi == "d_phi deltaPhi"
    assert "Left out, since `coordinates` finds no features in them: c" in file.path.read_text()


def test_pairs_are_searched_only_if_all_groups_have_coordinates(tmp_path):
    groups = {"a": ("pt", "d_eta", "d_phi"), "b": ("b_ET", "b_dEta", "deltaPhi")}
    file = written("transformer", saved(dataset(groups=groups), tmp_path), tmp_path)
    assert "model.pairwise" in file.space
    assert file.base.model.coordinates.pt == "pt b_ET"
    lacking = dataset(groups=groups | {"c": ("pt", "x")})
    file = written("transformer", saved(lacking, tmp_path), tmp_path)
    assert "model.pairwise" not in file.space
    assert list(file.base.model.groups) == ["a", "b", "c"]
    assert "Not searched: `pairwise`" in file.path.read_text()


@pytest.mark.parametrize("type_", TYPES)
def test_a_network_of_objects_is_refused_where_there_are_none(type_, tmp_path):
    if type_ == "dense":
        assert written(type_, saved(dataset(), tmp_path), tmp_path).space
        return
    with pytest.raises(UsageError, match=f"{type_} needs a group.*--model dense"):
        first_space(type_, dataset(), file="a.yaml", data="own.yaml")


@pytest.mark.parametrize("type_", ["particlenet", "deeptau"])
def test_a_network_that_needs_coordinates_is_refused_without_them(type_):
    some = dataset(groups={"tracks": ("pt", "d_eta")})
    assert usable_groups(network_class(type_), some).without == ("tracks",)
    with pytest.raises(UsageError, match=r"d_eta and d_phi.*\(to tracks\)"):
        first_space(type_, some, file="a.yaml", data="own.yaml")


def test_groups_beyond_the_limit_of_ranges_are_refused(tmp_path):
    def many(count):
        return dataset(groups={f"g{n}": ("pt",) for n in range(count)})

    assert len(written("rnn", saved(many(83), tmp_path), tmp_path).space) > 250
    with pytest.raises(UsageError, match="84 groups would make more than 300 ranges"):
        first_space("rnn", many(84), file="a.yaml", data="own.yaml")


def test_names_that_look_like_other_yaml_values_stay_text(tmp_path):
    folder = tmp_path / "it's: [a] #1"
    folder.mkdir()
    classes = ("null", "1e5", "0x10", "true", "jet")
    data = saved(dataset(classes, {"no": ("pt",), "null": ("pt",), "true": ("pt",)}), folder)
    file = written("rnn", data, tmp_path, file="1e5.yaml")
    assert file.name == "1e5"
    assert file.base.task.classes == {"jet": ("jet",), "tau": classes[:4]}
    assert list(file.base.model.groups) == ["no", "null", "true"]


def test_many_classes_take_several_lines(tmp_path):
    classes = tuple(f"mode-number-{number}" for number in range(30))
    data = saved(dataset((*classes, "jet"), {"tracks": ("pt",)}), tmp_path)
    assert written("rnn", data, tmp_path).base.task.classes["tau"] == classes
    data = saved(dataset(classes, {"tracks": ("pt",)}), tmp_path)
    file = written("rnn", data, tmp_path)
    assert tuple(file.base.task.classes) == classes
    assert max(map(len, file.path.read_text().splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Kind of recurrent layer.", "kind of recurrent layer"),
        ("MLflow experiment.", "MLflow experiment"),
        ("`sgd` is one. Another is not.", "`sgd` is one"),
        ("Where it has its value: below 1 a fraction, else a number.", "where it has its value"),
        ("A third,\n    in 3.5 words.", "a third, in 3.5 words"),
        (None, ""),
    ],
)  # fmt: skip
def test_a_comment_is_the_beginning_of_the_docstring(docstring, expected):
    assert comment(docstring) == expected


def test_a_long_comment_is_wrapped_below_its_line_or_placed_above_it():
    long_comment = (
        "far more than what would be read at a glance in one line of a file, so that it goes on"
    )
    first, second = aligned([CommentedLine("a: 1", long_comment)])
    assert first.index("# ") == second.index("# ") == 51
    assert aligned([CommentedLine(f"  a: {'x' * 90}", "short")]) == [
        "  # short",
        f"  a: {'x' * 90}",
    ]
