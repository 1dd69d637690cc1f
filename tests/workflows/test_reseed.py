"""A real search of a tiny network: its best trials with other seeds, resuming, warm starts."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import DataError, UsageError
from tauopt.workflows.leaderboard import leaderboard
from tauopt.workflows.reseed import reseed
from tauopt.workflows.search import dry_run, search
from tests.workflows.tiny_search import EXPERIMENT, searched


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a finished search."""
    home = tmp_path_factory.mktemp("home")
    with searched(home, candidates=600, experiment=EXPERIMENT):
        yield home


def test_the_leaderboard_shows_the_best_trials_spread_over_seeds(home):
    assert all(row.seeds is None for row in leaderboard("toy", output=home / "out").rows)
    ran = CliRunner().invoke(
        build_app(),
        ["reseed", "toy", "--top", "1", "--seeds", "3", "-o", str(home / "out"), "--json"],
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    (spread,) = found["spreads"]
    assert len(spread["values"]) == 3
    assert len(set(spread["values"])) > 1
    assert len(found["best_run_id"]) == 32
    rows = leaderboard("toy", output=home / "out").rows
    assert rows[0].number == spread["number"]
    assert rows[0].seeds.values == tuple(spread["values"])
    assert rows[0].seeds.is_tied
    assert rows[1].seeds is None
    shown = CliRunner().invoke(build_app(), ["leaderboard", "toy", "-o", str(home / "out")]).stdout
    assert "other seeds" in shown
    assert f"{rows[0].seeds} =" in shown
    with pytest.raises(UsageError, match="toy-seeds itself trains points of toy again"):
        reseed("toy-seeds", output=home / "out")


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
    assert {trial["number"] for trial in found["trials"]} == {0, 1}


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
    board = leaderboard("toy", output=home / "out").rows
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


def test_seeds_of_other_data_are_not_compared(home):
    path = home / "out" / "searches" / "toy" / "experiment.yaml"
    text = path.read_text()
    try:
        settings = yaml.safe_load(text)
        settings["data"]["selection"] = "event_number % 7 != 0"
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        with pytest.raises(DataError, match="the data of toy have changed"):
            reseed("toy", output=home / "out")
    finally:
        path.write_text(text)
