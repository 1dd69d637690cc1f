"""Preparation as a whole: against a slow reference, and independent of what must not matter."""

import shutil

import numpy as np
import pytest

from tauopt.dataset.manifest import SPLITS
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.prepare import prepare_dataset as module
from tauopt.prepare.constants import transformed
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write


def splits_of(prepared):
    return {
        "train": prepared.train,
        "validation": prepared.validation,
        "test": prepared.sealed_test(opened_by="a test"),
    }


def candidates(prepared):
    """Return split -> event number -> (label, weight, candidate, tracks, spectators)."""
    found = {}
    for name, split in splits_of(prepared).items():
        found[name] = {}
        for chunk in split.chunks:
            features = chunk.features(["tracks"])
            values, offsets = features.groups["tracks"]
            labels, weights, spectators = chunk.labels, chunk.weights, chunk.spectators
            for i, number in enumerate(chunk.event_numbers.tolist()):
                assert number not in found[name]
                found[name][number] = (
                    int(labels[i]),
                    float(weights[i]),
                    features.candidate[i].tolist(),
                    values[offsets[i] : offsets[i + 1]].tolist(),
                    spectators[i].tolist(),
                )
    return found


def slow(contents, *, keep=lambda row: True, track=lambda pt: True):
    """Prepare candidate by candidate, in plain Python."""
    found = {name: {} for name in SPLITS}
    for content in contents:
        rows = {name: values.tolist() for name, values in content.items()}
        for i in range(len(rows["pt"])):
            row = {name: values[i] for name, values in rows.items()}
            if not keep(row):
                continue
            digit = row["event_number"] % 10
            split = "train" if digit < 6 else "validation" if digit < 8 else "test"
            tracks = [
                [pt, d0, row["pt"]]
                for pt, d0 in zip(row["track_pt"], row["track_d0"], strict=True)
                if track(pt)
            ]
            found[split][row["event_number"]] = (
                row["is_tau"],
                row["weight"],
                [row["pt"], row["eta"]],
                sorted(tracks, key=lambda values: -values[0]),
                [row["pt"], row["prongs"]],
            )
    return found


@pytest.fixture(scope="module")
def prepared(ntuples, tmp_path_factory):
    return open_dataset(prepare(dataset(ntuples), cache=tmp_path_factory.mktemp("cache")))


def test_agrees_with_a_slow_reference(prepared, contents):
    assert candidates(prepared) == slow(contents)
    prepared.verify()


def test_selections_of_candidates_and_objects_agree_with_a_slow_reference(
    ntuples, contents, tmp_path
):
    settings = dataset(ntuples, selection="abs(eta) < 1.5 && prongs == 1")
    group = settings.groups["tracks"].model_copy(update={"select": "track_pt > 4000 && pt > 0"})
    settings = settings.model_copy(update={"groups": {"tracks": group}})
    found = open_dataset(prepare(settings, cache=tmp_path))
    expected = slow(
        contents,
        keep=lambda row: abs(row["eta"]) < 1.5 and row["prongs"] == 1,
        track=lambda pt: pt > 4000,
    )
    assert candidates(found) == expected
    kept = sum(len(split) for split in expected.values())
    assert found.manifest.dropped == {"not selected": 1200 - kept}
    cuts = {"selection: abs(eta) < 1.5": {}, "selection: prongs == 1": {}}
    for content in contents:  # a candidate counts for the first cut that it fails
        rows = (content[name].tolist() for name in ("eta", "prongs", "is_tau"))
        for eta, prongs, tau in zip(*rows, strict=True):
            if (wide := abs(eta) >= 1.5) or prongs != 1:
                counts = cuts[f"selection: {'abs(eta) < 1.5' if wide else 'prongs == 1'}"]
                counts[("jet", "tau")[tau]] = counts.get(("jet", "tau")[tau], 0) + 1
    assert found.manifest.left_out == {"all": cuts}


def test_splits_share_no_event_and_hold_what_the_event_number_says(prepared):
    numbers = {
        name: set(split.columns(["event_numbers"])["event_numbers"].tolist())
        for name, split in splits_of(prepared).items()
    }
    assert not numbers["validation"] & numbers["test"]
    assert not numbers["train"] & (numbers["validation"] | numbers["test"])
    assert {n % 10 for n in numbers["validation"]} == {6, 7}
    assert {n % 10 for n in numbers["test"]} == {8, 9}


def _bytes(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.npy"))
    }


def test_neither_names_of_files_nor_steps_of_reading_matter(ntuples, prepared, tmp_path):
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for old, new in (("0", "z"), ("1", "y"), ("2", "x")):
        shutil.copy(ntuples / f"{old}.root", renamed / f"{new}.root")
    again = prepare(dataset(renamed), cache=tmp_path / "cache", step=37)
    assert again.name == prepared.folder.name
    assert _bytes(again) == _bytes(prepared.folder)


def test_second_call_returns_the_prepared_dataset_and_does_nothing(ntuples, prepared, monkeypatch):
    monkeypatch.setattr(module, "_prepare", lambda *args: pytest.fail("prepared again"))
    cache = prepared.folder.parents[1]
    assert prepare(dataset(ntuples), cache=cache) == prepared.folder


@pytest.mark.parametrize(
    "change",
    [
        {"selection": "pt > 25000"},
        {"chunk_size": 99},
        {"missing": "drop"},
        {"classes": {"tau": "is_tau", "jet": "!is_tau"}},
        {"spectators": {"pt": "pt"}},
        {"negative_weights": "drop"},
        {"proportions": {"jet": 0.4}},
        {"split": {"folds": 5}},
        {"reweight": {"variable": "pt", "target": "flat", "bins": 2}},
    ],
)
def test_every_setting_that_matters_gives_another_dataset(ntuples, prepared, tmp_path, change):
    assert prepare(dataset(ntuples, **change), cache=tmp_path).name != prepared.folder.name


def test_changed_input_is_prepared_anew(tmp_path):
    path = write(tmp_path / "in" / "a.root", columns(300))
    first = prepare(dataset(path.parent), cache=tmp_path)
    write(path, columns(300, seed=5))
    second = prepare(dataset(path.parent), cache=tmp_path)
    assert first != second
    assert first.is_dir()


def test_tolerated_bad_files_do_not_change_what_a_dataset_is(ntuples, prepared):
    cache = prepared.folder.parents[1]
    assert prepare(dataset(ntuples, bad_files=3), cache=cache) == prepared.folder


def test_chunks_are_uniform_mixtures(prepared):
    """Every chunk holds every file and class in its share, and no order is left within."""
    numbers = [chunk.event_numbers for chunk in prepared.train.chunks]
    labels = np.concatenate([chunk.labels for chunk in prepared.train.chunks])
    assert [len(chunk) for chunk in numbers] == [90] * 8
    for chunk in prepared.train.chunks:
        files = np.bincount(chunk.event_numbers // 400, minlength=3)
        assert np.all(np.abs(files - 30) < 5 * np.sqrt(20))  # five standard deviations
        assert abs(chunk.labels.mean() - labels.mean()) < 5 * 0.5 / np.sqrt(90)
    order = np.concatenate(numbers)
    assert abs(np.corrcoef(np.arange(len(order)), order)[0, 1]) < 5 / np.sqrt(len(order))


def test_constants_come_from_the_training_split_alone(tmp_path):
    content = columns(600)
    late = content["event_number"] % 10 >= 6  # validation and test have other momenta
    content["pt"] = np.where(late, content["pt"] * 100, content["pt"]).astype(np.float32)
    write(tmp_path / "in" / "a.root", content)
    manifest = open_dataset(prepare(dataset(tmp_path / "in"), cache=tmp_path)).manifest
    log_pt, eta = manifest.candidate.features
    values = np.log10(content["pt"][~late].astype(float) / 1000)
    assert log_pt.shift == pytest.approx(values.mean(), rel=1e-9)
    assert log_pt.spread == pytest.approx(values.std(), rel=1e-9)
    assert eta.shift == pytest.approx(content["eta"][~late].min())
    assert eta.spread == pytest.approx(np.ptp(content["eta"][~late].astype(float)))


def test_constants_of_objects_agree_with_the_objects(prepared):
    feature = prepared.manifest.group("tracks").features[0]
    values = np.concatenate([chunk.group("tracks")[0][:, 0] for chunk in prepared.train.chunks])
    expected = transformed(values, feature.transform)
    assert feature.shift == pytest.approx(expected.mean(), rel=1e-9)
    assert feature.spread == pytest.approx(expected.std(), rel=1e-9)


def test_sample_keeps_only_its_classes_and_its_weight(ntuples, contents, tmp_path):
    samples = {
        "taus": {"files": [f"{ntuples}/0.root", f"{ntuples}/1.root"], "classes": ["tau"]},
        "jets": {"files": [f"{ntuples}/2.root"], "classes": ["jet"], "weight": "2 * weight"},
    }
    manifest = open_dataset(prepare(dataset(ntuples, samples=samples), cache=tmp_path)).manifest
    jets = 400 - contents[2]["is_tau"].sum()
    taus = contents[0]["is_tau"].sum() + contents[1]["is_tau"].sum()
    assert sum(split.counts["jet"] for split in manifest.splits.values()) == jets
    assert sum(split.counts["tau"] for split in manifest.splits.values()) == taus
    assert sum(split.weights["tau"] for split in manifest.splits.values()) == pytest.approx(taus)
    weights = 2 * contents[2]["weight"][contents[2]["is_tau"] == 0].sum()
    assert sum(s.weights["jet"] for s in manifest.splits.values()) == pytest.approx(weights)
    assert manifest.dropped == {"class not of its sample": 1200 - taus - jets}
    out = manifest.left_out
    assert out["jets"] == {"class not of its sample": {"tau": int(contents[2]["is_tau"].sum())}}
    assert out["taus"] == {"class not of its sample": {"jet": int(800 - taus)}}


def test_candidate_in_no_split_is_left_out_and_counted(ntuples, tmp_path):
    split = {
        "train": "event_number % 10 < 5",
        "validation": "event_number % 10 == 6",
        "test": "event_number % 10 == 7",
    }
    manifest = open_dataset(prepare(dataset(ntuples, split=split), cache=tmp_path)).manifest
    assert manifest.dropped == {"in no split": 360}
    assert sum(manifest.left_out["all"]["in no split"].values()) == 360


def test_settings_and_sources_are_on_record(prepared, ntuples):
    manifest = prepared.manifest
    assert manifest.settings["name"] == "toy"
    assert [source.entries for source in manifest.sources] == [400] * 3
    assert all(len(source.sha256) == 64 for source in manifest.sources)
    assert manifest.spectators == ("pt", "prongs")


def test_group_whose_branches_are_of_different_objects_is_refused(tmp_path):
    content = columns(50)
    content["track_d0"] = content["track_d0"][::-1]
    write(tmp_path / "in" / "a.root", content)
    with pytest.raises(DataError, match=r"different numbers of objects"):
        prepare(dataset(tmp_path / "in"), cache=tmp_path)
