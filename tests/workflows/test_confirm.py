"""A real search of a tiny network: its best points confirmed, resuming, warm starts."""

import json

import optuna
import pytest
import yaml
from optuna.trial import TrialState, create_trial
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.load import read_experiment
from tauopt.durable import locked
from tauopt.errors import UsageError
from tauopt.study.control_requests import with_extensions
from tauopt.study.study_storage import open_storage
from tauopt.workflows.control import confirm
from tauopt.workflows.leaderboard import find_study, leaderboard
from tauopt.workflows.search import dry_run, search
from tauopt.workflows.status import status
from tests.workflows.tiny_search import EXPERIMENT, searched


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a finished search."""
    home = tmp_path_factory.mktemp("home")
    with searched(home, candidates=600, experiment=EXPERIMENT):
        yield home


def test_a_finished_search_is_confirmed_and_ranked_by_means(home):
    output = ["-o", str(home / "out")]
    assert all(row.confirmed is None for row in leaderboard("toy", output=home / "out").rows)
    ran = CliRunner().invoke(
        build_app(), ["confirm", "toy", "--top", "1", "--seeds", "3", *output, "--json"]
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    best = found["trials"][0]
    again = [trial for trial in found["trials"] if trial["confirms"] == best["number"]]
    values = [trial["value"] for trial in again]
    assert sorted(best["confirmed"]["values"]) == sorted(values)
    assert len(set(values)) == 3
    assert best["confirmed"]["value"] == pytest.approx(sum(values) / 3)
    losses = {t["run_id"]: t["log_loss"] for t in (best, *again)}
    assert found["best_run_id"] == min(losses, key=losses.get)
    rows = leaderboard("toy", output=home / "out").rows
    assert (rows[0].number, rows[0].confirmed.run_id) == (best["number"], found["best_run_id"])
    assert rows[1].confirmed is None
    shown = CliRunner().invoke(build_app(), ["leaderboard", "toy", *output]).stdout
    assert "other seeds" in shown
    assert f"{rows[0].confirmed.value:.4g}, {rows[0].confirmed.low:.4g} to " in shown
    said = CliRunner().invoke(build_app(), ["confirm", "toy", "--top", "1", *output]).stdout
    assert f"t{best['number']:03d} with a mean of {rows[0].confirmed.value:.4g} (68 %:" in said
    assert f"promote: tauopt promote {found['best_run_id']}" in said
    state = status("toy", output=home / "out")
    assert (state.confirming, state.confirmed, state.asked) == (3, 3, 2)
    assert state.best == rows[0].confirmed.value


def test_a_search_is_extended_and_resumed_by_its_name(home):
    output = ["-o", str(home / "out")]
    extended = CliRunner().invoke(build_app(), ["extend", "toy", "--trials", "3", *output])
    assert extended.exit_code == 0, extended.output
    assert "3 trials in all" in extended.stdout
    assert "go on with: tauopt resume toy" in extended.stdout
    ran = CliRunner().invoke(build_app(), ["resume", "toy", *output, "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["why"] == "all points tried"  # of two choices
    own = [trial["number"] for trial in found["trials"] if trial["confirms"] is None]
    assert sorted(own) == [0, 1]


@pytest.mark.slow
def test_a_warm_start_tries_the_best_points_of_an_earlier_search_first(home):
    ran = CliRunner().invoke(
        build_app(),
        ["search", str(home / "toy.yaml"), "--name", "again", "--warm-start", "toy",
         "--set", "model.units={choice: [2, 8, 16]}", "--set", "training.epochs=1",
         "--trials", "2", "-o", str(home / "out"), "--json"],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert "from toy: 2 points to try first, 0 trials to learn from" in ran.stderr
    assert "training.epochs was 2, is 1 now (in 2 of 2 trials)" in ran.stderr
    found = json.loads(ran.stdout)
    assert {trial["params"]["model.units"] for trial in found["trials"]} <= {2, 8, 16}
    with pytest.raises(UsageError, match="when it begins"):
        search(
            home / "toy.yaml", name="again", output=home / "out", resume=True, warm_start=["toy"]
        )
    with pytest.raises(UsageError, match="no search 'toi' \\(did you mean 'toy'"):
        search(home / "toy.yaml", name="third", output=home / "out", warm_start=["toi"])


def test_a_dry_run_shows_what_a_warm_start_takes_over(home):
    wider = ["model.units={choice: [2, 8, 16]}", "search.trials=5"]
    preview = dry_run(home / "toy.yaml", overrides=wider, output=home / "out", warm_start=["toy"])
    assert preview.warm_start[0] == "from toy: 2 points to try first, 2 trials to learn from"
    assert preview.warm_start[2] == "  learned from: t000, t001"
    board = [row for row in leaderboard("toy", output=home / "out").rows if row.rank]
    best = [row.shown["model.units"] for row in board]
    assert [trial.params["model.units"] for trial in preview.trials[:3]] == [16, *best]
    assert [str(trial) for trial in preview.trials[1:3]] == [
        f"from toy t{row.number:03d}: {row.value:.5g}" for row in board
    ]
    shown = CliRunner().invoke(
        build_app(),
        ["search", str(home / "toy.yaml"), "--set", "training.epochs=1", "--dry-run",
         "--warm-start", "toy", "-o", str(home / "out")],
    )  # fmt: skip
    assert "# warm start\nfrom toy: 2 points to try first, 0 trials to learn from" in shown.stdout
    assert "training.epochs was 2, is 1 now (in 2 of 2 trials)" in shown.stdout
    assert "# trial 1 (from toy t00" in shown.stdout


def test_a_dry_run_refuses_an_unknown_earlier_search(home):
    with pytest.raises(UsageError, match="no search 'toi' \\(did you mean 'toy'"):
        dry_run(home / "toy.yaml", output=home / "out", warm_start=["toi"])


def test_a_dry_run_warns_where_the_dataset_is_not_prepared_yet(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path))  # where no digest of the files is known
    preview = dry_run(home / "toy.yaml", output=home / "out", warm_start=["toy"])
    assert preview.warm_start[-1].endswith("points are tried and nothing is learned from")
    assert not [*tmp_path.iterdir()]


def test_other_data_confirm_nothing(home):
    path = home / "out" / "searches" / "toy" / "experiment.yaml"
    text = path.read_text()
    try:
        settings = yaml.safe_load(text)
        settings["data"]["selection"] = "event_number % 7 != 0"
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        with pytest.raises(UsageError, match=r"begun with something else:(.|\n)*dataset"):
            confirm("toy", seeds=4, output=home / "out")
    finally:
        path.write_text(text)
    confirming = [t for t in leaderboard("toy", output=home / "out").rows if t.confirms is not None]
    assert len(confirming) == 3


def test_other_code_confirms_on_request_only_and_a_refused_request_is_not_kept(home):
    output = ["-o", str(home / "out")]
    study = find_study("toy", output=home / "out")
    was, before = study.user_attrs["tauopt.code"], study.user_attrs["tauopt.confirm"]
    study.set_user_attr("tauopt.code", "0.1.0+old")
    try:
        for verb in (["confirm", "toy", "--top", "1", "--seeds", "4"], ["resume", "toy"]):
            ran = CliRunner().invoke(build_app(), [*verb, *output])
            assert isinstance(ran.exception, UsageError)
            assert "go on all the same with --accept-changes" in str(ran.exception)
        assert find_study("toy", output=home / "out").user_attrs["tauopt.confirm"] == before
        verb = ["confirm", "toy", "--top", "1", "--seeds", "4", "--accept-changes"]
        assert CliRunner().invoke(build_app(), [*verb, *output]).exit_code == 0
    finally:
        study.set_user_attr("tauopt.code", was)
    rows = leaderboard("toy", output=home / "out").rows
    assert len(rows[0].confirmed.values) == 4


def test_a_file_that_gains_a_confirmation_is_the_same_search(home):
    path = home / "toy.yaml"
    assert "confirm" not in path.read_text()
    done = search(
        path,
        overrides=["search.confirm={top: 1, seeds: 4}"],
        name="toy",
        output=home / "out",
        resume=True,
    )
    assert done.best.confirmed


def test_a_search_without_a_complete_trial_confirms_nothing(home):
    output = home / "empty"
    (output / "searches" / "empty").mkdir(parents=True)
    study = optuna.create_study(study_name="empty", storage=open_storage(output))
    study.add_trial(create_trial(state=TrialState.FAIL))
    with pytest.raises(UsageError, match="no trial of empty has completed, so none can be conf"):
        confirm("empty", output=output)


def test_a_search_that_runs_is_asked_to_confirm(home):
    lock = home / "out/searches/toy/lock"
    with locked(lock, what="toy"):
        outcome = confirm("toy", top=2, seeds=3, output=home / "out")
    assert "confirms the best points when its trials have ended" in outcome.told
    settings = read_experiment(home / "toy.yaml").base.search
    asked = with_extensions(settings, find_study("toy", output=home / "out")).confirm
    assert (asked.top, asked.seeds, asked.prefer) == (2, 3, "best")
    with locked(lock, what="toy"):
        confirm("toy", prefer="cheapest", output=home / "out")  # the rest stays as it was
    asked = with_extensions(settings, find_study("toy", output=home / "out")).confirm
    assert (asked.top, asked.seeds, asked.prefer) == (2, 3, "cheapest")
