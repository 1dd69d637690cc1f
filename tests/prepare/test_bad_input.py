"""Bad input in every layout: mixed files, one class, missing values, files that change."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.ntuples.file_formats import open_source
from tauopt.prepare.prepare_dataset import prepare
from tests import ntuples_factory as factory
from tests.prepare.test_prepare_dataset import splits_of

SPLIT = {
    "train": "event_number % 10 < 6",
    "validation": "event_number % 10 == 6 || event_number % 10 == 7",
    "test": "event_number % 10 >= 8",
}


@dataclass(frozen=True)
class Layout:
    """How candidates are written, and what their branches are called then."""

    suffix: str
    write: Callable[[Path, dict], Path]
    prefix: str = ""
    lists: bool = True
    """Whether a branch may be one number in a file and a list in another."""

    def file(self, folder, name, content):
        folder.mkdir(exist_ok=True)
        return self.write(folder / f"{name}.{self.suffix}", content)

    def dataset(self, folder, **changes):
        own = {"files": [f"{folder}/*.{self.suffix}"], "weight": "weight"}
        events = {"layout": {"type": "events", "candidates": self.prefix}} if self.prefix else {}
        if self.prefix:
            own["tree"] = "Events"
        return Dataset.model_validate(
            {
                "name": "bad",
                "samples": {"all": own | {"classes": ["jet", "tau"]}},
                "classes": {"jet": f"!{self.prefix}is_tau", "tau": f"{self.prefix}is_tau"},
                "split": SPLIT,
                "candidate": {
                    name: {"expression": f"{self.prefix}{name}"} for name in ("pt", "eta")
                },
                "chunk_size": 100,
                **events,
                **changes,
            }
        )


def write_events(path, content):
    """Write each candidate as the only one of an event."""
    flat = {name: values for name, values in content.items() if isinstance(values, np.ndarray)}
    own = ("event_number", "weight")
    one = np.ones(len(flat["weight"]), int)
    return factory.write(
        path,
        {
            name if name in own else f"Tau_{name}":
            values if name in own else ak.unflatten(values, one)
            for name, values in flat.items()
        },
        tree="Events",
    )  # fmt: skip


LAYOUTS = {
    "root": Layout("root", factory.write),
    "rntuple": Layout("root", factory.write_rntuple),
    "structured": Layout("h5", factory.write_structured, lists=False),
    "variables": Layout("h5", factory.write_variables, lists=False),
    "parquet": Layout("parquet", factory.write_parquet),
    "feather": Layout("feather", factory.write_feather),
    "pandas table": Layout("h5", factory.write_pandas_table, lists=False),
    "pandas fixed": Layout("h5", factory.write_pandas_fixed, lists=False),
    "events": Layout("root", write_events, "Tau_", lists=False),
}


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param]


def refused(settings, tmp_path, *, step=1000):
    with pytest.raises(DataError) as caught:
        prepare(settings, cache=tmp_path / "cache", step=step)
    assert not list((tmp_path / "cache").glob("prepared/*"))
    return str(caught.value)


BAD = {1: np.nan, 12: np.inf, 27: -np.inf}
"""Entry -> momentum; the last is of the validation split."""


@pytest.fixture
def missing(layout, tmp_path):
    content = factory.columns(400)
    for entry, value in BAD.items():
        content["pt"][entry] = value
    layout.file(tmp_path / "in", "a", content)
    return content


def test_missing_values_stop_the_preparation_with_counts(layout, missing, tmp_path):
    message = refused(layout.dataset(tmp_path / "in"), tmp_path)
    assert f"a.{layout.suffix}" in message
    assert "3 of 400 candidates" in message
    assert "candidate.pt: 3" in message


def test_candidates_with_missing_values_are_left_out_and_counted(layout, missing, tmp_path):
    settings = layout.dataset(tmp_path / "in", missing="drop")
    found = open_dataset(prepare(settings, cache=tmp_path))
    assert found.manifest.dropped["missing feature candidate.pt"] == 3
    assert [split.candidates for split in splits_of(found).values()] == [238, 79, 80]


def test_missing_values_become_the_training_mean_and_are_counted(layout, missing, tmp_path):
    settings = layout.dataset(tmp_path / "in", missing="impute")
    found = open_dataset(prepare(settings, cache=tmp_path))
    assert found.manifest.imputed == {"candidate.pt": 3}
    train = [i for i in range(400) if i % 10 < 6 and i not in BAD]
    mean = missing["pt"][train].astype(float).mean()
    values = {
        int(number): float(row[0])
        for split in splits_of(found).values()
        for chunk in split.chunks
        for number, row in zip(chunk.event_numbers, chunk.candidate, strict=True)
    }
    assert [values[entry] for entry in BAD] == pytest.approx([mean] * 3, rel=1e-6)


def test_branch_that_one_file_lacks_is_named_with_the_file(layout, tmp_path):
    content = factory.columns(200)
    layout.file(tmp_path / "in", "a", content)
    layout.file(tmp_path / "in", "b", {n: v for n, v in content.items() if n != "eta"})
    message = refused(layout.dataset(tmp_path / "in"), tmp_path)
    assert f"b.{layout.suffix}: " in message
    assert f"no branch '{layout.prefix}eta'" in message
    assert f"a.{layout.suffix}" not in message


def test_files_may_hold_other_kinds_of_numbers(layout, tmp_path):
    contents = [factory.columns(200, seed=i, first_event=200 * i) for i in range(2)]
    contents[1]["pt"] = contents[1]["pt"].astype(np.float64)
    contents[1]["is_tau"] = contents[1]["is_tau"].astype(np.int8)
    for name, content in zip("ab", contents, strict=True):
        layout.file(tmp_path / "in", name, content)
    found = open_dataset(prepare(layout.dataset(tmp_path / "in"), cache=tmp_path))
    pt = np.concatenate([content["pt"] for content in contents]).astype(np.float32)
    for chunk in found.train.chunks:
        np.testing.assert_array_equal(chunk.candidate[:, 0], pt[chunk.event_numbers])


@pytest.mark.parametrize("layout", [n for n, x in LAYOUTS.items() if x.lists], indirect=True)
def test_branch_that_is_a_list_in_one_file_only_is_refused(layout, tmp_path):
    content = factory.columns(200)
    layout.file(tmp_path / "in", "a", content)
    layout.file(tmp_path / "in", "b", content | {"pt": content["track_pt"]})
    message = refused(layout.dataset(tmp_path / "in"), tmp_path)
    assert "branch 'pt' holds a list of numbers a candidate, but one number in" in message


def test_one_class_only_is_refused(layout, tmp_path):
    layout.file(tmp_path / "in", "a", factory.columns(200, tau=True))
    message = refused(layout.dataset(tmp_path / "in"), tmp_path)
    assert "holds only candidates of class 'tau'; expected two or more of jet, tau" in message


def test_events_that_occur_twice_are_in_one_split(layout, tmp_path):
    """Two candidates of an event in two files, and splits that would share it are refused."""
    for number, name in enumerate("ab"):
        layout.file(tmp_path / "in", name, factory.columns(200, seed=number))
    found = splits_of(
        open_dataset(prepare(layout.dataset(tmp_path / "in"), cache=tmp_path / "good"))
    )
    numbers = {
        name: split.columns(["event_numbers"])["event_numbers"] for name, split in found.items()
    }
    assert [len(held) for held in numbers.values()] == [240, 80, 80]
    assert [len(set(held.tolist())) for held in numbers.values()] == [120, 40, 40]
    assert len(set(np.concatenate(list(numbers.values())).tolist())) == 200
    overlapping = SPLIT | {"test": "event_number % 10 >= 7"}
    message = refused(layout.dataset(tmp_path / "in", split=overlapping), tmp_path)
    assert "in the splits validation and test" in message


@pytest.mark.parametrize("change", ["touched", "cut off", "written anew"])
def test_file_that_changes_while_it_is_read_is_an_error(layout, tmp_path, monkeypatch, change):
    content = factory.columns(2000)
    path = layout.file(tmp_path / "in", "a", content)
    settings = layout.dataset(tmp_path / "in")
    source = open_source(path, tree=settings.samples["all"].tree, layout=settings.layout)
    read = type(source).iterate

    def changing(*args, **kwargs):
        for number, step in enumerate(read(*args, **kwargs)):
            yield step
            if number == 0 and change == "touched":
                os.utime(path)
            elif number == 0 and change == "cut off":
                os.truncate(path, path.stat().st_size // 2)
            elif number == 0:
                path.write_bytes(bytes(path.stat().st_size))

    monkeypatch.setattr(type(source), "iterate", changing)
    assert f"a.{layout.suffix}: changed while it was read" in refused(settings, tmp_path, step=100)
