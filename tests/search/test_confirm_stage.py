"""The best points of a search are trained again on other seeds, as a stage of the same search."""

import json
import signal

import pytest
from optuna.trial import TrialState

from tauopt.config.settings.experiment import Confirm
from tauopt.errors import Interrupted
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
    assert recommended(board, prefer="cheapest").parameters == min(row.parameters for row in tied)
    assert recommended([]) is None


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
    (tmp_path / "trouble.json").write_text(json.dumps({str(n): "diverge" for n in range(4, 10)}))
    search(tmp_path, trials=4, overrides=["search.confirm={top: 1, seeds: 2}"])
    assert [t.state.name for t in confirming(tmp_path)] == ["FAIL", "FAIL"]
    assert board_of(tmp_path)[0].confirmed is None


def test_of_several_objectives_the_front_is_confirmed_and_stays_the_order(tmp_path):
    overrides = [CONFIRM, "objective.minimize=parameters"]
    search(tmp_path, trials=6, overrides=overrides)
    board = board_of(tmp_path)
    points = {t.user_attrs[CONFIRMS] for t in confirming(tmp_path)}
    front = [row.number for row in board if row.front == 1]
    assert points == set(front[:3])
    assert [row.front for row in board if row.rank] == sorted(r.front for r in board if r.rank)
    assert all((row.confirmed is not None) == (row.number in points) for row in board)
