import dataclasses
import json
import os
import signal
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from tauopt.config.settings.objective import Goal
from tauopt.durable import locked
from tauopt.errors import Interrupted, LockedError, SearchError, ServiceError
from tauopt.report.write_report import draw_search
from tauopt.search.driver import run_search
from tauopt.study.leaderboard_rows import rows
from tauopt.study.open_study import OBJECTIVES, UID, open_study
from tauopt.study.study_storage import open_storage
from tauopt.study.warm_start_record import (
    EarlierPoint,
    EarlierSearch,
    EarlierTrial,
    WarmStart,
    read_warm,
)
from tauopt.tracking.client import connect
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup
from tests.search.without_ray import without_ray


@pytest.fixture(scope="module", autouse=True)
def services(tmp_path_factory, ray_here):
    """One Ray and one MLflow store for all searches here."""
    store = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAUOPT_STORAGE", raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
        yield


def search(folder, *, events=None, draw=None, **kwargs):
    on_event = events.append if events is not None else lambda event: None
    setup = make_setup(folder, **kwargs)
    return run_search(setup, draw=draw, on_event=on_event, worker=FakeWorker)


def search_here(folder, **kwargs):
    """The same without Ray's processes."""
    with without_ray():
        return search(folder, **kwargs)


NOTIFY = "search.notify.command=env | grep ^TAUOPT_ | sort"


def notice_of(folder):
    """What the command for the search's end found in its environment."""
    lines = (folder / "out/searches/toy/notify.txt").read_text().splitlines()
    found = (line.partition("=") for line in lines)
    return {name: value for name, _, value in found if name not in os.environ}


def give_trouble(folder, trouble):
    (folder / "trouble.json").write_text(json.dumps(trouble))


def study_of(folder):
    return open_study(open_storage(folder / "out"), "toy")


def states_of(folder):
    return [t.state.name for t in study_of(folder).trials]


def runs_of(folder):
    """The MLflow runs of a search by name; fails if a name is there twice."""
    client = connect(None, output=folder / "out")
    uid = study_of(folder).user_attrs[UID]
    places = [e.experiment_id for e in client.search_experiments()]
    runs = [r for r in client.search_runs(places) if r.data.tags["tauopt.uid"].startswith(uid)]
    by_name = {r.info.run_name: r for r in runs}
    assert len(by_name) == len(runs)
    return by_name


@pytest.fixture(scope="module")
def eventful(services, tmp_path_factory):
    """A search in which a worker dies once, and a trial diverges."""
    folder = tmp_path_factory.mktemp("eventful")
    give_trouble(folder, {"1": "die once", "4": "diverge"})
    events = []
    ending = search(folder, events=events, trials=6)
    return folder, events, ending


def test_a_search_trains_the_requested_trials(eventful):
    folder, events, ending = eventful
    assert ending.why == "complete"
    assert states_of(folder) == ["COMPLETE"] * 4 + ["FAIL", "COMPLETE"]
    first = study_of(folder).trials[0]
    assert first.params["model.units"] == 16
    assert list(first.intermediate_values) == [1, 2, 3]
    low, high = first.user_attrs["tauopt.intervals"]["auc"]
    assert low < first.values[0] < high
    kinds = [e.kind for e in events if e.number == 2]
    assert kinds == ["started", "report", "report", "report", "complete"]
    assert not (folder / "out/searches/toy/.ray").exists()


def test_mlflow_has_one_run_a_trial_under_the_search(eventful):
    folder, _, ending = eventful
    assert not ending.undelivered
    runs = runs_of(folder)
    assert set(runs) == {"toy", *(f"t{n:03d}-dense" for n in range(6))}
    status = {name: run.info.status for name, run in runs.items()}
    assert status == {n: "FAILED" if n == "t004-dense" else "FINISHED" for n in runs}
    parents = {r.data.tags["mlflow.parentRunId"] for n, r in runs.items() if n != "toy"}
    assert parents == {runs["toy"].info.run_id}
    trials = study_of(folder).trials
    for row in rows(trials, folder / "out/searches/toy", goals=[Goal("auc", "maximize")]):
        # Of a trial that is over before MLflow gave its run an id, the folder alone knows it.
        run_id = runs[f"t{row.number:03d}-dense"].info.run_id
        assert row.run_id == trials[row.number].user_attrs.get("mlflow_run_id", run_id) == run_id
    assert runs["t004-dense"].data.tags["tauopt.reason"].startswith("the loss is not finite")


def test_the_search_s_own_run_shows_how_the_best_value_grew(eventful):
    folder, _, _ = eventful
    run = runs_of(folder)["toy"]
    client = connect(None, output=folder / "out")
    experiment = client.get_experiment(run.info.experiment_id)
    view = json.loads(json.loads(experiment.tags["mlflow.sharedViewState.tauopt-auc"])["state"])
    assert view["orderByKey"] == "metrics.`validation_auc`"
    assert {"params.`model.units`", "tags.`tauopt.state`"} <= set(view["selectedColumns"])
    (metric,) = run.data.metrics
    study = study_of(folder)
    assert study.user_attrs[OBJECTIVES] == ["auc"]
    assert metric == "best_auc"
    assert run.data.metrics[metric] == pytest.approx(study.best_value)


def test_a_worker_that_dies_is_taken_up_again_in_the_same_trial_from_its_checkpoint(eventful):
    folder, events, _ = eventful
    kinds = [e.kind for e in events if e.number == 1 and e.kind != "report"]
    assert kinds == ["started", "retried", "resumed", "complete"]
    trained = (folder / "out/searches/toy/t001/trained.txt").read_text().split()
    assert trained == ["1", "2", "3"]


def test_a_worker_that_dies_always_is_tried_three_times_and_fails_its_trial(tmp_path):
    give_trouble(tmp_path, {"1": "die"})
    events = []
    search_here(tmp_path, events=events, trials=3)
    kinds = [e.kind for e in events if e.number == 1]
    assert kinds == ["started", "retried", "resumed", "retried", "resumed", "failed"]
    assert "worker died" in study_of(tmp_path).trials[1].user_attrs["reason"]
    assert states_of(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE"]


def test_two_trials_run_at_the_same_time(eventful):
    trials = study_of(eventful[0]).trials
    spans = [(t.datetime_start, t.datetime_complete) for t in trials]
    assert any(a[0] < b[1] and b[0] < a[1] for a in spans for b in spans if a is not b)


def test_raising_the_number_of_trials_extends_a_search(eventful):
    folder, _, _ = eventful
    before = study_of(folder).trials
    search_here(folder, trials=7, resume=True)
    after = study_of(folder).trials
    assert [t.params for t in after[:6]] == [t.params for t in before]
    assert [t.datetime_complete for t in after[:6]] == [t.datetime_complete for t in before]
    assert after[6].state is TrialState.COMPLETE
    assert len(runs_of(folder)) == 8


def test_a_search_whose_trials_all_fail_stops_with_the_first_traceback(tmp_path):
    give_trouble(tmp_path, {str(number): "bug" for number in range(50)})
    with pytest.raises(SearchError, match=r"3 trials in a row failed(.|\n)*a bug in the model"):
        search_here(tmp_path, trials=50, concurrent=1, overrides=[NOTIFY])
    notice = notice_of(tmp_path)
    assert (notice["TAUOPT_STATE"], notice["TAUOPT_BEST"]) == ("failed", "")
    assert notice["TAUOPT_REASON"] == "3 trials in a row failed"
    assert states_of(tmp_path)[:3] == ["FAIL"] * 3
    assert len(states_of(tmp_path)) <= 4
    assert runs_of(tmp_path)["toy"].info.status == "FAILED"


def test_a_disk_that_is_nearly_full_is_noticed_before_the_first_trial(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(ServiceError, match="for a search's trials, 1e-06 GB are free; make room"):
        search(tmp_path)
    assert not (tmp_path / "out" / "studies.db").exists()


def test_a_full_disk_stops_the_search_and_costs_no_trial(tmp_path):
    give_trouble(tmp_path, {"1": "full"})
    with pytest.raises(
        ServiceError, match=r"state\.json: No space left on device: make room; then resume"
    ):
        search_here(tmp_path, trials=3, concurrent=1, overrides=[NOTIFY])
    notice = notice_of(tmp_path)
    assert notice["TAUOPT_STATE"] == "failed"
    assert "No space left on device" in notice["TAUOPT_REASON"]
    assert float(notice["TAUOPT_BEST"]) == study_of(tmp_path).best_value
    assert states_of(tmp_path) == ["COMPLETE", "RUNNING"]
    assert runs_of(tmp_path)["toy"].info.status == "KILLED"
    give_trouble(tmp_path, {})
    search_here(tmp_path, trials=3, concurrent=1, resume=True)
    assert states_of(tmp_path) == ["COMPLETE"] * 3
    assert len(runs_of(tmp_path)) == 4


@pytest.fixture(scope="module")
def pruned(services, tmp_path_factory):
    """A search of one trial at a time, with Ray and without: its folders and events.

    Some trials are pruned; a warm worker dies before its next trial begins.
    """
    searches = []
    for run in (search, search_here):
        folder, events = tmp_path_factory.mktemp("pruned"), []
        give_trouble(folder, {"1": "die warm"})
        run(folder, events=events, trials=8, pruner="asha", concurrent=1)
        searches.append((folder, events))
    return searches


def test_pruned_trials_are_pruned_in_the_study_and_finished_in_mlflow(pruned):
    folder, _ = pruned[0]
    states = states_of(folder)
    assert set(states) == {"COMPLETE", "PRUNED"}
    run = runs_of(folder)[f"t{states.index('PRUNED'):03d}-dense"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["tauopt.state"] == "PRUNED"


def test_a_warm_worker_that_dies_before_its_next_trial_begins_costs_no_trial(pruned):
    """Ray gives such a trial up at once."""
    _, events = pruned[0]
    kinds = [e.kind for e in events if e.number == 1 and e.kind != "report"]
    assert kinds[:3] == ["started", "retried", "resumed"]
    assert kinds[3:] in (["complete"], ["pruned"])


def test_a_search_without_ray_s_processes_as_most_here_are_is_the_same_search(pruned):
    def outcome(folder, events):
        trials = [
            (t.state, t.params, t.values, t.intermediate_values) for t in study_of(folder).trials
        ]
        runs = {n: (r.info.status, r.data.metrics) for n, r in runs_of(folder).items()}
        return trials, runs, [(e.kind, e.number, e.value, e.report) for e in events]

    with_ray, without = (outcome(*search_) for search_ in pruned)
    assert with_ray == without


@pytest.fixture(scope="module")
def several(services, tmp_path_factory):
    """A search of three objectives in which trials are stopped and one has no finite cost."""
    folder = tmp_path_factory.mktemp("several")
    give_trouble(folder, {"1": "no cost"})
    three = ["objective.minimize=[parameters, latency_us@8]"]
    ending = search_here(
        folder, trials=8, pruner="asha", concurrent=1, overrides=three, draw=draw_search
    )
    return folder, ending


def test_a_search_of_several_objectives_stops_trials_and_keeps_all_values(several):
    folder, ending = several
    study = study_of(folder)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.user_attrs[OBJECTIVES] == ["auc", "parameters", "latency_us@8"]
    assert {t.state.name for t in ending.trials} == {"COMPLETE", "PRUNED", "FAIL"}
    for trial in study.trials:
        if trial.state is TrialState.COMPLETE:
            units = trial.params["model.units"]
            assert trial.values == [max(trial.intermediate_values.values()), units, 10 * units]
    assert study.trials[1].state is TrialState.FAIL
    assert "not finite" in study.trials[1].user_attrs["reason"]


def test_the_search_s_own_run_has_the_front_as_a_table_and_figures(several):
    folder, _ = several
    client, run = connect(None, output=folder / "out"), runs_of(folder)["toy"]
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id, "figures")}
    names = ["front-parameters", "front-latency_us_8"]
    assert artifacts == {f"figures/{n}.{kind}" for n in names for kind in ("png", "json")}
    points = json.loads((folder / "out/searches/toy/figures/front-parameters.json").read_text())
    complete = [t for t in study_of(folder).trials if t.state is TrialState.COMPLETE]
    assert points["trials"] == [f"t{t.number:03d}" for t in complete]
    assert points["default"] == "t000"
    board = json.loads((folder / "out/searches/toy/leaderboard.json").read_text())
    assert [row["number"] for row in board if row["front"] == 1] == [
        t.number for t in sorted(study_of(folder).best_trials, key=lambda t: -t.values[0])
    ]
    assert run.data.params["objective"] == "auc, parameters, latency_us@8"
    assert "minimises `parameters`, `latency_us@8`." in run.data.tags["mlflow.note.content"]
    assert run.data.metrics["best_auc"] == max(t.values[0] for t in complete)


def report_in_mlflow(folder, into):
    """The files of the report in the search's own run, and the page's text."""
    client, run = connect(None, output=folder / "out"), runs_of(folder)["toy"]
    there = client.download_artifacts(run.info.run_id, "report", str(into))
    files = {path.name: path.read_bytes() for path in Path(there).iterdir()}
    return set(files), files["report.html"].decode()


def test_the_search_s_own_run_has_its_report(several, tmp_path):
    folder, _ = several
    files, page = report_in_mlflow(folder, tmp_path)
    here = folder / "out/searches/toy/report"
    assert files == {path.name for path in here.iterdir()}
    assert {"progress.png", "learning.json", "front-parameters.png"} <= files
    assert page == (here / "report.html").read_text()
    assert "not finite" in page


def test_a_failing_report_is_a_note_and_the_search_a_success(tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("no facts")

    monkeypatch.setattr("tauopt.report.write_report.gather", broken)
    events = []
    assert search_here(tmp_path, trials=1, events=events, draw=draw_search).why == "complete"
    assert events[-1].message == "no report: ZeroDivisionError: no facts"
    assert runs_of(tmp_path)["toy"].info.status == "FINISHED"


@pytest.mark.service
def test_a_signal_stops_the_search_and_resume_goes_on(tmp_path, monkeypatch):
    def stop(event):
        if event.kind == "report" and event.number == 1:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(FakeWorker, "pause_s", 0.2)
    before = time.monotonic()
    with pytest.raises(Interrupted) as stopped:
        search(tmp_path, concurrent=1, draw=draw_search, events=SimpleNamespace(append=stop))
    assert time.monotonic() - before < 60
    assert stopped.value.exit_code == 143
    assert stopped.value.resume == "tauopt search toy.yaml --resume"
    assert "RUNNING" in states_of(tmp_path)
    runs = runs_of(tmp_path)
    assert "RUNNING" not in {r.info.status for r in runs.values()}
    assert runs["toy"].info.status == "SCHEDULED"
    assert "unfinished" in report_in_mlflow(tmp_path, tmp_path)[1]

    search_here(tmp_path, resume=True, draw=draw_search, concurrent=1)
    page = report_in_mlflow(tmp_path, tmp_path)[1]
    assert "2 drivers, one after another" in page
    assert "4 of 4 asked for: 4 complete<" in page
    assert states_of(tmp_path) == ["COMPLETE"] * 4
    runs = runs_of(tmp_path)
    assert len(runs) == 5
    assert {r.info.status for r in runs.values()} == {"FINISHED"}


def test_a_budget_ends_the_search_and_counts_over_resumes(tmp_path):
    brief = ["search.budget.hours=0.00001", NOTIFY]
    ending = search_here(tmp_path, trials=50, overrides=brief)
    assert "budget" in ending.why
    assert notice_of(tmp_path)["TAUOPT_STATE"] == "budget"
    seconds = study_of(tmp_path).user_attrs["tauopt.seconds"]
    ending = search_here(tmp_path, trials=50, resume=True, overrides=brief)
    assert "budget" in ending.why
    assert study_of(tmp_path).user_attrs["tauopt.seconds"] > seconds
    assert "COMPLETE" not in states_of(tmp_path)


def test_a_warm_start_is_tagged_in_mlflow_and_kept_for_a_resume(tmp_path):
    point = {"model.units": 5, "training.learning_rate": 0.0042}
    past = EarlierTrial(point, "COMPLETE", [0.9], {1: 0.9}, search="old")
    searches = (EarlierSearch("old"), EarlierSearch("older"))
    warm = WarmStart(searches, points=(EarlierPoint(point, "old", 3, 0.9),), history=(past,))
    setup = dataclasses.replace(make_setup(tmp_path, trials=2, overrides=[NOTIFY]), warm=warm)
    with without_ray():
        run_search(setup, worker=FakeWorker)
    notice = notice_of(tmp_path)
    best = study_of(tmp_path).best_trial
    run_id = runs_of(tmp_path)[f"t{best.number:03d}-dense"].info.run_id
    assert notice == {
        "TAUOPT_SEARCH": "toy",
        "TAUOPT_STATE": "complete",
        "TAUOPT_REASON": "complete",
        "TAUOPT_OBJECTIVE": "auc",
        "TAUOPT_BEST": repr(best.value),
        "TAUOPT_BEST_RUN": run_id,
        "TAUOPT_FOLDER": str(setup.folder),
    }
    assert study_of(tmp_path).trials[1].params == point
    search_here(tmp_path, trials=3, resume=True)
    assert read_warm(setup.folder) == warm
    runs = runs_of(tmp_path)
    assert {run.data.tags["tauopt.warm_start"] for run in runs.values()} == {"old, older"}
    assert len(study_of(tmp_path).trials) == 3


def test_two_drivers_cannot_run_one_search(tmp_path):
    lock = tmp_path / "out/searches/toy/lock"
    with locked(lock, what="x"), pytest.raises(LockedError, match=r"'toy' is held by process \d+"):
        search(tmp_path)
