"""The shipped dataset files on real files of CMS and ATLAS, against loops over their events."""

import json
import math
import os
from pathlib import Path

import pytest
import uproot
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.load import read_dataset
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.prepare.count_candidates import survey
from tauopt.prepare.prepare_dataset import prepare
from tests.prepare.test_prepare_dataset import splits_of

REAL = Path(os.environ.get("TAUOPT_REAL_DATA", ""))
SHIPPED = Path(__file__).parents[2] / "search_spaces" / "data"
NANOAOD, PHYSLITE = REAL / "cms_nanoaod_2015_ttbar.root", REAL / "atlas_physlite.root"

PHYSLITE_DIGITS = {"train": (11, 15), "validation": (2, 3, 4), "test": (9, 16, 17, 18)}
"""The file has twelve candidates: these splits hold two classes or more each."""
PHYSLITE_SPLITS = {
    name: " || ".join(f"event_number % 20 == {digit}" for digit in digits)
    for name, digits in PHYSLITE_DIGITS.items()
}

pytestmark = pytest.mark.skipif(
    not os.environ.get("TAUOPT_REAL_DATA"),
    reason="TAUOPT_REAL_DATA names no folder with real ntuples",
)


def _events(path, tree, names):
    """Yield the events of a file as plain Python values, with the branches of some names."""
    with uproot.open(path) as file:
        branches = {
            branch.name: branch.array(library="ak").tolist()
            for _, branch in file[tree].iteritems(recursive=True)
            if branch.name in names
        }
    assert set(branches) == set(names)
    for i in range(len(next(iter(branches.values())))):
        yield {name: values[i] for name, values in branches.items()}


@pytest.mark.parametrize(
    ("shipped", "sample", "path"),
    [("nanoaod.yaml", "ttbar", NANOAOD), ("physlite.yaml", "all", PHYSLITE)],
)
def test_one_command_prepares_a_file_of_each_experiment(
    shipped, sample, path, tmp_path, monkeypatch
):
    """As a user does: a file that extends the shipped one and says where the ntuples are."""
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    own = {"extends": str(SHIPPED / shipped), "samples": {sample: {"files": [str(path)]}}}
    if path == PHYSLITE:
        own["split"] = PHYSLITE_SPLITS
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    ended = CliRunner().invoke(build_app(), ["prepare", str(tmp_path / "own.yaml"), "--json"])
    assert ended.exit_code == 0, ended.exception
    printed = json.loads(ended.stdout)
    held = sum(split["candidates"] for split in printed["splits"].values())
    assert held == len(list(_nanoaod_candidates() if path == NANOAOD else _physlite_candidates()))
    open_dataset(printed["folder"]).verify()


def _distance(eta, phi, other_eta, other_phi):
    phi = (phi - other_phi + math.pi) % (2 * math.pi) - math.pi
    return math.hypot(eta - other_eta, phi)


def _prepared(dataset, cache, *, group):
    """Return split -> (event, class, candidate's first feature, objects of the group), sorted."""
    prepared = open_dataset(prepare(dataset, cache=cache))
    prepared.verify()
    return {
        name: sorted(
            (
                int(chunk.event_numbers[i]),
                prepared.manifest.classes[chunk.labels[i]],
                pytest.approx(float(chunk.candidate[i, 0])),
                int(chunk.group(group)[1][i + 1] - chunk.group(group)[1][i]),
            )
            for chunk in split.chunks
            for i in range(len(chunk.labels))
        )
        for name, split in splits_of(prepared).items()
    }


def _nanoaod_candidates():
    taus = [f"Tau_{x}" for x in ("pt", "eta", "phi", "dz", "decayMode", "genPartFlav")]
    branches = ["event", *taus, "Muon_eta", "Muon_phi"]
    names = {0: "jet", 1: "e", 2: "mu", 3: "e", 4: "mu", 5: "tau"}
    for event in _events(NANOAOD, "Events", branches):
        for pt, eta, phi, dz, mode, flavour in zip(*(event[x] for x in taus), strict=True):
            if pt > 20 and abs(eta) < 2.3 and abs(dz) < 0.2 and mode not in (5, 6):
                muons = zip(event["Muon_eta"], event["Muon_phi"], strict=True)
                near = sum(_distance(eta, phi, *muon) < 0.4 for muon in muons)
                yield event["event"], names[flavour], pt, near


def test_nanoaod_is_read_labelled_and_prepared(tmp_path):
    dataset = read_dataset(
        SHIPPED / "nanoaod.yaml", overrides=[f"samples.ttbar.files=[{NANOAOD}]", "chunk_size=20"]
    )
    expected = list(_nanoaod_candidates())
    found = _prepared(dataset, tmp_path, group="muons")
    digits = {"train": range(6), "validation": (6, 7), "test": (8, 9)}
    for split, chosen in digits.items():
        assert found[split] == sorted(row for row in expected if row[0] % 10 in chosen)
    counted = survey(dataset)
    assert counted.entries == 81
    assert counted.dropped["not selected"] == 81 - len(expected)
    assert {name for of in counted.counts.values() for name, n in of.items() if n} == {
        *("jet", "tau", "e", "mu")
    }


def test_the_nearest_true_tau_is_the_one_that_cms_matched():
    dataset = read_dataset(SHIPPED / "nanoaod.yaml")
    names = ["Tau_genPartFlav", "Tau_genPartIdx", "gen.matched", "gen.pt"]
    (columns,) = _source(NANOAOD, "Events", dataset.layout).iterate(names)
    rows = zip(*(columns[name].tolist() for name in names), strict=True)
    taus = [row for row in rows if row[0] == 5]
    assert len(taus) == 10
    assert all(matched for _, _, matched, _ in taus)
    own = [
        event["GenVisTau_pt"][index]
        for event in _events(
            NANOAOD, "Events", ["Tau_genPartFlav", "Tau_genPartIdx", "GenVisTau_pt"]
        )
        for flavour, index in zip(event["Tau_genPartFlav"], event["Tau_genPartIdx"], strict=True)
        if flavour == 5
    ]
    assert [row[3] for row in taus] == own


def _source(path, tree, layout):
    from tauopt.ntuples.event_trees import EventTree

    return EventTree(path, tree, layout)


TAU, TRACK, TRUTH = "AnalysisTauJetsAuxDyn.", "InDetTrackParticlesAuxDyn.", "TruthTausAuxDyn."
LINK = f"{TAU}truthParticleLink"


def _physlite_candidates():
    branches = ["EventInfoAuxDyn.mcEventNumber", f"{LINK}.m_persKey", f"{LINK}.m_persIndex"]
    branches += [f"{TAU}{x}" for x in ("pt", "eta", "phi")]
    branches += [f"{TRACK}{x}" for x in ("theta", "phi")]
    branches += [f"{TRUTH}{x}" for x in ("numCharged", "numNeutralPion")]
    for event in _events(PHYSLITE, "CollectionTree", branches):
        for i, pt in enumerate(event[f"{TAU}pt"]):
            eta, phi = event[f"{TAU}eta"][i], event[f"{TAU}phi"][i]
            tracks = zip(event[f"{TRACK}theta"], event[f"{TRACK}phi"], strict=True)
            near = sum(
                _distance(eta, phi, -math.log(math.tan(theta / 2)), track_phi) < 0.4
                for theta, track_phi in tracks
            )
            name = _physlite_class(event, i)
            yield event["EventInfoAuxDyn.mcEventNumber"], name, pt, near


def _physlite_class(event, i):
    # The keys as the file's metadata have them: TruthTaus, TruthMuons, null.
    container = {375408000: "tau", 342174277: "mu", 0: "jet"}[event[f"{LINK}.m_persKey"][i]]
    if container != "tau":
        return container
    at = event[f"{LINK}.m_persIndex"][i]
    charged, neutral = (event[f"{TRUTH}{x}"][at] for x in ("numCharged", "numNeutralPion"))
    return f"{charged}p{neutral if neutral < 2 else 'X'}n".replace("3p1n", "3pXn")


def test_physlite_is_read_labelled_and_prepared(tmp_path):
    splits = [f"split.{name}={text}" for name, text in PHYSLITE_SPLITS.items()]
    dataset = read_dataset(
        SHIPPED / "physlite.yaml", overrides=[f"samples.all.files=[{PHYSLITE}]", *splits]
    )
    expected = list(_physlite_candidates())
    assert len(expected) == 12
    found = _prepared(dataset, tmp_path, group="tracks")
    for split, digits in PHYSLITE_DIGITS.items():
        assert found[split] == sorted(row for row in expected if row[0] % 20 in digits)
