"""Scores that are stored in real files of CMS and ATLAS: efficiency and rejection, reproduced.

The networks are hardly trained: what is compared is the file's own score.
"""

import json
import os

import awkward as ak
import numpy as np
import pytest
import uproot

from tauopt.config.load import read_dataset
from tauopt.config.settings.experiment import Experiment, Objective, Task, Training
from tauopt.config.settings.networks import Dense
from tauopt.prepare.prepare_dataset import prepare
from tauopt.workflows.evaluate import evaluate
from tauopt.workflows.score import score
from tests.evaluation.trials import train
from tests.metrics.toys import slow_auc, slow_background_at
from tests.prepare.test_real_events import (
    NANOAOD,
    PHYSLITE,
    SHIPPED,
    TAU,
    _events,
    _nanoaod_candidates,
    _physlite_candidates,
)

pytestmark = pytest.mark.skipif(
    not os.environ.get("TAUOPT_REAL_DATA"),
    reason="TAUOPT_REAL_DATA names no folder with real ntuples",
)


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def trained(data, classes, signal, folder):
    settings = Experiment(
        name="real",
        data=data,
        task=Task(classes=classes, signal=signal),
        model=Dense(type="dense", layers=1, units=4),
        training=Training(epochs=1, batch_size=16),
        objective=Objective(maximize="auc"),
    )
    return train(folder / "t000", prepare(data, cache=folder / "cache"), settings)


def assert_reproduced(evaluation, signal, background):
    """The reference's area and rejections are those of loops over the file's own scores."""
    score, weights = np.array(signal + background).T
    is_signal = np.arange(len(score)) < len(signal)
    rows = {one.metric: one for one in evaluation.rows if one.candidates == "all" and one.reference}
    area = slow_auc(score, is_signal, weights)
    assert rows["auc"].reference.value == pytest.approx(area, abs=1e-5)
    for at in (0.6, 0.75, 0.85, 0.95):
        passed = slow_background_at(score, is_signal, weights, at)
        rejection = rows[f"rejection@{at}"].reference
        assert rejection.limit or rejection.value == pytest.approx(1 / passed, rel=1e-4)
    assert not rejection.limit
    points = json.loads((evaluation.folder / "roc.json").read_text())
    assert set(points["curves"]) == {"t000-dense", evaluation.reference}


def assert_scored(trial, path, *, tree, lists, candidates, folder):
    """The friend tree has the file's entries, a score for each candidate, -1 if not selected."""
    (one,) = score(str(trial), [str(path)], to=folder / "scores", output=folder)
    table = uproot.open(f"{path}:{tree}")
    scores = uproot.open(f"{one.to}:tauopt")["tauopt_p_tau"].array()
    assert one.entries == table.num_entries == len(scores)
    assert ak.num(scores).tolist() == ak.num(table[lists].array()).tolist()
    assert (ak.sum(scores >= 0), one.scored) == (candidates, candidates)


def another(path, folder):
    """The same file with another digest, so that it is not one that the trial was trained on."""
    copy = folder / f"another_{path.name}"
    copy.write_bytes(path.read_bytes() + b"\0")
    return copy


def _stored_by_cms():
    """Return kind, isolation discriminant and sign of the weight of NanoAOD's candidates."""
    names = [f"Tau_{x}" for x in ("pt", "eta", "dz", "decayMode", "rawMVAoldDM")]
    every = list(_nanoaod_candidates())
    stored = [
        (event["event"], score, 1.0 if event["genWeight"] > 0 else -1.0)
        for event in _events(NANOAOD, "Events", ["event", "genWeight", *names])
        for pt, eta, dz, mode, score in zip(*(event[x] for x in names), strict=True)
        if pt > 20 and abs(eta) < 2.3 and abs(dz) < 0.2 and mode not in (5, 6)
    ]
    assert [row[0] for row in stored] == [row[0] for row in every]
    return [(kind, (score, weight)) for (_, kind, _, _), (_, score, weight)
            in zip(every, stored, strict=True)]  # fmt: skip


def test_the_isolation_that_cms_stored_in_nanoaod_is_found_again(tmp_path):
    data = read_dataset(
        SHIPPED / "nanoaod.yaml",
        overrides=[
            f"samples.ttbar.files=[{NANOAOD}]",
            "split.train=event % 10 < 3",
            "split.validation=event % 10 == 3 || event % 10 == 4",
            "split.test=event % 10 > 4",
        ],
    )
    # Four jets, two of negative weight, are no background: muons are.
    trial = trained(data, {"mu": ("mu",), "tau": ("tau", "e")}, ("tau",), tmp_path)
    evaluation = evaluate(
        str(trial), files=[str(another(NANOAOD, tmp_path))], reference="Tau_rawMVAoldDM",
        importance=20, output=tmp_path, to=tmp_path / "to",
    )  # fmt: skip
    rows = _stored_by_cms()
    signal = [one for kind, one in rows if kind in ("tau", "e")]
    background = [one for kind, one in rows if kind == "mu"]
    assert min(weight for _, weight in signal + background) < 0
    assert_scored(
        trial, NANOAOD, tree="Events", lists="Tau_pt", candidates=len(rows), folder=tmp_path
    )
    assert evaluation.candidates == {"signal": len(signal), "background": len(background)}
    assert_reproduced(evaluation, signal, background)


def _stored_by_atlas():
    names = ["EventInfoAuxDyn.mcEventWeights", f"{TAU}RNNJetScore"]
    stored = [
        (score, event[names[0]][0])
        for event in _events(PHYSLITE, "CollectionTree", names)
        for score in event[names[1]]
    ]
    return [(kind, one) for (_, kind, _, _), one
            in zip(_physlite_candidates(), stored, strict=True)]  # fmt: skip


def test_the_rnn_score_that_atlas_stored_in_physlite_is_found_again(tmp_path):
    # Twelve candidates: three splits that hold two classes each there are of decay modes only.
    digits = {"train": (11,), "validation": (2, 16), "test": (4, 9, 17, 18)}
    splits = [
        f"split.{name}=" + " || ".join(f"event_number % 20 == {digit}" for digit in chosen)
        for name, chosen in digits.items()
    ]
    data = read_dataset(
        SHIPPED / "physlite.yaml", overrides=[f"samples.all.files=[{PHYSLITE}]", *splits]
    )
    classes = {"other": ("1p1n",), "tau": ("1p0n", "3pXn")}
    trial = trained(data, classes, ("tau",), tmp_path)
    evaluation = evaluate(
        str(trial), files=[str(another(PHYSLITE, tmp_path))], reference=f"{TAU}RNNJetScore",
        importance=0, output=tmp_path, to=tmp_path / "to",
    )  # fmt: skip
    rows = _stored_by_atlas()
    assert_scored(
        trial, PHYSLITE, tree="CollectionTree", lists=f"{TAU}pt", candidates=len(rows),
        folder=tmp_path,
    )  # fmt: skip
    signal = [one for kind, one in rows if kind in ("1p0n", "3pXn")]
    background = [one for kind, one in rows if kind == "1p1n"]
    assert evaluation.candidates == {"signal": len(signal), "background": len(background)}
    assert_reproduced(evaluation, signal, background)
