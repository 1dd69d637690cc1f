"""Valid event numbers, the entries in which they are checked, and the errors of invalid ones."""

import numpy as np
import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.physics.expressions import parse
from tauopt.prepare.label_candidates import event_numbers
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write, write_parquet


def numbers(values, text="event", *, relevant=None):
    values = np.asarray(values)
    relevant = np.ones(len(values), bool) if relevant is None else np.array(relevant)
    return event_numbers(parse(text), {"event": values}, relevant, where="a.root").tolist()


def test_only_relevant_entries_are_checked():
    assert numbers([np.nan, 2.0, -1.5], relevant=[False, True, False]) == [0, 2, 0]
    assert numbers(np.array([2**64 - 1, 5], "u8"), relevant=[False, True]) == [0, 5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.nan, np.inf], r"\(float64\) of 2 \(entries 1, 2, ...\) is NaN or infinite"),
        ([1.0, 2.5], "is not whole; expected an integer branch"),
        (np.array([2.0**24], "f4"), r"is 2\^24 or more, where a float"),
        ([2.0**53], r"is 2\^53 or more, where a float"),
        (np.array([2**63], "u8"), r"`event_number: event % 4611686018427387904`"),
    ],
)
def test_an_invalid_event_number_is_refused_with_the_reason(values, message):
    with pytest.raises(DataError, match=message):
        numbers(values)


def test_the_remedy_for_large_numbers_helps():
    large = np.array([2**63, 2**63 + 7, 2**64 - 1], "u8")
    assert numbers(large, "event % 4611686018427387904") == [0, 7, 2**62 - 1]


def test_numbers_of_entries_that_are_not_selected_do_not_matter(tmp_path):
    values = columns(400)
    event = values["event_number"].astype("f8")
    event[values["pt"] < 25_000] = np.nan
    write(tmp_path / "a.root", values | {"event_number": event})
    settings = dataset(tmp_path, selection="pt >= 25000")
    manifest = open_dataset(prepare(settings, cache=tmp_path / "cache")).manifest
    kept = sum(split.candidates for split in manifest.splits.values())
    assert kept == int((values["pt"] >= 25_000).sum())


def test_a_split_may_call_the_event_number_by_its_quoted_name(tmp_path):
    values = columns(300)
    values["Evt:number"] = values.pop("event_number")
    write_parquet(tmp_path / "a.parquet", values)
    split = {"train": "`Evt:number` % 10 < 6", "validation": "`Evt:number` % 10 == 6"}
    split["test"] = "event_number % 10 > 6"
    settings = dataset(tmp_path, suffix="parquet", event_number="`Evt:number`", split=split)
    folder = prepare(settings, cache=tmp_path / "cache")
    assert open_dataset(folder).manifest.splits["train"].candidates == 180


@pytest.mark.parametrize(("text", "warned"), [("event_number", True), ("abs(event_number)", False)])
def test_negative_numbers_that_share_one_split_are_warned_of(tmp_path, caplog, text, warned):
    values = columns(400)
    values["event_number"] = values["event_number"] - 200
    write(tmp_path / "a.root", values)
    split = {"train": f"{text} % 10 < 6", "validation": f"{text} % 10 == 6"}
    split["test"] = f"{text} % 10 > 6"
    prepare(dataset(tmp_path, split=split), cache=tmp_path / "cache")
    assert (
        "all 200 candidates of negative event number are in the train split" in caplog.text
    ) == (warned)


def test_folds_take_negative_numbers_without_a_warning(tmp_path, caplog):
    values = columns(400)
    values["event_number"] = values["event_number"] - 200
    write(tmp_path / "a.root", values)
    prepare(dataset(tmp_path, split={"folds": 3}), cache=tmp_path / "cache")
    assert "negative event number" not in caplog.text


def test_a_group_without_an_object_is_warned_of(tmp_path, caplog):
    write(tmp_path / "a.root", columns(300))
    group = {"features": {"pt": {"expression": "track_pt"}}}
    settings = dataset(
        tmp_path, groups={"tracks": group, "none": group | {"select": "track_pt < 0"}}
    )
    prepare(settings, cache=tmp_path / "cache")
    assert "groups.none: no candidate of the training split has an object" in caplog.text
    assert "groups.tracks" not in caplog.text
