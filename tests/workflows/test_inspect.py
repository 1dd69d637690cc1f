"""Inspection of files of all formats, and the dataset file that it proposes."""

import json
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from tauopt.config.load import read_dataset
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import ConfigError, DataError
from tauopt.ntuples.input_globs import expand
from tauopt.workflows.inspect import InspectedBranch, InspectedTable, _FirstEntries, inspect_file
from tauopt.workflows.prepare import prepare
from tauopt.workflows.propose_dataset import FILL_IN, choose, propose
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


def test_ranges_and_first_rows_are_those_of_the_sampled_entries(path, content):
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


def test_nans_are_counted_and_do_not_enter_the_range(tmp_path):
    values = factory.columns(10)
    values["pt"][:4] = [np.nan, np.inf, 5, 1e6]
    (table,) = inspect_file(factory.write(tmp_path / "a.root", values))
    pt = by_leaf(table)["pt"]
    assert (pt.nans, pt.minimum, pt.maximum) == (2, 5, 1e6)


def test_every_tree_is_inspected_unless_one_is_named(tmp_path, content):
    path = factory.write_trees(tmp_path / "a.root", one=content, two={"x": np.zeros(3)})
    assert [table.name for table in inspect_file(path)] == ["one", "two"]
    assert [table.entries for table in inspect_file(path, tree="two")] == [3]
    with pytest.raises(DataError, match=r"no tree 'tow' \(did you mean 'two'\?\)"):
        inspect_file(path, tree="tow")


def test_an_unreadable_branch_is_listed_with_the_reason(tmp_path, content):
    whole = factory.write(tmp_path / "a.root", content, baskets=1)
    from tauopt.ntuples.root_files import open_tree

    with open_tree(whole, "candidates") as tree:
        seek = int(tree["pt"].member("fBasketSeek")[0])
    data = bytearray(whole.read_bytes())
    data[seek + 80 : seek + 200] = bytes(range(120))
    whole.write_bytes(data)
    (table,) = inspect_file(whole)
    branches = by_leaf(table)
    assert "branch 'pt'" in branches["pt"].problem
    assert (branches["pt"].type, branches["pt"].values) == ("float", 0)
    assert branches["eta"].maximum == content["eta"].max()
    assert table.problem == ""
    assert "#   pt: float, branch 'pt' can't be read" in propose([table])


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
    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) == 2
    assert all("classes." in problem for problem in problems)
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
    assert 'a_b: {expression: "`a-b`", scale: standard}' in text
    assert '_1st: {expression: "`1st`", scale: standard}' in text
    assert "# constant: {scale: standard}  # 1 to 1, constant: left out" in text


def test_several_files_become_samples_of_what_they_have_in_common(tmp_path, content):
    more = factory.write(tmp_path / "tau.root", content | {"extra": content["pt"]})
    fewer = factory.write(tmp_path / "jet.root", content)
    text = propose([*inspect_file(more), *inspect_file(fewer)])
    assert "  tau:\n" in text
    assert "  jet:\n" in text
    assert "#   extra: not in jet.root" in text


def test_a_branch_that_can_not_be_read_does_not_hide_the_others(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "pt": pyarrow.array([1.0, 2.0, 3.0]),
            "mode": pyarrow.array([1, None, 3]),
            "flag": pyarrow.array([True, False, None]),
            "hits": pyarrow.array([[1.0], None, []]),
            "name": pyarrow.array(["a", "b", "c"]),
            "event": pyarrow.array([1, 2, 3]),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (table,) = inspect_file(tmp_path / "a.parquet")
    branches = {branch.name: branch for branch in table.branches}
    assert (branches["pt"].maximum, branches["event"].first) == (3, (1, 2, 3))
    for name in ("mode", "flag", "hits"):
        assert "holds 1 missing values" in branches[name].problem
    assert (table.sampled, table.problem) == (3, "")
    text = propose([table])
    assert "  pt: {scale: standard}" in text
    assert "#   mode: int64, branch 'mode'" in text
    assert "#   name: string, is no number and no list of numbers" in text


def test_a_table_without_a_readable_branch_is_given_up_after_a_few_reads(tmp_path):
    source = Unreadable(tmp_path / "a.root", 200)
    first = _FirstEntries(source, 5)
    first.read([f"b{i}" for i in range(200)])
    assert set(first.problems.values()) == {"the disk is gone"}
    assert len(first.problems) == 200
    assert source.calls < 60


class Unreadable:
    """A source without a readable branch."""

    def __init__(self, path, branches):
        self.path, self.branches, self.calls = path, branches, 0

    def iterate(self, branches, *, step):
        self.calls += 1
        raise DataError(f"{self.path}: the disk is gone")
        yield


def table_of(name="candidates", *, entries=5, path="/data/a.root", **branches):
    """Make a table of branches: one number per candidate, or a list where the value is a tuple."""
    made = tuple(
        InspectedBranch(
            name=branch.replace("__", "/"),
            type="float",
            jagged=isinstance(ends, tuple),
            values=entries,
            minimum=0.0,
            maximum=1.0 if ends else 0.0,
            objects=(2,) * entries if isinstance(ends, tuple) else (),
            short=branch.rpartition("__")[2] if "__" in branch else "",
        )
        for branch, ends in branches.items()
    )
    return InspectedTable(Path(path), name, entries, entries, made)


def test_short_names_are_proposed_where_they_are_unique():
    text = propose([table_of(evt__pt=1, evt__I16=1, x__y__mass=1)])
    assert "  pt: {scale: standard}" in text
    assert "  I16: {scale: standard}" in text
    names = [branch.expression for branch in table_of(**{"a__b": 1}).branches]
    assert names == ["b"]
    assert InspectedBranch("evt/pt", "float", False).expression == "`evt/pt`"


def test_the_table_with_candidates_is_chosen_not_the_one_with_most_branches():
    many = {f"m{i}": 1 for i in range(20)}
    metadata = table_of("MetaData", entries=1, **many)
    candidates = table_of("tau", entries=500, pt=1)
    constant = table_of("flat", entries=900, one=0)
    assert choose([metadata, constant, candidates]) == [candidates]
    text = propose([candidates], others=[metadata])
    assert "# Other trees, of which --tree chooses one: 'MetaData' (1 entries)" in text


def test_several_files_take_the_table_that_all_have():
    first = [table_of("tau", entries=10, pt=1), table_of("a", entries=900, x=1)]
    second = [table_of("tau", entries=10, pt=1, path="/data/b.root")]
    assert choose([*first, *second]) == [first[0], second[0]]
    metadata = [table_of("m", entries=1, a=1), table_of("m", entries=1, a=1, path="/data/b.root")]
    other = table_of("jet", entries=10, pt=1, path="/data/b.root")
    assert choose([metadata[0], first[0], metadata[1], other]) == [first[0], other]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (table_of(one=0), "that is not the same in the first 5 entries"),
        (table_of(entries=0), "'candidates' holds no entries"),
        (table_of(Tau_pt=(1,), Jet_pt=(1,)), r"layout: {type: events, candidates: Tau_}"),
        (
            InspectedTable(
                Path("a.h5"), "t", 9, 0, (InspectedBranch("x", "f", False, problem="gone"),), "gone"
            ),
            "a.h5: gone; the file also has 'other'",
        ),
        (
            InspectedTable(
                Path("a.h5"),
                "t",
                9,
                9,
                (InspectedBranch("x", "string", None, problem="is no number"),),
            ),
            "left out are 'x': string, is no number",
        ),
    ],
)
def test_a_table_without_a_feature_is_refused_with_the_reason(table, message):
    with pytest.raises(DataError, match=message):
        propose([table], others=[table_of("other", x=1)])


def test_the_layout_of_events_is_proposed_for_a_file_of_events():
    text = propose([table_of(met=1, Jet_pt=(1,), Jet_eta=(1,), Tau_pt=(1,))])
    assert "# layout: {type: events, candidates: Tau_}" in text
    truth = {"TruthTausAux.pt": (1,), "TruthTausAux.m": (1,), "AnalysisTauJetsAux.pt": (1,)}
    text = propose([table_of(met=1, **truth)])
    assert "# layout: {type: events, candidates: AnalysisTauJetsAux.}" in text
    assert "layout" not in propose([table_of(pt=1, track_pt=(1,))])


def test_one_entry_does_not_make_its_values_constant(tmp_path):
    text = propose(inspect_file(factory.write(tmp_path / "a.root", factory.columns(1))))
    assert "constant" not in text


def test_a_file_without_a_table_is_refused_with_its_content(tmp_path):
    import uproot

    path = tmp_path / "h.root"
    with uproot.recreate(path) as file:
        file["one"] = np.histogram([1.0, 2.0])
        file["two"] = "text"
    with pytest.raises(
        DataError, match=r"holds no TTree or RNTuple; it has 'one' \(TH1\w\), 'two'"
    ):
        inspect_file(path)
    with pytest.raises(DataError, match="holds no TTree"):
        inspect_file(path, tree="tau")


def run(*arguments):
    command = [sys.executable, "-m", "tauopt", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_a_table_json_or_a_proposal(tmp_path):
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
    ended = run(bad, good)
    assert ended.returncode == 3
    assert "bad.root" in ended.stderr
    assert "track_pt" in ended.stdout
