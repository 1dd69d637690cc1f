"""Datasets that must not be trained on: each is refused with counts and places."""

import numpy as np
import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write

SPLIT = {
    "train": "event_number % 10 < 6",
    "validation": "event_number % 10 == 6",
    "test": "event_number % 10 == 7",
}


def _refused(settings, tmp_path, *, kind=DataError):
    with pytest.raises(kind) as caught:
        prepare(settings, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("prepared/*"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": {"jet": "!is_tau", "tau": "is_tau && prongs == 1"}}, "are of none"),
        ({"classes": {"jet": "prongs == 1", "tau": "is_tau"}}, "of several"),
        ({"split": SPLIT | {"test": "event_number % 10 >= 6"}}, "splits validation and test"),
        ({"split": SPLIT | {"test": "event_number < 0"}}, "the test split"),
        ({"split": SPLIT | {"test": "pt > 1"}}, "may depend on the event number only"),
        ({"event_number": "pt / 3"}, "not whole"),
        ({"event_number": "track_pt"}, "several values"),
        ({"event_number": "7"}, "reads no branch"),
        ({"selection": "is_tau"}, "only candidates of class 'tau'"),
        ({"selection": "pt < 0"}, "holds no candidate"),
        ({"selection": "pt < 0"}, "left out of all, 1200 in all: 1200 by selection: pt < 0"),
        ({"selection": "track_pt > 0"}, "a value for each object"),
        ({"selection": "ptt > 0"}, "no branch 'ptt' (did you mean 'pt'?)"),
        ({"candidate": {"track_pt": {}}}, "a value for each object"),
        ({"groups": {"tracks": {"features": {"pt": {}}}}}, "no feature has several values"),
        ({"spectators": {"x": "Sum$(track_ptt)"}}, "did you mean 'track_pt'"),
    ],
)
def test_a_dataset_with_a_fault_is_refused_with_the_reason(ntuples, tmp_path, change, message):
    assert message in _refused(dataset(ntuples, **change), tmp_path)


def test_candidate_of_no_class_is_counted_with_examples(ntuples, tmp_path, contents):
    classes = {"jet": "is_tau == 0 && event_number != 5", "tau": "is_tau && event_number != 5"}
    message = _refused(dataset(ntuples, classes=classes), tmp_path)
    assert "1 (entries 5, ...) are of none and 0 of several" in message
    assert "0.root" in message


def test_candidate_that_is_not_selected_may_be_of_no_class(ntuples, contents, tmp_path):
    classes = {"jet": "!is_tau && prongs == 1", "tau": "is_tau && prongs == 1"}
    settings = dataset(ntuples, classes=classes, selection="prongs == 1")
    manifest = open_dataset(prepare(settings, cache=tmp_path)).manifest
    selected = sum(int((content["prongs"] == 1).sum()) for content in contents)
    assert sum(split.candidates for split in manifest.splits.values()) == selected


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("weight", "fault"),
    [
        ("1 / (event_number != 5)", "is NaN or infinite for 1 candidates (entries 5, ...)"),
        ("1 + 1e300 * (event_number == 5)", "is larger than 1e+30 for 1 candidates (entries 5"),
        ("-1e300 * (event_number < 7)", "is larger than 1e+30 for 7 candidates (entries 0, 1, 2"),
    ],
)
def test_weight_that_is_not_finite_or_overflows_in_sums_is_refused(
    ntuples, tmp_path, weight, fault
):
    files = [f"{ntuples}/*.root"]
    samples = {"all": {"files": files, "classes": ["jet", "tau"], "weight": weight}}
    message = _refused(dataset(ntuples, samples=samples), tmp_path)
    assert f"weight {weight!r} {fault}" in message


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_largest_weights_are_summed_without_overflow(ntuples, tmp_path):
    samples = {"all": {"files": [f"{ntuples}/*.root"], "weight": "1e30 * (1 - 2 * (pt < 21000))"}}
    samples["all"]["classes"] = ["jet", "tau"]
    weights = open_dataset(prepare(dataset(ntuples, samples=samples), cache=tmp_path)).manifest
    assert all(1e31 < total < 1e33 for total in weights.splits["train"].weights.values())


def test_missing_branch_of_any_file_is_an_error_before_anything_is_read(tmp_path, monkeypatch):
    write(tmp_path / "in" / "a.root", columns(100))
    lacking = {name: values for name, values in columns(100, seed=2).items() if name != "eta"}
    write(tmp_path / "in" / "b.root", lacking)
    monkeypatch.setattr("tauopt.durable.sha256_file", lambda path: pytest.fail("was read"))
    message = _refused(dataset(tmp_path / "in"), tmp_path)
    assert "b.root: tree 'candidates': no branch 'eta'" in message


def test_the_same_fault_in_many_files_is_reported_once(tmp_path):
    for number in range(3):
        write(tmp_path / "in" / f"{number}.root", columns(50, seed=number))
    message = _refused(dataset(tmp_path / "in", event_number="event_numbr"), tmp_path)
    assert message.count("no branch 'event_numbr' (did you mean 'event_number'?)") == 1
    assert "0.root and 2 more files: tree 'candidates'" in message


def test_empty_tree_is_skipped_with_a_warning(tmp_path, caplog):
    write(tmp_path / "in" / "a.root", columns(200))
    write(tmp_path / "in" / "b.root", columns(0))
    prepare(dataset(tmp_path / "in"), cache=tmp_path)
    assert "b.root: holds no candidates; skipped" in caplog.text


def test_sample_whose_trees_are_all_empty_is_refused(tmp_path):
    write(tmp_path / "in" / "b.root", columns(0))
    assert "all its files are empty" in _refused(dataset(tmp_path / "in"), tmp_path)


def test_same_content_twice_is_refused(tmp_path):
    path = write(tmp_path / "in" / "a.root", columns(200))
    (tmp_path / "in" / "b.root").write_bytes(path.read_bytes())
    assert "have the same content" in _refused(dataset(tmp_path / "in"), tmp_path)


def _damaged(path, branch="pt"):
    """Overwrite the last basket of a branch, so that the file fails late."""
    from tauopt.ntuples.root_files import open_tree

    with open_tree(path, "candidates") as tree:
        number = int(tree[branch].num_baskets) - 1
        seek = int(tree[branch].member("fBasketSeek")[number])
    content = bytearray(path.read_bytes())
    content[seek + 70 : seek + 200] = bytes(130)
    path.write_bytes(content)


def test_damaged_file_is_refused_by_name(tmp_path):
    write(tmp_path / "in" / "a.root", columns(300))
    _damaged(write(tmp_path / "in" / "b.root", columns(300, seed=2), baskets=3))
    message = _refused(dataset(tmp_path / "in"), tmp_path, kind=BadFileError)
    assert "b.root: branch 'pt'" in message
    assert "1 of 2 files can't be read, 0 are tolerated" in message


def test_damaged_file_leaves_no_candidate_behind_where_it_is_tolerated(tmp_path):
    from tauopt.dataset.prepared_dataset import open_dataset

    write(tmp_path / "in" / "a.root", columns(300))
    _damaged(write(tmp_path / "in" / "b.root", columns(300, seed=2, first_event=300), baskets=3))
    (tmp_path / "in" / "c.root").write_bytes(b"nothing of the kind")
    settings = dataset(tmp_path / "in", bad_files=2, selection="pt > 22000")
    folder = prepare(settings, cache=tmp_path / "cache", step=100)
    found = open_dataset(folder)
    numbers = found.train.columns(["event_numbers"])["event_numbers"]
    assert numbers.max() < 300
    kept = sum(split.candidates for split in found.manifest.splits.values())
    assert found.manifest.dropped == {"not selected": 300 - kept}
    assert [problem.split("/")[-1][:6] for problem in found.manifest.bad_files] == [
        "b.root",
        "c.root",
    ]
    assert [source.path[-6:] for source in found.manifest.sources] == ["a.root"]


def test_class_without_training_candidates_is_warned_of(ntuples, tmp_path, caplog):
    classes = {"jet": "!is_tau", "tau": "is_tau", "electron": "0"}
    prepare(dataset(ntuples, classes=classes), cache=tmp_path)
    assert "the training split holds no candidate of electron" in caplog.text


def test_unsigned_event_number_beyond_64_bits_with_sign_is_refused(tmp_path):
    content = columns(100)
    content["event_number"] = content["event_number"].astype(np.uint64) + np.uint64(2**63)
    write(tmp_path / "in" / "a.root", content)
    assert "is 2^63 or more" in _refused(dataset(tmp_path / "in"), tmp_path)
