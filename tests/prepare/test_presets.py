"""The shipped dataset files, prepared from a small simulated sample, have the right content."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import uproot

from tauopt.config.load import read_dataset
from tauopt.config.settings.dataset import Simulation
from tauopt.config.settings.inputs import CANDIDATE
from tauopt.dataset.manifest import SPLITS
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.prepare.prepare_dataset import prepare
from tauopt.workflows.prepare import with_folder
from tauopt.workflows.simulate import simulate

PRESETS = Path(__file__).parents[2] / "search_spaces" / "data"
NAMES = ("demo", "1p", "3p", "truth1p", "truth3p", "decay_mode", "unified")
MODES = ["1p0n", "1p1n", "1pXn", "3p0n", "3pXn"]
GROUPS = {
    "demo": ["tracks", "clusters", "neutral_pfos", "conversions"],
    **{name: ["tracks", "clusters"] for name in ("1p", "3p", "truth1p", "truth3p")},
    "decay_mode": ["neutral_pfos", "conversions", "charged_pfos"],
    "unified": ["tracks", "neutral_pfos", "conversions"],
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    settings = Simulation(taus=500, jets=250, seed=2)
    return simulate(settings, folder=tmp_path_factory.mktemp("simulated") / "sample", processes=2)


@pytest.fixture(scope="module")
def prepared(sample, tmp_path_factory):
    """The presets by name, each prepared."""
    cache, made = tmp_path_factory.mktemp("cache"), {}
    for name in NAMES:
        settings = with_folder(read_dataset(PRESETS / f"{name}.yaml"), sample)
        made[name] = open_dataset(prepare(settings, cache=cache))
    return made


@pytest.fixture(scope="module")
def events(sample):
    """Branches of all simulated candidates, taus and jets."""
    names = ["pt", "eta", "ptJetSeed", "n_tracks", "truth_class", "truth_prongs", "truth_pt_vis"]
    files = sorted(map(str, sample.glob("*.root")))
    return uproot.concatenate([f"{file}:candidates" for file in files], names, library="np")


def selected(prepared):
    return sum(split.candidates for split in prepared.manifest.splits.values())


def classes_of(prepared):
    splits = prepared.manifest.splits
    return {n for n in prepared.manifest.classes if all(splits[s].counts[n] for s in SPLITS)}


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_has_its_groups_and_finite_constants(prepared, name):
    manifest = prepared[name].manifest
    assert [group.name for group in manifest.groups] == GROUPS[name]
    for group in (manifest.candidate, *manifest.groups):
        for feature in group.features:
            assert np.isfinite([feature.shift, feature.spread]).all()
            assert feature.spread > 0


def test_every_shipped_dataset_of_the_demo_sample_is_tested():
    files = {p.stem for p in PRESETS.glob("*.yaml") if read_dataset(p).simulate is not None}
    assert files == set(NAMES)


def test_one_and_three_prong_candidates_together_are_the_demo(prepared):
    assert selected(prepared["1p"]) + selected(prepared["3p"]) == selected(prepared["demo"])
    for name, prongs in (("1p", 1), ("3p", 3), ("truth1p", 1), ("truth3p", 3)):
        assert set(prepared[name].train.columns(["prongs"])["prongs"]) == {prongs}


def test_a_preset_repeats_no_selection_of_the_one_that_it_extends(prepared):
    demo, one, truth = (read_dataset(PRESETS / f"{name}.yaml") for name in ("demo", "1p", "truth1p"))  # fmt: skip  # noqa: E501
    assert one.cuts == {**demo.cuts, "prongs": "n_tracks == 1"}
    assert truth.cuts.keys() - one.cuts.keys() == {"true_prongs"}
    for name in NAMES[1:]:
        text = (PRESETS / f"{name}.yaml").read_text()
        assert "1.37" not in text
        assert "event_number" not in text


def test_a_preset_is_extended_for_own_ntuples_as_its_comment_says(tmp_path):
    path = tmp_path / "mine.yaml"
    lines = (PRESETS / "1p.yaml").read_text().splitlines()
    example = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    path.write_text("\n".join(example).replace("1p.yaml", str(PRESETS / "1p.yaml")))
    own, preset = read_dataset(path), read_dataset(PRESETS / "1p.yaml")
    assert own.simulate is None
    assert own.samples["gammatautau"].files == ("/data/Gammatautau/*.root",)
    assert own.samples["gammatautau"].classes == preset.samples["gammatautau"].classes
    assert (own.cuts, own.candidate, own.groups) == (preset.cuts, preset.candidate, preset.groups)


def test_truth_presets_hold_taus_of_as_many_true_prongs(prepared):
    assert classes_of(prepared["truth1p"]) == {"jet", "1p0n", "1p1n", "1pXn"}
    assert classes_of(prepared["truth3p"]) == {"jet", "3p0n", "3pXn"}
    assert selected(prepared["truth1p"]) < selected(prepared["1p"])


def test_decay_mode_holds_true_taus_below_100_gev_alone(prepared, events):
    manifest = prepared["decay_mode"].manifest
    assert list(manifest.classes) == MODES
    assert prepared["decay_mode"].train.columns(["pt"])["pt"].max() < 100_000
    pt, eta, true_pt = events["pt"], np.abs(events["eta"]), events["truth_pt_vis"]
    most = (events["truth_class"] > 0) & (pt < 1e5) & (true_pt < 1e5) & (eta < 2.5)
    expected = int((most & (events["ptJetSeed"] > 15_000)).sum())
    assert selected(prepared["decay_mode"]) == expected


def test_unified_holds_fakes_and_modes_of_all_jets_above_15_gev(prepared, events):
    manifest = prepared["unified"].manifest
    assert list(manifest.classes) == ["jet", *MODES]
    kept = (events["ptJetSeed"] > 15_000) & (np.abs(events["eta"]) < 2.5)
    assert selected(prepared["unified"]) == int(kept.sum())
    assert selected(prepared["unified"]) > selected(prepared["demo"])


def test_objects_are_cut_and_ordered_as_the_presets_say(prepared):
    for chunk in prepared["decay_mode"].train.chunks:
        values, _ = chunk.group("neutral_pfos")
        assert values[:, 0].min() > 1500
        values, offsets = chunk.group("charged_pfos")
        assert np.hypot(values[:, 2], values[:, 3]).max() < 0.2 + 1e-6
        for start, stop in pairwise(offsets):
            assert (np.diff(values[start:stop, 0]) <= 0).all()


def test_features_of_one_prong_number_are_not_of_the_other(prepared):
    names = {n: [f.name for f in prepared[n].manifest.candidate.features] for n in ("1p", "3p")}
    assert "ipSigLeadTrk" in names["1p"]
    assert not {"trFlightPathSig", "massTrkSys"} & set(names["1p"])
    assert {"trFlightPathSig", "massTrkSys"} <= set(names["3p"])
    assert "ipSigLeadTrk" not in names["3p"]
    assert prepared["1p"].manifest.candidate.name == CANDIDATE
