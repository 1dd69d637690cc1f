import json

import pytest

from tauopt.config.load import read_experiment
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.durable import locked
from tauopt.errors import ConfigError, UsageError
from tauopt.study.open_study import TRIALS, start_study
from tauopt.study.search_setup import LOCK
from tauopt.study.study_storage import open_storage
from tauopt.study.trial_queue import TrialQueue
from tauopt.workflows.leaderboard import leaderboard
from tauopt.workflows.search import dry_run, reports_of, resume_command, search
from tauopt.workflows.status import status
from tests.ntuples_factory import columns, write
from tests.prepared_factory import prepared_dataset
from tests.search.searches import make_setup, write_experiment


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def studied(tmp_path):
    """A study of 4 trials, without Ray: one best, one worse, one pruned, one cut short."""
    order = make_setup(tmp_path)
    study = start_study(
        open_storage(order.output),
        "toy",
        origin=order.origin,
        folder=order.folder,
        objective=order.file.base.objective,
        space=order.file.space,
        resume=False,
    )
    study.enqueue_trial(order.file.defaults())
    study.set_user_attr(TRIALS, 4)
    trials = TrialQueue(study, order.file.base.search, space=order.file.space)
    for number in range(4):
        trials.next_trial()
        folder = order.folder / f"t{number:03d}"
        folder.mkdir(parents=True)
        result = {"objective": "auc", "metrics": {"auc": [0.7, 0.69, 0.71]}}
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "shipped.json").write_text(json.dumps({"run_id": f"run{number}"}))
    trials.complete(0, 1, 0.6, best=0.6)
    trials.complete(1, 1, 0.7, best=0.7)
    trials.report(2, 1, 0.65)
    trials.report(2, 2, 0.625)
    trials.prune(2)
    trials.report(3, 2, 0.5)
    return order


def test_the_leaderboard_ranks_complete_trials_with_their_errors(studied):
    board = leaderboard("toy", output=studied.output)
    assert [(row.rank, row.number, row.state) for row in board.rows] == [
        (1, 1, "COMPLETE"), (2, 0, "COMPLETE"), (0, 3, "INTERRUPTED"), (0, 2, "PRUNED"),
    ]  # fmt: skip
    assert (board.rows[0].value, board.rows[0].low, board.rows[0].high) == (0.7, 0.69, 0.71)
    assert board.rows[0].run_id == "run1"
    assert [goal.name for goal in board.goals] == ["auc"]
    assert board.rows[3].low is None
    assert set(board.varying) == {"model.units", "training.learning_rate"}


def test_the_leaderboard_shows_stopped_trials_at_their_last_report_not_at_their_luckiest(studied):
    pruned = leaderboard("toy", output=studied.output).rows[3]
    assert (pruned.value, pruned.best_report, pruned.reports) == (0.625, 2, 2)
    assert pruned.state_in_words == "pruned 2"


@pytest.fixture
def several(tmp_path):
    """A study of two objectives: three complete trials, two of them on the front."""
    order = make_setup(tmp_path, overrides=["objective.minimize=latency_us"])
    study = start_study(
        open_storage(order.output),
        "toy",
        origin=order.origin,
        folder=order.folder,
        objective=order.file.base.objective,
        space=order.file.space,
        resume=False,
    )
    study.enqueue_trial(order.file.defaults())
    trials = TrialQueue(study, order.file.base.search, space=order.file.space)
    for number, (value, cost) in enumerate([(0.6, 300.0), (0.5, 200.0), (0.7, 250.0)]):
        trials.next_trial()
        folder = order.folder / f"t{number:03d}"
        folder.mkdir(parents=True)
        result = {
            "objective": "auc",
            "metrics": {"auc": [value, value - 0.01, value + 0.01]},
            "latencies": {"latency_us": [cost, cost - 5, cost + 9]},
        }
        (folder / "result.json").write_text(json.dumps(result))
        trials.complete(number, 1, value, best=value, others=(cost,))
    trials.next_trial()
    trials.report(3, 1, 0.9)
    return order


def test_several_objectives_are_ranked_by_front_and_then_by_the_first(several):
    board = leaderboard(output=several.output)
    assert [(r.rank, r.front, r.number) for r in board.rows] == [
        (1, 1, 2), (2, 1, 1), (3, 2, 0), (0, 0, 3),
    ]  # fmt: skip
    best, running = board.rows[0], board.rows[3]
    assert (best.value, best.low, best.high) == (0.7, 0.69, 0.71)
    assert best.others == {"latency_us": (250.0, 245.0, 259.0)}
    assert running.others == {}
    assert [goal._asdict() for goal in board.goals] == [
        {"name": "auc", "direction": "maximize"},
        {"name": "latency_us", "direction": "minimize"},
    ]


def test_status_of_several_objectives_has_the_best_of_the_first_and_the_front(several):
    current = status(output=several.output)
    assert (current.objectives, current.best, current.front) == (("auc", "latency_us"), 0.7, 2)
    assert [(t.number, t.value) for t in current.interrupted] == [(3, 0.9)]


def test_the_latest_search_is_the_default(studied):
    assert leaderboard(output=studied.output).name == "toy"
    with pytest.raises(UsageError, match="did you mean 'toy'"):
        leaderboard("toyy", output=studied.output)


def test_status_has_the_running_trials_and_the_holder(studied):
    with locked(studied.folder / LOCK, what="toy"):
        current = status(output=studied.output)
        assert leaderboard(output=studied.output).rows[2].state_in_words == "running 2"
    assert current.counts == {"COMPLETE": 2, "PRUNED": 1, "RUNNING": 1}
    assert (current.asked, current.best) == (4, 0.7)
    assert current.holder.startswith("process")
    assert [(t.number, t.report, t.value) for t in current.running] == [(3, 2, 0.5)]
    assert not current.interrupted


def test_running_trials_without_a_process_are_interrupted(studied):
    current = status(output=studied.output)
    assert current.counts == {"COMPLETE": 2, "PRUNED": 1, "INTERRUPTED": 1}
    assert not current.holder
    assert not current.running
    assert [(t.number, t.report, t.value) for t in current.interrupted] == [(3, 2, 0.5)]


def test_a_search_whose_folder_is_elsewhere_is_not_called_interrupted(studied):
    studied.folder.rename(studied.output / "elsewhere")
    current = status(output=studied.output)
    assert current.is_elsewhere
    assert current.counts["RUNNING"] == 1


def test_an_existing_name_is_refused_before_any_work(studied, tmp_path):
    with pytest.raises(UsageError, match="--resume"):
        search(write_experiment(tmp_path), output=studied.output)


def test_an_unknown_search_is_not_resumed_and_the_nearest_is_named(studied, tmp_path):
    with pytest.raises(UsageError, match=r"no search 'tooy'.*toy"):
        search(write_experiment(tmp_path), output=studied.output, name="tooy", resume=True)


def test_an_experiment_without_ranges_is_refused_with_the_train_command(tmp_path):
    fixed = ["model.units=8", "training.learning_rate=0.001"]
    with pytest.raises(UsageError, match="tauopt train"):
        search(write_experiment(tmp_path), overrides=fixed, output=tmp_path)
    assert not (tmp_path / "studies.db").exists()


def test_a_wrong_file_writes_nothing(tmp_path):
    with pytest.raises(ConfigError):
        search(write_experiment(tmp_path), overrides=["model.unitz=8"], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_number_of_reports_is_that_of_the_longest_trial(tmp_path):
    dataset = open_dataset(prepared_dataset(tmp_path, candidates=1000))
    path = write_experiment(tmp_path, epochs=4)
    assert reports_of(read_experiment(path), dataset) == 4
    longer = read_experiment(path, overrides=["training.epochs={int: [2, 6]}"])
    assert reports_of(longer, dataset) == 6
    kept = dataset.train.candidates
    often = read_experiment(path, overrides=[f"training.report_every={kept // 3 + 1}"])
    assert reports_of(often, dataset) == 12


def test_the_resume_command_has_all_options(tmp_path):
    command = resume_command(
        "my file.yaml", overrides=["search.trials=9"], name="toy", output=tmp_path
    )
    expected = (
        f"tauopt search 'my file.yaml' --resume --name toy --set search.trials=9 -o {tmp_path}"
    )
    assert command == expected


def test_a_dry_run_previews_the_search_and_writes_nothing(tmp_path):
    content = {**columns(900), "c": columns(900)["is_tau"]}
    path = write_experiment(tmp_path)
    for name in ("cent_frac", "et_over_pt_lead_trk", "dr_max", "sum_pt_trk_frac", "pt_jet_seed",
                 "n_tracks", "mass_trk_sys", "mu"):  # fmt: skip
        content[name] = content["pt"]
    content["c"] = content["event_number"].astype("int32") // 7 % 6
    write(tmp_path / "a.root", content)
    before = sorted(tmp_path.rglob("*"))
    preview = dry_run(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert "event_number" in preview.branches
    assert sum(sum(counts.values()) for counts in preview.counts.values()) == 900
    assert preview.trials[0].params == {"model.units": 16, "training.learning_rate": 0.001}
    assert str(preview.trials[0]) == (
        "the literature's values; moved into the ranges: model.units 64 -> 16"
    )
    assert [str(trial) for trial in preview.trials[1:]] == ["sampled"] * 3
    assert len({json.dumps(trial.params) for trial in preview.trials}) == 4
    assert preview.parameters == (7 * 16 + 16) + (16 + 1)
    assert "Total params" in preview.summary


def test_a_model_group_that_the_dataset_lacks_is_named(tmp_path):
    path = write_experiment(tmp_path)
    text = path.read_text().replace("type: dense\n  layers: 1\n", "type: rnn\n").replace(
        "units: {int: [4, 16], log: true}", "groups: {tracks: {units: {int: [4, 16]}}}"
    )  # fmt: skip
    path.write_text(text)
    with pytest.raises(ConfigError, match="tracks"):
        dry_run(path)
