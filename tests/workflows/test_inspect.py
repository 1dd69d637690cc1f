"""What inspecting a file tells, and that what it proposes can be used."""

import json
import subprocess
import sys

import awkward as ak
import numpy as np
import pytest

from tauopt.config.load import read_dataset
from tauopt.dataset.prepared import open_dataset
from tauopt.errors import ConfigError, DataError
from tauopt.ntuples.files import expand
from tauopt.workflows.inspect import inspect_file
from tauopt.workflows.prepare import prepare
from tauopt.workflows.proposal import FILL_IN, propose
from tauopt.workflows.validate import validate
from tests import ntuples_factory as factory

FORMATS = {
    "root": ("a.root", factory.write),
    "rntuple": ("b.root", factory.write_rntuple),
    "structured": ("a.h5", factory.write_structured),
    "variables": ("b.h5", factory.write_variables),
    "parquet": ("a.parquet", factory.write_parquet),
    "feather": ("a.feather", factory.write_feather),
}


@pytest.fixture(scope="module")
def content():
    return factory.columns(300)


@pytest.fixture(scope="module", params=FORMATS)
def path(request, content, tmp_path_factory):
    name, write = FORMATS[request.param]
    return write(tmp_path_factory.mktemp("inspect") / name, content)


def by_leaf(table):
    return {branch.name.rpartition(".")[2]: branch for branch in table.branches}


def test_ranges_and_first_rows_are_those_of_the_entries_looked_at(path, content):
    (table,) = inspect_file(path, sample=100)
    assert (table.entries, table.sampled, table.problem) == (300, 100, "")
    branches = by_leaf(table)
    pt, tracks = branches["pt"], branches["track_pt"]
    assert pt.minimum == content["pt"][:100].min()
    assert pt.maximum == content["pt"][:100].max()
    assert pt.first == tuple(content["pt"][:3].tolist())
    assert tracks.maximum == ak.max(content["track_pt"][:100])
    assert tracks.objects == tuple(ak.num(content["track_pt"][:100]).tolist())
    assert [len(row) for row in tracks.first] == [min(4, n) for n in tracks.objects[:3]]


def test_nans_are_counted_and_keep_out_of_the_range(tmp_path):
    values = factory.columns(10)
    values["pt"][:4] = [np.nan, np.inf, 5, 1e6]
    (table,) = inspect_file(factory.write(tmp_path / "a.root", values))
    pt = by_leaf(table)["pt"]
    assert (pt.nans, pt.minimum, pt.maximum) == (2, 5, 1e6)


def test_every_tree_is_told_unless_one_is_asked_for(tmp_path, content):
    path = factory.write_trees(tmp_path / "a.root", one=content, two={"x": np.zeros(3)})
    assert [table.name for table in inspect_file(path)] == ["one", "two"]
    assert [table.entries for table in inspect_file(path, tree="two")] == [3]
    with pytest.raises(DataError, match=r"no tree 'tow' \(did you mean 'two'\?\)"):
        inspect_file(path, tree="tow")


def test_what_can_not_be_read_is_told_all_the_same(tmp_path, content):
    whole = factory.write(tmp_path / "a.root", content, baskets=1)
    from tauopt.ntuples.root_files import open_tree

    with open_tree(whole, "candidates") as tree:
        seek = int(tree["pt"].member("fBasketSeek")[0])
    data = bytearray(whole.read_bytes())
    data[seek + 80 : seek + 200] = bytes(range(120))
    whole.write_bytes(data)
    (table,) = inspect_file(whole)
    assert "branch 'pt'" in table.problem
    assert by_leaf(table)["pt"].type == "float"


def filled_in(text):
    is_tau = (
        next(line for line in text.splitlines() if line.startswith("# look at"))
        .split()[3]
        .rstrip(",")
    )
    text = text.replace(f"background: {FILL_IN}", f"background: '!{is_tau}'")
    return text.replace(f"signal: {FILL_IN}", f"signal: {is_tau}")


def test_a_proposal_is_valid_and_can_be_prepared_once_the_classes_are_filled_in(
    path, tmp_path, monkeypatch
):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    text, file = propose(inspect_file(path)), tmp_path / "dataset.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        validate(file)
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 2
    assert all("classes." in problem for problem in told)
    file.write_text(filled_in(text))
    assert validate(file).name == path.stem
    manifest = open_dataset(prepare(file).folder).manifest
    assert {"pt", "eta", "prongs"} <= {feature.name for feature in manifest.candidate.features}
    assert set(manifest.spectators) == {"pt", "eta", "prongs"}
    features = {f.name.removeprefix("track_") for g in manifest.groups for f in g.features}
    assert features == {"pt", "d0"}


def test_lists_of_one_prefix_are_one_group_only_if_they_count_the_same_objects(tmp_path):
    values = factory.columns(50)
    values["track_hit"] = values["track_pt"][:, :1]
    text = propose(inspect_file(factory.write_parquet(tmp_path / "a.parquet", values)))
    assert "  track:  #" in text
    assert "  track_2:  # 0 to 1 a candidate" in text


def test_names_that_need_care_give_a_valid_file(tmp_path):
    values = factory.columns(50) | {
        "no": np.arange(50.0),
        "1st": np.arange(50.0),
        "a-b": np.arange(50.0),
        "candidate_x": ak.unflatten(np.arange(100.0), [2] * 50),
        "labels": np.arange(50),
        "constant": np.ones(50),
    }
    file = tmp_path / "dataset.yaml"
    path = factory.write_parquet(tmp_path / "it's [100%] ok.parquet", values)
    text = propose(inspect_file(path))
    file.write_text(filled_in(text))
    assert validate(file).kind == "dataset"
    assert expand(read_dataset(file).samples["it-s-100-ok"].files) == (path,)
    assert "#   a-b" in text
    assert "# constant: {scale: standard}  # 1 to 1, constant: left out" in text


def test_several_files_become_samples_of_what_they_have_in_common(tmp_path, content):
    more = factory.write(tmp_path / "tau.root", content | {"extra": content["pt"]})
    fewer = factory.write(tmp_path / "jet.root", content)
    text = propose([*inspect_file(more), *inspect_file(fewer)])
    assert "  tau:\n" in text
    assert "  jet:\n" in text
    assert "#   extra" in text


def run(*arguments):
    command = [sys.executable, "-m", "tauopt", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_verb_prints_a_table_json_or_a_proposal(tmp_path):
    values = factory.columns(20)
    values["pt"][0] = np.nan
    path = factory.write(tmp_path / "a.root", values)
    assert "track_pt" in run(path).stdout
    (table,) = json.loads(run(path, "--json").stdout)
    assert table["entries"] == 20
    pt = next(branch for branch in table["branches"] if branch["name"] == "pt")
    assert (pt["nans"], pt["first"][0]) == (1, "nan")
    assert FILL_IN in run(path, "--init").stdout


def test_a_bad_file_is_named_and_the_others_are_shown(tmp_path):
    good, bad = factory.write(tmp_path / "a.root", factory.columns(5)), tmp_path / "bad.root"
    bad.write_bytes(b"nothing")
    told = run(bad, good)
    assert told.returncode == 3
    assert "bad.root" in told.stderr
    assert "track_pt" in told.stdout
