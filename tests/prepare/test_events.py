"""Events, prepared: the same candidates as a flat ntuple of them gives, whatever the step."""

import awkward as ak
import numpy as np
import pytest

from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.ntuples.event_trees import EventTree
from tauopt.physics.jagged import Jagged, to_awkward
from tauopt.prepare.count_candidates import survey
from tauopt.prepare.prepare_dataset import prepare
from tests.events_factory import LAYOUT, events, write_events
from tests.ntuples_factory import write
from tests.prepare.test_prepare_dataset import splits_of

NAMES = ("event", "weight", "Tau_pt", "Tau_eta", "gen.matched", "jet.pt", "near.pt", "near.d_r")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    for i in range(3):
        content = events(200, seed=i, first_event=200 * i)
        write_events(folder / f"{i}.root", content, baskets=2)
    return folder


def _dataset(folder, **changes):
    return Dataset.model_validate(
        {
            "name": "events",
            "layout": LAYOUT,
            "samples": {
                "all": {
                    "files": [f"{folder}/*.root"],
                    "tree": "Events",
                    "weight": "weight",
                    "classes": ["jet", "tau"],
                }
            },
            "classes": {"tau": "gen.matched", "jet": "!gen.matched"},
            "selection": "Tau_pt > 25",
            "event_number": "event",
            "split": {
                "train": "event % 10 < 6",
                "validation": "event % 10 == 6 || event % 10 == 7",
                "test": "event % 10 >= 8",
            },
            "candidate": {"pt": {"expression": "Tau_pt"}, "jet": {"expression": "jet.pt / Tau_pt"}},
            "groups": {
                "tracks": {
                    "features": {
                        "pt": {"expression": "near.pt"},
                        "d_r": {"expression": "near.d_r", "divide": 0.4},
                    },
                    "order_by": "near.pt",
                }
            },
            "spectators": {"eta": "Tau_eta"},
            "chunk_size": 60,
            **changes,
        }
    )


def _flattened(folder, target):
    """Write candidates, one an entry, with the names of a flat ntuple."""
    dataset = _dataset(folder)
    for path in sorted(folder.glob("*.root")):
        source = EventTree(path, "Events", dataset.layout)
        (columns,) = source.iterate(NAMES, step=1000)
        write(
            target / path.name,
            {
                name.replace(".", "_"): to_awkward(values)
                if isinstance(values, Jagged)
                else values.astype(np.int32 if values.dtype == bool else values.dtype)
                for name, values in columns.items()
            },
            tree="Events",
        )
    text = dataset.model_dump_json(exclude={"layout"}).replace(str(folder), str(target))
    for name in NAMES:
        text = text.replace(name, name.replace(".", "_"))
    return Dataset.model_validate_json(text)


def _rows(folder):
    """Return split -> all candidates as sorted tuples."""
    rows = {}
    for name, split in splits_of(open_dataset(folder)).items():
        rows[name] = sorted(
            (
                *(int(chunk.event_numbers[i]), int(chunk.labels[i]), float(chunk.weights[i])),
                *(tuple(chunk.candidate[i].tolist()), tuple(chunk.spectators[i].tolist())),
                str(values[offsets[i] : offsets[i + 1]].tolist()),
            )
            for chunk in split.chunks
            for values, offsets in [chunk.group("tracks")]
            for i in range(len(chunk.labels))
        )
    return rows


def test_events_give_the_candidates_of_a_flat_ntuple(folder, tmp_path):
    flat = _flattened(folder, tmp_path / "flat")
    assert flat.layout.type == "candidates"
    of_events = prepare(_dataset(folder), cache=tmp_path / "a")
    assert _rows(of_events) == _rows(prepare(flat, cache=tmp_path / "b"))


@pytest.mark.parametrize("step", [1, 37])
def test_the_result_does_not_depend_on_how_many_events_are_read_at_a_time(folder, tmp_path, step):
    one = prepare(_dataset(folder), cache=tmp_path / "a", step=step)
    other = prepare(_dataset(folder), cache=tmp_path / "b")
    assert one.name == other.name
    for path in sorted(other.glob("**/*.npy")):
        assert (one / path.relative_to(other)).read_bytes() == path.read_bytes(), path.name


def test_the_survey_counts_candidates(folder, tmp_path):
    counted = survey(_dataset(folder))
    manifest = open_dataset(prepare(_dataset(folder), cache=tmp_path)).manifest
    held = sum(sum(of.values()) for of in counted.counts.values())
    assert held + sum(counted.dropped.values()) == counted.entries
    assert counted.entries == sum(source.entries for source in manifest.sources)
    assert held == sum(split.candidates for split in manifest.splits.values())


def test_the_layout_is_part_of_the_digest(folder, tmp_path):
    wider = {**LAYOUT["objects"], "near": {"collection": "Track_", "cone": 0.5}}
    one = prepare(_dataset(folder), cache=tmp_path)
    other = prepare(_dataset(folder, layout={**LAYOUT, "objects": wider}), cache=tmp_path)
    assert one.name != other.name


def test_files_without_candidates_are_passed_over(folder, tmp_path, caplog):
    content = events(60, first_event=10_000)
    empty = ak.to_numpy(ak.num(content["Tau_pt"])) == 0
    write_events(tmp_path / "empty.root", {name: v[empty] for name, v in content.items()})
    sample = _dataset(folder).samples["all"]
    both = sample.model_copy(update={"files": (*sample.files, f"{tmp_path}/empty.root")})
    counted = survey(_dataset(folder).model_copy(update={"samples": {"all": both}}))
    assert counted.entries == survey(_dataset(folder)).entries
    assert "empty.root: holds no candidates; skipped" in caplog.text


def test_an_unknown_branch_is_an_error_before_anything_is_read(folder, tmp_path):
    with pytest.raises(DataError, match=r"no branch 'gen\.charg' .*Gen_charg"):
        prepare(_dataset(folder, spectators={"x": "gen.charg"}), cache=tmp_path)
    assert not (tmp_path / "prepared").exists()


def test_events_are_not_streamed_directly(folder, tmp_path):
    with pytest.raises(DataError, match=r"stream: direct.* one candidate an entry"):
        prepare(_dataset(folder, stream="direct"), cache=tmp_path)
