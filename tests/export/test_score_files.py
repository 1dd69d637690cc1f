"""Scores of ntuples: friend trees with an entry for each entry of the input."""

import json
import shutil

import awkward as ak
import h5py
import numpy as np
import pyarrow.parquet
import pytest
import uproot
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment, Objective, Task, Training
from tauopt.config.settings.networks import DeepSets
from tauopt.errors import DataError, UsageError
from tauopt.evaluation import model_working_points
from tauopt.evaluation.file_candidates import FileCandidates
from tauopt.evaluation.find_trial import find_trial
from tauopt.evaluation.predict import load, predict
from tauopt.export.score_files import FileScorer, ScoreJob, score_file
from tauopt.models.model_file import load_model
from tauopt.ntuples.friend import TREE, read_record
from tauopt.prepare.prepare_dataset import prepare
from tauopt.prepare.stream_files import stream
from tauopt.progress import Silent
from tauopt.tracking.client import connect
from tauopt.workflows.score import score
from tests import events_factory, ntuples_factory
from tests.evaluation.trials import train

TASK = Task(classes={"jet": ("jet",), "tau": ("tau",)}, signal=("tau",))
TRACKS = 4


def experiment(data):
    groups = {"tracks": {"length": TRACKS}}
    return Experiment(
        name="toy",
        data=data,
        task=TASK,
        model=DeepSets.model_validate({"type": "deepsets", "groups": groups}),
        training=Training(epochs=2, batch_size=64),
        objective=Objective(maximize="auc"),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Ntuples to train on, others without truth to be scored, and a trained trial."""
    home = tmp_path_factory.mktemp("home")
    for number, name in enumerate(("train", "data_0", "data_1")):
        content = ntuples_factory.columns(1500, seed=number, first_event=10_000 * number)
        if name != "train":
            del content["is_tau"], content["weight"], content["event_number"]
        ntuples_factory.write(home / f"{name}.root", content)
    settings = ntuples_factory.dataset_settings(home)
    (sample,) = settings["samples"].values()
    sample["files"] = [f"{home}/train.root"]
    settings |= {
        "selection": "pt > 25000",
        "spectators": {"pt": "pt", "mu": "30 + eta", "prongs": "prongs"},
    }
    data = Dataset.model_validate(settings)
    train(home / "runs" / "t000", prepare(data, cache=home / "cache"), experiment(data))
    return home


@pytest.fixture(scope="module", autouse=True)
def points_are_derived_once():
    """Keep working points between tests: deriving them takes longer than scoring."""
    really, made = model_working_points.working_points_of, {}

    def points_of(client, trial, **more):
        key = (trial.sha256, trial.dataset_digest)
        if key not in made:
            made[key] = really(client, trial, **more)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_working_points, "working_points_of", points_of)
        yield


@pytest.fixture(autouse=True)
def surroundings(home, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(home / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def read_hdf5(path):
    with h5py.File(path) as file:
        return {f"{TREE}_{name}": one[:] for name, one in file[TREE].items()}


def read_parquet(path):
    table = pyarrow.parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


Readers = {"hdf5": read_hdf5, "parquet": read_parquet}


def scored(home, *files, to, **more):
    return score(str(home / "runs" / "t000"), [str(f) for f in files], to=to, output=home, **more)


def read(path):
    return uproot.open(f"{path}:{TREE}").arrays()


def by_hand(home, path, *, entries):
    """Run the saved model on the first candidates, one after the other, padded by awkward."""
    model = load_model(home / "runs" / "t000" / "best.keras")
    probabilities = []
    for row in uproot.open(f"{path}:candidates").arrays(entry_stop=entries):
        hardest = np.argsort(-np.asarray(row.track_pt))[:TRACKS]
        pt, d0 = np.asarray(row.track_pt)[hardest], np.asarray(row.track_d0)[hardest]
        tracks = [pt, d0, np.full(len(pt), row.pt)]
        padded = np.zeros((1, TRACKS, 3), np.float32)
        padded[0, : len(tracks[0])] = np.stack(tracks, axis=-1)
        mask = np.arange(TRACKS)[None] < len(tracks[0])
        candidate = np.array([[row.pt, row.eta]], np.float32)
        output = model({"candidate": candidate, "tracks": padded, "tracks_mask": mask})
        probabilities.append(np.asarray(output["probabilities"])[0])
    return np.array(probabilities)


def test_each_entry_has_the_scores_that_the_model_gives_it(home, tmp_path):
    (one,) = scored(home, home / "data_0.root", to=tmp_path)
    table = uproot.open(f"{home}/data_0.root:candidates").arrays(["pt", "prongs"])
    selected = np.asarray(table.pt) > 25_000
    assert (one.entries, one.candidates, one.scored) == (1500, 1500, int(selected.sum()))
    assert 100 < one.scored < 1400
    scores = read(one.to)
    expected, few = by_hand(home, home / "data_0.root", entries=80)[:, 1], selected[:80]
    assert 10 < few.sum() < 70
    np.testing.assert_allclose(scores.tauopt_p_tau[:80][few], expected[few], atol=1e-5)
    np.testing.assert_allclose(scores.tauopt_signal_score, scores.tauopt_p_tau)
    assert set(np.asarray(scores.tauopt_p_tau)[~selected]) == {-1.0}
    assert not np.any(scores.tauopt_passes_loose[~selected])


def test_scores_are_those_that_evaluations_judge(home, tmp_path):
    content = ntuples_factory.columns(900, seed=9, first_event=70_000)
    path = ntuples_factory.write(tmp_path / "truth.root", content)
    (one,) = scored(home, path, to=tmp_path / "out")
    trial = find_trial(connect(None, output=home), str(home / "runs" / "t000"), folder=tmp_path)
    data = trial.experiment.data
    files = stream(data, [str(path)], cache=tmp_path / "cache", progress=Silent())
    judged = FileCandidates(files, None, Silent())
    expected = predict(load(trial, judged), judged)
    assert len(expected) == one.scored
    places = expected.columns["event_numbers"] - 70_000
    scores = np.asarray(read(one.to).tauopt_p_tau)[places]
    # In batches of other sizes a processor may add in another order: the last bit.
    np.testing.assert_array_max_ulp(scores, expected.probabilities[:, 1], maxulp=4)


def test_working_points_pass_what_their_flattened_score_says(home, tmp_path):
    (one,) = scored(home, home / "data_0.root", to=tmp_path)
    scores = read(one.to)
    is_scored = np.asarray(scores.tauopt_p_tau) >= 0
    for name, efficiency in {"tight": 0.6, "medium": 0.75, "loose": 0.85}.items():
        passes = np.asarray(scores[f"tauopt_passes_{name}"])
        np.testing.assert_array_equal(
            passes, is_scored & (np.asarray(scores.tauopt_flattened) <= np.float32(efficiency))
        )
        assert 0 < passes.sum() < is_scored.sum()


def test_existing_scores_are_rewritten_only_if_file_or_settings_changed(home, tmp_path):
    path = shutil.copy(home / "data_0.root", tmp_path / "in.root")
    (first,) = scored(home, path, to=tmp_path / "out")
    (again,) = scored(home, path, to=tmp_path / "out")
    assert (first.skipped, again.skipped) == (False, True)
    assert read_record(first.to)["input"] == "in.root"
    shutil.copy(home / "data_1.root", path)
    assert not scored(home, path, to=tmp_path / "out")[0].skipped
    assert not scored(home, path, to=tmp_path / "out", default=-9.0)[0].skipped
    assert min(read(first.to).tauopt_p_tau) == -9.0
    first.to.write_bytes(first.to.read_bytes()[:2000])  # damaged
    assert not scored(home, path, to=tmp_path / "out", default=-9.0)[0].skipped
    assert len(read(first.to)) == 1500


@pytest.mark.parametrize("format", ["hdf5", "parquet"])
def test_other_formats_hold_what_friend_trees_hold(home, tmp_path, format):
    path = home / "data_0.root"
    (tree,) = scored(home, path, to=tmp_path)
    (other,) = scored(home, path, to=tmp_path, format=format)
    assert (other.entries, other.scored) == (tree.entries, tree.scored)
    expected, scores = read(tree.to), Readers[format](other.to)
    assert set(scores) == set(expected.fields)
    for name, values in scores.items():
        np.testing.assert_array_equal(values, np.asarray(expected[name]))
    assert scored(home, path, to=tmp_path, format=format)[0].skipped
    with pytest.raises(UsageError, match=r"--format rot: expected root, hdf5, parquet"):
        scored(home, path, to=tmp_path, format="rot")


@pytest.mark.service
def test_two_workers_write_what_one_writes(home, tmp_path):
    files = [home / "data_0.root", home / "data_1.root"]
    one = scored(home, *files, to=tmp_path / "one")
    two = scored(home, *files, to=tmp_path / "two", workers=2)
    assert [s.to.name for s in one] == [s.to.name for s in two]
    for a, b in zip(one, two, strict=True):
        assert ak.fields(read(a.to)) == ak.fields(read(b.to))
        for name in ak.fields(read(a.to)):
            np.testing.assert_allclose(read(a.to)[name], read(b.to)[name], atol=1e-6)


def test_the_command_line_says_what_it_wrote(home, tmp_path):
    words = ["score", str(home / "runs" / "t000"), str(home / "data_*.root"), "--to", str(tmp_path)]
    ran = CliRunner().invoke(build_app(), [*words, "-o", str(home), "--json"])
    assert ran.exit_code == 0, ran.output
    assert [one["entries"] for one in json.loads(ran.stdout)] == [1500, 1500]
    ran = CliRunner().invoke(build_app(), [*words, "-o", str(home)])
    assert ran.stdout.count("there already") == 2


def test_bad_files_are_refused_and_leave_nothing(home, tmp_path):
    content = ntuples_factory.columns(100)
    del content["track_d0"]
    ntuples_factory.write(tmp_path / "lacking.root", content)
    with pytest.raises(DataError, match="track_d0"):
        scored(home, tmp_path / "lacking.root", to=tmp_path / "out")
    whole = (home / "data_0.root").read_bytes()
    (tmp_path / "cut.root").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.root"):
        scored(home, tmp_path / "cut.root", to=tmp_path / "out")
    assert not [*(tmp_path / "out").glob("*.root")]
    (tmp_path / "a").mkdir()
    twin = shutil.copy(home / "data_0.root", tmp_path / "a" / "data_0.root")
    with pytest.raises(UsageError, match="would both be scored into"):
        scored(home, home / "data_0.root", twin, to=tmp_path / "out")


def test_candidates_that_lack_a_feature_are_counted_and_not_scored(home, tmp_path):
    content = ntuples_factory.columns(200)
    content["pt"][:50] = 30_000
    content["eta"][:50] = np.nan
    ntuples_factory.write(tmp_path / "holes.root", content)
    (one,) = scored(home, tmp_path / "holes.root", to=tmp_path / "out")
    assert one.missing == 50
    assert set(np.asarray(read(one.to).tauopt_p_tau)[:50]) == {-1.0}


def test_cuts_on_truth_can_be_left_out_by_name(home, tmp_path):
    settings = ntuples_factory.dataset_settings(home)
    (sample,) = settings["samples"].values()
    sample["files"] = [f"{home}/train.root"]
    settings["cuts"] = {"hard": "pt > 25000", "truth": "is_tau >= 0"}
    data = Dataset.model_validate(settings)
    folder = train(tmp_path / "t000", prepare(data, cache=home / "cache"), experiment(data))
    files = [str(home / "data_0.root")]
    with pytest.raises(DataError, match="is_tau"):
        score(str(folder), files, to=tmp_path / "out", output=home)
    with pytest.raises(UsageError, match=r"no such cut \(did you mean 'truth'"):
        score(str(folder), files, to=tmp_path / "out", output=home, leave_out=["truht"])
    (one,) = score(str(folder), files, to=tmp_path / "out", output=home, leave_out=["truth"])
    pt = uproot.open(f"{files[0]}:candidates")["pt"].array(library="np")
    assert one.scored == int((pt > 25_000).sum())


def test_without_the_dataset_there_are_scores_but_no_working_points(home, tmp_path):
    folder = shutil.copytree(home / "runs" / "t000", tmp_path / "t000")
    result = json.loads((folder / "result.json").read_text())
    gone = {"dataset_digest": "f" * 64, "dataset_folder": str(tmp_path / "gone")}
    (folder / "result.json").write_text(json.dumps(result | gone))
    listener = MessageList()
    twin = shutil.copy(home / "data_0.root", tmp_path / "data_0.root")
    for files, message in {
        (str(home / "data_0.root"), str(twin)): "would both be scored into",
        (f"real={twin}",): "there is no sample 'real'",
    }.items():
        with pytest.raises(UsageError, match=message):
            score(str(folder), files, to=tmp_path / "out", output=home, progress=listener)
    assert not listener.messages  # refused before the dataset was looked for
    (one,) = score(
        str(folder),
        [str(home / "data_0.root")],
        to=tmp_path / "out",
        output=home,
        progress=listener,
    )
    assert "tauopt_flattened" not in ak.fields(read(one.to))
    assert one.scored > 100
    assert any(message.startswith("no working points: ") for message in listener.messages)


class MessageList(Silent):
    """Progress that keeps its messages."""

    def __init__(self):
        self.messages = []

    def say(self, message):
        self.messages.append(message)


EVENTS = {
    "name": "events",
    "layout": events_factory.LAYOUT,
    "classes": {"tau": "gen.matched", "jet": "!gen.matched"},
    "selection": "Tau_pt > 25",
    "event_number": "event",
    "split": {
        "train": "event % 10 < 6",
        "validation": "event % 10 == 6 || event % 10 == 7",
        "test": "event % 10 >= 8",
    },
    "candidate": {"pt": {"expression": "Tau_pt"}, "jet": {"expression": "jet.pt / Tau_pt"}},
    "groups": {"tracks": {"features": {"pt": {"expression": "near.pt"}}, "order_by": "near.pt"}},
    "missing": "drop",
}


def test_scores_of_events_are_lists_like_the_candidates(tmp_path):
    path = events_factory.write_events(tmp_path / "0.root", events_factory.events(600), baskets=3)
    sample = {"files": [str(path)], "tree": "Events", "weight": "weight", "classes": ["jet", "tau"]}
    data = Dataset.model_validate({**EVENTS, "samples": {"all": sample}})
    settings = experiment(data)
    folder = train(tmp_path / "t000", prepare(data, cache=tmp_path / "cache"), settings)
    trial = find_trial(connect(None, output=tmp_path), str(folder), folder=tmp_path / "fetched")
    job = ScoreJob(path, "all", tmp_path / "out.root", {"of": "a test"}, step=70)
    one = score_file(job, FileScorer(trial, None, -1.0))
    scores, events = read(one.to), uproot.open(f"{path}:Events").arrays(["Tau_pt"])
    assert one.entries == 600 == len(scores)
    assert ak.num(scores.tauopt_p_tau).tolist() == ak.num(events.Tau_pt).tolist()
    is_scored = ak.flatten(scores.tauopt_p_tau) >= 0
    selected = ak.flatten(events.Tau_pt) > 25
    assert ak.all(selected[is_scored])
    assert one.scored == ak.sum(is_scored) == ak.sum(selected) - one.missing
    with_other_steps = score_file(
        ScoreJob(path, "all", tmp_path / "other.root", {}, step=1000), FileScorer(trial, None, -1.0)
    )
    np.testing.assert_allclose(
        ak.flatten(read(with_other_steps.to).tauopt_p_tau),
        ak.flatten(scores.tauopt_p_tau),
        atol=1e-6,
    )
