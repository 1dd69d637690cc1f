"""An experiment that does not fit its prepared dataset is refused before the first trial."""

from pathlib import Path

import pytest
import yaml

from tauopt.config.load import read_experiment
from tauopt.dataset.experiment_check import check_fits
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import ConfigError
from tauopt.workflows.search import search
from tauopt.workflows.train import train
from tests import ntuples_factory
from tests.prepared_factory import prepared_dataset

SPACES = Path(__file__).parents[2] / "search_spaces"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(prepared_dataset(tmp_path_factory.mktemp("toy")))


def lacking(dataset, split, *names):
    """Return the dataset as if a split held no candidates of some classes."""
    manifest = dataset.manifest
    info = manifest.splits[split]
    empty = info.model_copy(update={"counts": {**info.counts, **dict.fromkeys(names, 0)}})
    splits = {**manifest.splits, split: empty}
    return type(dataset)(dataset.folder, manifest.model_copy(update={"splits": splits}))


def most(dataset, group):
    return dataset.train.most_objects(group, enough=10**9)


def test_the_shipped_spaces_fit(dataset):
    for name in ("rnn", "deepsets", "any"):
        check_fits(read_experiment(SPACES / f"{name}.yaml"), dataset)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_class_without_candidates_is_refused_with_its_line(dataset, split):
    file = read_experiment(SPACES / "rnn.yaml")
    with pytest.raises(ConfigError, match="no candidate of task class 'jet'") as wrong:
        check_fits(file, lacking(dataset, split, "jet"))
    (problem,) = wrong.value.problems
    line = (SPACES / "rnn.yaml").read_text().splitlines()[problem.line - 1]
    assert "jet: [jet]" in line
    check_fits(file, lacking(dataset, split, "1p0n"))  # one of several in its task class


@pytest.mark.parametrize("value", ["{}", "{{int: [{}, 90]}}", "{{choice: [{}, 90]}}"])
def test_more_objects_than_any_candidate_has_are_refused(dataset, value):
    length = most(dataset, "tracks")

    def read(least):
        override = f"model.groups.tracks.length={value.format(least)}"
        return read_experiment(SPACES / "rnn.yaml", overrides=[override])

    check_fits(read(length), dataset)
    with pytest.raises(ConfigError, match=f"tracks.length: expected at most {length}, "):
        check_fits(read(length + 1), dataset)


def test_the_problem_names_one_architecture_among_several(dataset):
    file = read_experiment(
        SPACES / "any.yaml", overrides=["model.any.transformer.groups.tracks.length=99"]
    )
    with pytest.raises(ConfigError, match=r"model\.transformer\.groups\.tracks\.length: expected"):
        check_fits(file, dataset)


def test_the_default_lengths_may_be_more_than_there_are(tmp_path):
    few = open_dataset(prepared_dataset(tmp_path, candidates=60, groups=("conversions",)))
    model = "model={type: rnn, groups: {conversions: {units: {int: [4, 8]}}}}"
    file = read_experiment(SPACES / "rnn.yaml", overrides=[model])
    assert file.base.model.groups["conversions"].length > most(few, "conversions")
    check_fits(file, few)


@pytest.mark.parametrize("verb", [search, train])
def test_neither_search_nor_train_begins_with_an_experiment_that_does_not_fit(
    verb, tmp_path, monkeypatch
):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    ntuples_factory.write(tmp_path / "ntuples" / "a.root", ntuples_factory.columns(300))
    settings = ntuples_factory.dataset_settings("ntuples")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    units = {"int": [4, 8]} if verb is search else 4
    experiment = {
        "name": "toy",
        "data": "data.yaml",
        "task": {"classes": ["jet", "tau"], "signal": ["tau"]},
        "model": {"type": "rnn", "groups": {"tracks": {"length": 99, "units": units}}},
        "objective": {"maximize": "auc"},
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    with pytest.raises(ConfigError, match=r"toy\.yaml:\d+:\d+: model\.groups\.tracks\.length"):
        verb(tmp_path / "toy.yaml", output=tmp_path / "out")
    assert not [*(tmp_path / "out").glob("*/*/")]
