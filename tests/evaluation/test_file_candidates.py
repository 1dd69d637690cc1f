"""Evaluation on ntuples: streamed, and the same as the prepared test split where they overlap."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment, Objective, Task, Training
from tauopt.config.settings.networks import DeepSets
from tauopt.errors import DataError, UsageError
from tauopt.evaluation.evaluation_sources import (
    ComparisonTarget,
    check_efficiencies,
    comparison_target,
    efficiencies_of,
)
from tauopt.evaluation.file_candidates import FileCandidates
from tauopt.evaluation.find_trial import find_trial
from tauopt.evaluation.run_trial import run_on
from tauopt.metrics.roc import auc, roc
from tauopt.prepare import stream_files
from tauopt.prepare.candidate_blocks import concatenate
from tauopt.prepare.prepare_dataset import prepare
from tauopt.progress import Silent
from tauopt.workflows.evaluate import evaluate
from tests import ntuples_factory
from tests.evaluation.trials import train


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two files for the dataset and two others, some with negative weights."""
    home = tmp_path_factory.mktemp("home")
    for number, name in enumerate(("taus_0", "jets_0", "taus_1", "jets_1")):
        content = ntuples_factory.columns(
            900, seed=number, tau=name.startswith("taus"), first_event=10_000 * (number // 2)
        )
        rng = np.random.default_rng(number)
        content["weight"] *= np.where(rng.random(900) < 0.1, -1, 1).astype(np.float32)
        content["stored"] = content["is_tau"] + rng.normal(0, 0.7, 900).astype(np.float32)
        ntuples_factory.write(home / f"{name}.root", content)
    return home


def dataset(home, **changes):
    settings = ntuples_factory.dataset_settings(home)
    settings["samples"] = {
        name: {"files": [f"{home}/{name}_0.root"], "weight": "weight", "classes": [kind]}
        for name, kind in {"taus": "tau", "jets": "jet"}.items()
    }
    settings["spectators"] = {"pt": "pt", "eta": "eta", "prongs": "prongs", "stored": "stored"}
    return Dataset.model_validate(settings | changes)


@pytest.fixture(autouse=True)
def surroundings(home, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(home / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def trial(home):
    data = dataset(home)
    settings = Experiment(
        name="toy",
        data=data,
        task=Task(classes={"jet": ("jet",), "tau": ("tau",)}, signal=("tau",)),
        model=DeepSets.model_validate({"type": "deepsets", "groups": {"tracks": {"length": 4}}}),
        training=Training(epochs=2, batch_size=64),
        objective=Objective(maximize="auc"),
    )
    return train(home / "runs" / "t000", prepare(data, cache=home / "cache"), settings)


def judged(trial, to, *files, **more):
    more = {"importance": 0, "bins": ["eta"], **more}
    return evaluate(str(trial), files=files, output=trial.parent, to=to, **more)


def values(evaluation):
    return {(row.candidates, row.metric): row.value.triple for row in evaluation.rows}


def test_of_training_files_only_the_test_split_is_judged(home, trial, tmp_path):
    split = judged(trial, tmp_path)
    files = judged(trial, tmp_path, f"{home}/*_0.root")
    assert files.candidates == split.candidates
    for key, triple in values(split).items():
        assert values(files)[key] == pytest.approx(triple, rel=1e-5), key


def test_of_other_files_all_candidates_are_judged_whatever_their_event_number(
    home, trial, tmp_path
):
    evaluation = judged(trial, tmp_path, f"{home}/taus_1.root", f"jets={home}/jets_1.root")
    assert evaluation.candidates == {"signal": 900, "background": 900}
    assert evaluation.sample == "toy, 2 files"


def test_a_branch_is_a_reference(home, trial, tmp_path):
    evaluation = judged(trial, tmp_path, f"{home}/*_1.root", reference="2 * stored - 1")
    (row,) = [r for r in evaluation.rows if (r.candidates, r.metric) == ("all", "auc")]
    columns = [ntuples_factory.columns(900, seed=n, tau=n == 2, first_event=10_000) for n in (2, 3)]
    parts = []
    for number, content in zip((2, 3), columns, strict=True):
        rng = np.random.default_rng(number)
        weight = content["weight"] * np.where(rng.random(900) < 0.1, -1, 1).astype(np.float32)
        parts.append((content["is_tau"] + rng.normal(0, 0.7, 900).astype(np.float32), weight))
    score, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    curve = roc(score, np.repeat([True, False], 900), weight.astype(np.float64))
    assert row.reference.value == pytest.approx(auc(curve).value, abs=1e-5)
    points = json.loads((evaluation.folder / "roc.json").read_text())
    assert points["ratio"]["to"] == "2 * stored - 1"


def test_without_the_dataset_files_are_judged_but_no_test_split(home, trial, tmp_path):
    orphan = shutil.copytree(trial, tmp_path / "t000")
    result = json.loads((orphan / "result.json").read_text())
    result["dataset_folder"], result["dataset_digest"] = "/nowhere/toy", "0" * 64
    for sample in result["experiment"]["data"]["samples"].values():
        sample["files"] = [file.replace(str(home), "/nowhere") for file in sample["files"]]
    (orphan / "result.json").write_text(json.dumps(result))
    with pytest.raises(DataError, match="is gone"):
        judged(orphan, tmp_path / "to")
    messages = []

    class Listener(Silent):
        def say(self, message):
            messages.append(message)

    evaluation = judged(orphan, tmp_path / "to", f"{home}/*_1.root", progress=Listener())
    whole = judged(trial, tmp_path / "whole", f"{home}/*_1.root")
    alike = {key: triple for key, triple in values(whole).items() if " of " not in key[1]}
    assert alike.items() <= values(evaluation).items()
    assert ("all", "efficiency of 60 %") in values(evaluation)  # of plain cuts
    assert any("it is unknown whether" in line for line in messages)
    assert not (evaluation.folder / "scores.png").exists()  # of the training split


@pytest.mark.parametrize(
    ("text", "has_files", "expected"),
    [
        ("", False, ComparisonTarget()),
        ("stored", True, ComparisonTarget(spectator="stored")),
        (
            "TauJets.RNNScore",
            True,
            ComparisonTarget(spectator="reference", branch="TauJets.RNNScore"),
        ),
        ("0123abcd", True, ComparisonTarget(trial="trial 0123abcd")),
        ("models:/tau-id@champion", True, ComparisonTarget(trial="trial models:/tau-id@champion")),
        ("t018", False, ComparisonTarget(trial="trial t018")),
    ],
)
def test_a_reference_is_recognised_by_its_form(text, has_files, expected):
    target = comparison_target(
        text, ("pt", "stored"), has_files=has_files, find=lambda name: f"trial {name}"
    )
    assert target == expected


def streaming(home, **more):
    given = [f"{home}/*_1.root"]
    streamed = stream_files.stream(dataset(home), given, cache=home / "cache", progress=Silent())
    return replace(streamed, **more)


def test_a_file_is_read_step_by_step_and_the_step_changes_nothing(home):
    blocks = list(streaming(home, step=128).blocks(Counter(), progress=Silent()))
    assert max(map(len, blocks)) <= 128
    whole = list(streaming(home).blocks(Counter(), progress=Silent()))
    events = [np.sort(np.concatenate([b.event_numbers for b in part])) for part in (blocks, whole)]
    assert (events[0] == events[1]).all()


def test_a_sample_holds_the_inputs_of_the_candidates_that_it_names(home, trial):
    recorded = find_trial(None, str(trial), folder=trial)
    candidates = FileCandidates(streaming(home, step=200), None, Silent())
    output = run_on(candidates, recorded)
    positions, inputs = candidates.sample(output.model.inputs, most=70)
    assert len(set(positions.tolist())) == 70
    again = output.model.probabilities([inputs])
    assert again == pytest.approx(output.predictions.probabilities[positions], abs=1e-6)


def test_weights_are_balanced_on_the_candidates_themselves(home):
    data = dataset(home, reweight={"variable": "pt", "to": ["tau"], "bins": 10})
    given = [f"{home}/*_1.root"]
    streamed = stream_files.stream(data, given, cache=home / "cache", progress=Silent())
    candidates = FileCandidates(streamed, None, Silent())
    light = concatenate(list(streamed.blocks(Counter(), progress=Silent()))).without_features()
    balanced = candidates._balanced(light)
    means = [
        np.average(
            light.spectrum[light.labels == i, 0], weights=balanced.weights[light.labels == i]
        )
        for i in (0, 1)
    ]
    assert means[0] == pytest.approx(means[1], rel=0.02)
    only_jets = light.take(light.labels == 0)
    messages = []

    class Listener(Silent):
        def say(self, message):
            messages.append(message)

    alone = FileCandidates(streamed, None, Listener())
    assert (alone._balanced(only_jets).weights == only_jets.weights).all()
    assert not alone.balanced
    assert "weights stay as they are" in messages[0]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (["{home}/cache/nothing_0.root"], DataError, "no such file"),
        (["{home}/other.root"], UsageError, "of which sample is it, taus or jets"),
    ],
)
def test_files_that_fit_nothing_are_refused(home, trial, tmp_path, given, error, words):
    ntuples_factory.write(home / "other.root", ntuples_factory.columns(10))
    with pytest.raises(error, match=words):
        judged(trial, tmp_path, *[text.format(home=home) for text in given])


def test_a_file_that_lacks_a_branch_is_refused_by_name(home, trial, tmp_path):
    content = ntuples_factory.columns(10)
    del content["track_d0"]
    ntuples_factory.write(home / "short.root", content)
    with pytest.raises(DataError, match="track_d0"):
        judged(trial, tmp_path, f"taus={home}/short.root")


def test_signal_efficiencies_are_read_checked_and_put_in_order():
    assert check_efficiencies(efficiencies_of(["0.7, .5", "0.7"])) == (0.5, 0.7)
    assert check_efficiencies(()) == ()
    for texts, message in {
        ("0.5,half",): "'half': expected signal efficiencies from 0.01 to 0.999",
        ("0.5,",): "'': expected",
        ("1",): r"--efficiency 1: expected signal efficiencies from 0\.01 to 0\.999$",
        ("nan",): "--efficiency nan: expected",
        ("85",): "85 % is 0.85",
        tuple(f"0.{n}" for n in range(1, 9)): "at most 7, which a figure can show, got 8",
    }.items():
        with pytest.raises(UsageError, match=message):
            check_efficiencies(efficiencies_of(texts))


def test_files_without_truth_may_be_read_as_any_sample_with_the_same_trees(home, tmp_path):
    data = tmp_path / "run2024C.root"
    data.touch()
    two = dataset(home)
    with pytest.raises(UsageError, match="of which sample is it, taus or jets"):
        stream_files.by_sample(two, [str(data)])
    assert stream_files.by_sample(two, [str(data)], truth=False) == {"taus": [str(data)]}
    other = two.samples["jets"].model_copy(update={"tree": "Events"})
    apart = two.model_copy(update={"samples": {**two.samples, "jets": other}})
    with pytest.raises(UsageError, match=r"as in taus=.*; only tree and friends .* differ"):
        stream_files.by_sample(apart, [str(data)], truth=False)
    assert stream_files.by_sample(apart, [f"jets={data}"], truth=False) == {"jets": [str(data)]}
    with pytest.raises(UsageError, match=r"there is no sample 'tau' \(did you mean 'taus'"):
        stream_files.by_sample(two, [f"tau={data}"])
    named = tmp_path / "pt=20.root"
    named.touch()
    assert stream_files.by_sample(two, [str(named)], truth=False) == {"taus": [str(named)]}
