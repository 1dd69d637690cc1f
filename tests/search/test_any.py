"""Several architectures in one study: a trial has only the parameters of its own."""

import io
import json

import optuna
import pytest

from tauopt.cli.leaderboard_table import board_table
from tauopt.cli.live_display import View
from tauopt.config.load import read_experiment
from tauopt.config.settings.experiment import Sampler, Search
from tauopt.config.settings.ranges import is_active
from tauopt.config.space.any_architecture import TYPE
from tauopt.errors import UsageError
from tauopt.search.driver import run_search
from tauopt.study.leaderboard_rows import rows, varying
from tauopt.study.mlflow_notes import table
from tauopt.study.open_study import goals_of, open_study
from tauopt.study.search_events import SearchEvent
from tauopt.study.starting_points import first_trials
from tauopt.study.study_storage import open_storage
from tauopt.study.trial_queue import TrialQueue
from tauopt.training.trial_plan import read_plan, trial_folder
from tests.prepared_factory import prepared_dataset
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup, write_experiment
from tests.search.test_driver import runs_of
from tests.search.without_ray import without_ray

ANY = """model={any: {
 dense: {layers: {int: [1, 2]}, units: {int: [4, 16], log: true}},
 rnn: {cell: {choice: [lstm, gru]}, groups: {tracks: {length: {int: [2, 5]}, units: 4}}}}}"""
GROUP = "data.groups={tracks: {features: {pt: {}, d0: {}, z0_sin_theta: {}, d_eta: {}, d_phi: {}}}}"
CLIP = "training.clip_norm={float: [1.0, 5.0], when: {model.type: rnn}}"
ALL = (ANY.replace("\n", ""), GROUP, CLIP)


def file_of(folder, *overrides):
    return read_experiment(write_experiment(folder), overrides=[*ALL, *overrides])


def sampled(file, sampler, trials):
    study = optuna.create_study(direction="maximize")
    for point in file.starts():
        study.enqueue_trial(point)
    settings = Search(trials=trials, sampler=Sampler(type=sampler, seed=1, startup=4))
    queue = TrialQueue(study, settings, space=file.space)
    while (proposal := queue.next_trial()) is not None:
        value = proposal.params["training.learning_rate"]
        value += {"dense": 0.0, "rnn": 1.0}[proposal.params[TYPE]]
        queue.complete(proposal.number, 1, value, best=value)
    return study.trials


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "qmc", "gp"])
def test_a_trial_has_the_parameters_of_its_architecture_and_no_others(tmp_path, sampler):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    if sampler == "gp":
        pytest.importorskip("torch")
    file = file_of(tmp_path)
    trials = sampled(file, sampler, 16)
    assert {t.params[TYPE] for t in trials[2:]} == {"dense", "rnn"}
    for trial in trials:
        active = {path for path, range_ in file.space.items() if is_active(range_, trial.params)}
        assert set(trial.params) == active
        assert file.resolve(trial.params).model.type == trial.params[TYPE]


def test_tpe_prefers_the_better_architecture(tmp_path):
    chosen = [t.params[TYPE] for t in sampled(file_of(tmp_path), "tpe", 30)[10:]]
    assert chosen.count("rnn") > 2 * chosen.count("dense")


def test_the_preview_begins_with_the_defaults_of_each(tmp_path):
    file = file_of(tmp_path)
    first, second, *others = first_trials(file, count=3)
    assert [first.params, second.params] == file.starts()
    assert [point.origin for point in (first, second)] == ["literature"] * 2
    assert [point.origin for point in others] == ["sampled"] * 2  # of four trials in all


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    store = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAUOPT_STORAGE", raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
        yield


@pytest.fixture(scope="module")
def searched(services, tmp_path_factory):
    """A search of 6 trials with a worker that does not train, in two parts.

    The first part has fewer trials than architectures.
    """
    folder = tmp_path_factory.mktemp("any")
    for trials, resume in ((1, False), (6, True)):
        setup = make_setup(folder, trials=trials, overrides=ALL, resume=resume)
        with without_ray():
            ending = run_search(setup, worker=FakeWorker)
    return folder, setup, ending


def test_more_trials_than_before_begin_with_the_architectures_not_tried_yet(searched):
    _, setup, ending = searched
    assert [trial.params for trial in ending.trials[:2]] == setup.file.starts()
    assert [trial.state.name for trial in ending.trials] == ["COMPLETE"] * 6


def test_runs_are_named_by_their_own_architecture_and_have_its_parameters(searched):
    folder, _, ending = searched
    runs = runs_of(folder)
    types = {t.number: t.params[TYPE] for t in ending.trials}
    assert {0: "dense", 1: "rnn"}.items() <= types.items()
    assert set(runs) == {"toy", *(f"t{n:03d}-{type_}" for n, type_ in types.items())}
    assert runs["toy"].data.params["model"] == "dense or rnn"
    params = runs["t001-rnn"].data.params
    assert params[TYPE] == "rnn"
    assert "model.rnn.cell" in params
    assert not any(path.startswith("model.dense.") for path in params)


def test_plans_are_ordinary_experiments_of_one_architecture(searched):
    _, setup, ending = searched
    for trial in ending.trials:
        plan = read_plan(trial_folder(setup.folder, trial.number))
        resolved = setup.file.resolve(trial.params)
        assert plan.experiment.model == resolved.model
        assert plan.experiment.training == resolved.training
        assert plan.name == f"t{trial.number:03d}-{trial.params[TYPE]}"


def test_tables_have_one_column_for_what_several_architectures_have(searched):
    folder, setup, ending = searched
    study = open_study(open_storage(folder / "out"), "toy")
    goals = goals_of(study)
    board = rows(ending.trials, setup.folder, goals=goals)
    assert varying(board)[:2] == [TYPE, "training.learning_rate"]
    assert not any(path.startswith(("model.rnn.", "model.dense.")) for path in varying(board))
    for row, shown in zip(board, table(board, goals), strict=True):
        type_ = row.params[TYPE]
        assert shown[TYPE] == type_
        assert shown.get("model.cell", "") == row.params.get("model.rnn.cell", "")
    stream = io.StringIO()
    from rich.console import Console

    Console(file=stream, width=200).print(board_table(board, goals, title="search toy", width=200))
    assert " type " in stream.getvalue()
    assert json.loads((setup.folder / "leaderboard.json").read_text())[0]["params"][TYPE]


def test_a_search_is_not_continued_with_another_architecture(searched):
    folder, _, _ = searched
    changed = [*ALL, "model.any.dense.activation=swish"]
    with pytest.raises(UsageError, match="the experiment file changed"):
        run_search(make_setup(folder, trials=8, overrides=changed, resume=True), worker=FakeWorker)
    more = [*ALL, "model.any.decay_mode_rnn={groups: {tracks: {length: 3}}}"]
    setup = make_setup(folder, trials=8, overrides=more, resume=True, accept_changes=True)
    with pytest.raises(UsageError, match=r"model\.type changed its kind or its choices"):
        run_search(setup, worker=FakeWorker)


def test_the_live_table_names_settings_without_their_architecture():
    view = View(2)
    view.take(SearchEvent("started", 0, {TYPE: "rnn", "model.rnn.groups.tracks.units": 8}))
    assert view._trials[0].params == "type=rnn tracks.units=8"


@pytest.mark.slow
def test_both_architectures_are_trained_and_judged_together(services, tmp_path):
    setup = make_setup(
        tmp_path, trials=2, epochs=1, overrides=ALL,
        dataset=prepared_dataset(tmp_path, candidates=400, groups=["tracks"]),
    )  # fmt: skip
    ending = run_search(setup)
    assert [t.state.name for t in ending.trials] == ["COMPLETE"] * 2
    assert [t.params[TYPE] for t in ending.trials] == ["dense", "rnn"]
    for trial in ending.trials:
        assert (trial_folder(setup.folder, trial.number) / "result.json").exists()
