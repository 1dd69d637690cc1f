"""The best points of a search are trained again on other seeds, as a stage of the same search."""

import json
import signal
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from tauopt.cli.search import next_steps
from tauopt.cli.status import status_lines
from tauopt.config.settings.experiment import Confirm
from tauopt.errors import Interrupted
from tauopt.report.search_record import gather
from tauopt.search import driver
from tauopt.search.driver import run_search
from tauopt.study.best_first import best_first, ties_of
from tauopt.study.control_requests import extend, request_confirmation
from tauopt.study.leaderboard_rows import recommended, rows
from tauopt.study.open_study import UID, goals_of, open_study
from tauopt.study.study_storage import open_storage
from tauopt.study.trial_attributes import CONFIRMS
from tauopt.tracking.client import connect
from tauopt.training.trial_plan import read_plan, trial_folder
from tauopt.workflows.gc import gc
from tauopt.workflows.leaderboard import leaderboard
from tauopt.workflows.search import SearchResult
from tauopt.workflows.status import _seconds_left, status
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup
from tests.search.without_ray import without_ray

CONFIRM = "search.confirm={top: 3, seeds: 2}"


class NoisyWorker(FakeWorker):
    """Trials whose values depend on the seed, and of which several are tied."""

    seed_deviation = 0.002
    error = 0.002


@pytest.fixture(scope="module", autouse=True)
def services(tmp_path_factory):
    store = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAUOPT_STORAGE", raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
        with without_ray():
            yield


def search(folder, *, events=None, on_event=None, **kwargs):
    setup = make_setup(folder, **kwargs)
    on_event = on_event or (events.append if events is not None else lambda event: None)
    return run_search(setup, on_event=on_event, worker=NoisyWorker)


def study_of(folder):
    return open_study(open_storage(folder / "out"), "toy")


def board_of(folder):
    study = study_of(folder)
    trials = study.get_trials(deepcopy=False)
    return rows(trials, folder / "out/searches/toy", goals=goals_of(study), is_alive=False)


def result_of(folder, ending):
    goals, board = goals_of(study_of(folder)), tuple(board_of(folder))
    return SearchResult("toy", ending.why, tuple(goals), board, folder, confirm=ending.confirm)


def confirming(folder):
    return [trial for trial in study_of(folder).trials if CONFIRMS in trial.user_attrs]


@pytest.fixture(scope="module")
def confirmed(services, tmp_path_factory):
    folder, events = tmp_path_factory.mktemp("confirmed"), []
    ending = search(folder, events=events, trials=6, pruner="asha", overrides=[CONFIRM])
    return folder, events, ending


def test_tied_points_are_trained_again_each_on_its_own_seed_and_none_is_stopped(confirmed):
    folder, events, ending = confirmed
    tied = ties_of(study_of(folder).trials)[:3]
    again = confirming(folder)
    assert len(tied) > 1
    assert [t.number for t in again] == list(range(6, 6 + 2 * len(tied)))
    assert [t.user_attrs[CONFIRMS] for t in again] == 2 * tied  # each point once before any twice
    assert {t.state for t in again} == {TrialState.COMPLETE}
    params = {t.number: t.params for t in study_of(folder).trials}
    assert all(t.params == params[t.user_attrs[CONFIRMS]] for t in again)
    plans = [read_plan(trial_folder(folder / "out/searches/toy", n)) for n in params]
    assert len({plan.seed for plan in plans}) == len(plans)
    notes = [event.message for event in events if event.kind == "note"]
    assert f"{len(again)} trainings on other seeds confirm t{tied[0]:03d}" in notes[-1]
    started = [e.message for e in events if e.kind == "started" and e.number == again[0].number]
    assert started == [f"confirms t{tied[0]:03d}"]
    assert ending.why == "complete"


def test_pruners_take_no_notice_of_what_confirms(confirmed):
    folder, *_ = confirmed
    assert not any(
        k.startswith("completed_rung") for t in confirming(folder) for k in t.system_attrs
    )


def test_points_are_ranked_by_their_means_and_the_first_training_does_not_count(confirmed):
    folder, *_ = confirmed
    board, trials = board_of(folder), {t.number: t for t in study_of(folder).trials}
    of_point = {
        row.number: [t for t in confirming(folder) if t.user_attrs[CONFIRMS] == row.number]
        for row in board
    }
    known = [row for row in board if row.confirmed]
    assert [row.rank for row in board[: len(known)]] == list(range(1, len(known) + 1))
    for row in known:
        values = [t.values[0] for t in of_point[row.number]]
        assert row.confirmed.values == tuple(values)
        assert row.confirmed.value == pytest.approx(sum(values) / 2)
        assert row.confirmed.low < row.confirmed.value < row.confirmed.high
        assert row.estimate[0] == row.confirmed.value
        assert row.value == trials[row.number].values[0]
        trainings = [trials[row.number], *of_point[row.number]]
        lowest = min(trainings, key=lambda t: t.user_attrs["tauopt.log_loss"])
        assert row.confirmed.chosen == lowest.number
    behind = [row for row in known if not row.tied]
    assert behind == sorted(behind, key=lambda row: -row.confirmed.value)
    again = [row for row in board if row.confirms is not None]
    assert {row.rank for row in again} == {0}
    assert json.loads((folder / "out/searches/toy/leaderboard.json").read_text())[0]["confirmed"]


def test_of_tied_points_the_cheapest_is_recommended_on_request(confirmed):
    board = board_of(confirmed[0])
    tied = [row for row in board if row.tied]
    assert recommended(board) is board[0]
    assert recommended([]) is None
    trials = study_of(confirmed[0]).trials
    folder, goals = confirmed[0] / "out/searches/toy", goals_of(study_of(confirmed[0]))
    cheapest = rows(trials, folder, goals=goals, prefer="cheapest")
    assert [r.parameters for r in cheapest if r.tied] == sorted(r.parameters for r in tied)
    assert {r.number for r in cheapest if r.tied} == {r.number for r in tied}
    assert [r.number for r in cheapest if not r.tied] == [r.number for r in board if not r.tied]
    assert recommended(cheapest) is cheapest[0]


def test_whoever_asks_ranks_the_ties_as_the_driver_was_asked_to(tmp_path):
    ending = search(tmp_path, trials=6, overrides=["search.confirm={top: 3, prefer: cheapest}"])
    board = list(leaderboard("toy", output=tmp_path / "out").rows)
    tied = [row for row in board if row.tied]
    assert len(tied) > 1
    assert [row.parameters for row in tied] == sorted(row.parameters for row in tied)
    record = gather(study_of(tmp_path), tmp_path / "out/searches/toy", now=0.0, driver="none")
    assert [row.number for row in record.leaderboard] == [row.number for row in board]
    assert status("toy", output=tmp_path / "out").best == board[0].estimate[0]
    kept = json.loads((tmp_path / "out/searches/toy/leaderboard.json").read_text())
    assert [row["number"] for row in kept] == [row.number for row in board]
    assert ending.confirm.prefer == "cheapest"


def test_mlflow_says_what_confirms_which_trial(confirmed):
    folder, *_ = confirmed
    client, uid = connect(None, output=folder / "out"), study_of(folder).user_attrs[UID]
    places = [e.experiment_id for e in client.search_experiments()]
    runs = [r for r in client.search_runs(places) if r.data.tags["tauopt.uid"].startswith(uid)]
    tags = {r.data.tags.get("tauopt.trial"): r.data.tags.get(CONFIRMS) for r in runs}
    for trial in confirming(folder):
        assert tags[str(trial.number)] == str(trial.user_attrs[CONFIRMS])
    assert {r.info.status for r in runs} <= {"FINISHED"}


def test_a_resume_finds_nothing_left_and_more_seeds_or_trials_add_what_is_missing(tmp_path):
    search(tmp_path, trials=4, overrides=[CONFIRM])
    before = len(study_of(tmp_path).trials)
    search(tmp_path, trials=4, resume=True, overrides=[CONFIRM])
    assert len(study_of(tmp_path).trials) == before
    points = {t.user_attrs[CONFIRMS] for t in confirming(tmp_path)}
    request_confirmation(study_of(tmp_path), Confirm(top=3, seeds=3))
    search(tmp_path, trials=4, resume=True, overrides=[CONFIRM])
    assert len(confirming(tmp_path)) == 3 * len(points)
    extend(study_of(tmp_path), trials=6)
    search(tmp_path, trials=4, resume=True, overrides=[CONFIRM])
    searched = [t for t in study_of(tmp_path).trials if CONFIRMS not in t.user_attrs]
    assert len(searched) == 6
    tied = set(ties_of(searched)[:3])
    counts = [t.user_attrs[CONFIRMS] for t in confirming(tmp_path)]
    assert all(counts.count(number) == 3 for number in tied | points)
    assert len(counts) == 3 * len(tied | points)


def test_between_stop_and_resume_of_the_stage_no_model_that_may_be_promoted_is_removed(tmp_path):
    def stop(event):
        if event.kind == "complete" and event.number == 5:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        search(tmp_path, trials=4, overrides=[CONFIRM], on_event=stop)
    points = {t.user_attrs[CONFIRMS] for t in confirming(tmp_path)}
    wanted = {f"t{n:03d}" for n in points | {t.number for t in confirming(tmp_path)}}
    assert wanted <= gc("toy", keep=1, output=tmp_path / "out").kept.keys()
    search(tmp_path, trials=4, resume=True, overrides=[CONFIRM])
    chosen = {f"t{row.confirmed.chosen:03d}" for row in board_of(tmp_path) if row.confirmed}
    assert chosen <= gc("toy", keep=1, output=tmp_path / "out").kept.keys()


def test_a_trial_with_a_paired_value_does_not_win_over_better_ones_without(tmp_path):
    search(tmp_path, trials=4)
    trials = study_of(tmp_path).get_trials()
    best, *others = best_first(trials)
    largest = max(trials, key=lambda trial: trial.values[0])
    for trial in trials:
        if trial.number == largest.number:
            del trial.user_attrs["tauopt.paired_value"]
    assert ties_of(trials) == []
    assert best_first(trials)[0].number == largest.number
    assert {best.number, *(t.number for t in others)} == {t.number for t in trials}


@pytest.mark.parametrize(
    "moment",
    ["report", *(pytest.param(m, marks=pytest.mark.slow) for m in ("started", "complete"))],
)
def test_a_stage_stopped_at_any_moment_goes_on_and_trains_nothing_twice(tmp_path, moment):
    begun = []

    def stop(event):
        begun.append(event.number)
        if event.kind == moment and event.number >= 5:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        search(tmp_path, trials=4, overrides=[CONFIRM], on_event=stop)
    assert all(row.confirmed is None for row in board_of(tmp_path)), "ranked by a part of the stage"
    search(tmp_path, trials=4, resume=True, overrides=[CONFIRM])
    tied = ties_of(study_of(tmp_path).trials)[:3]
    again = confirming(tmp_path)
    assert sorted(t.user_attrs[CONFIRMS] for t in again) == sorted(2 * tied)
    assert {t.state for t in again} == {TrialState.COMPLETE}
    assert board_of(tmp_path)[0].confirmed


def test_a_search_whose_budget_is_used_up_confirms_nothing_until_it_has_more(tmp_path):
    brief = [CONFIRM, "search.budget.hours=0.00001"]
    ending = search(tmp_path, trials=4, overrides=brief)
    assert "budget" in ending.why
    assert not confirming(tmp_path)
    assert (ending.confirm.top, ending.confirm.seeds) == (3, 2)


def test_a_point_whose_new_trainings_fail_is_not_confirmed_and_not_tried_for_ever(tmp_path):
    trouble = tmp_path / "trouble.json"
    trouble.write_text(json.dumps({str(n): "diverge" for n in range(4, 20)}))
    settings = Confirm(top=3, seeds=2)
    brief = [CONFIRM, "search.max_failures=2"]
    ending = search(tmp_path, trials=4, overrides=brief)  # more failures than end a search
    assert ending.why == "complete"
    failed = confirming(tmp_path)
    assert {t.state.name for t in failed} == {"FAIL"}
    assert len(failed) > 2
    assert board_of(tmp_path)[0].confirmed is None
    search(tmp_path, trials=4, resume=True, overrides=brief)
    assert len(confirming(tmp_path)) == len(failed), "a resume alone trains nothing again"
    lines = next_steps(result_of(tmp_path, ending), None)
    advice = [line for line in lines if "are not confirmed" in line]
    assert f"{len(failed)} of their trainings on other seeds failed, t004 with: " in advice[0]
    assert advice[0].endswith("once more: tauopt confirm toy")
    trouble.unlink()
    request_confirmation(study_of(tmp_path), settings)
    search(tmp_path, trials=4, resume=True, overrides=brief)
    assert len(confirming(tmp_path)) == 2 * len(failed)
    assert board_of(tmp_path)[0].confirmed.failed == 2


def test_a_request_that_comes_while_the_search_is_closed_is_met(tmp_path, monkeypatch):
    closes, requests = driver._Driver._close_runs, [Confirm(top=3, seeds=2)]

    def close(self, *args):
        if requests:
            request_confirmation(study_of(tmp_path), requests.pop())
        return closes(self, *args)

    monkeypatch.setattr(driver._Driver, "_close_runs", close)
    ending = search(tmp_path, trials=4)
    assert len(confirming(tmp_path)) >= 4
    assert ending.confirm.seeds == 2
    assert board_of(tmp_path)[0].confirmed
    client, uid = connect(None, output=tmp_path / "out"), study_of(tmp_path).user_attrs[UID]
    places = [e.experiment_id for e in client.search_experiments()]
    runs = [r for r in client.search_runs(places) if r.data.tags["tauopt.uid"].startswith(uid)]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_status_counts_the_stage_before_it_begins_and_while_it_runs(tmp_path):
    seen = []

    def look(event):
        if event.kind in ("started", "complete"):
            seen.append(status("toy", output=tmp_path / "out"))

    search(tmp_path, trials=4, concurrent=1, overrides=[CONFIRM], on_event=look)
    assert seen[1].to_confirm == 6  # at most
    assert "then the best points are confirmed: 6 trainings at most" in status_lines(seen[1])
    points = len({t.user_attrs[CONFIRMS] for t in confirming(tmp_path)})
    begun = [state for state in seen if state.confirming]
    assert (begun[0].confirmed, begun[0].to_confirm) == (0, 2 * points)
    assert f"confirming the best points: 0 of {2 * points} trainings" in status_lines(begun[0])[1]
    assert (seen[-1].confirmed, seen[-1].to_confirm) == (2 * points, 0)


def test_the_time_left_counts_trials_that_are_left_and_whole_trainings_that_confirm():
    def ended(state, seconds):
        begun = datetime(2026, 1, 1)
        return SimpleNamespace(state=state, duration=begun + timedelta(seconds=seconds) - begun)

    different = [ended(TrialState.COMPLETE, 30), ended(TrialState.PRUNED, 10)]
    # Two trials at once took 40 s in 20 s of wall time: three of 20 s and four of 30 s take 90 s.
    assert _seconds_left(different, [], 3, 4, 20.0) == pytest.approx(90.0)
    assert _seconds_left([], [], 3, 4, 20.0) is None


def test_of_several_objectives_the_front_is_confirmed_and_stays_the_order(tmp_path):
    overrides = [CONFIRM, "objective.minimize=parameters"]
    search(tmp_path, trials=6, overrides=overrides)
    board = board_of(tmp_path)
    points = {t.user_attrs[CONFIRMS] for t in confirming(tmp_path)}
    front = [row.number for row in board if row.front == 1]
    assert points == set(front[:3])
    assert [row.front for row in board if row.rank] == sorted(r.front for r in board if r.rank)
    assert all((row.confirmed is not None) == (row.number in points) for row in board)
