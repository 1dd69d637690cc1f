"""A real search for the largest value of a user's own function, up to its champion."""

import json

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import ConfigError
from tauopt.study.provenance import differences, from_attributes
from tauopt.workflows.leaderboard import find_study, leaderboard
from tauopt.workflows.promote import promote
from tauopt.workflows.search import dry_run, search
from tauopt.workflows.train import train
from tests.workflows.tiny_search import EXPERIMENT, searched

PUNZI = "tests.metrics.own_metrics:punzi"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    experiment = {**EXPERIMENT, "objective": {"maximize": [PUNZI]}}
    with searched(home, candidates=900, experiment=experiment):
        yield home


def test_trials_have_values_and_errors_of_the_function_and_one_becomes_the_champion(home):
    board = leaderboard("toy", output=home / "out").rows
    assert all(0 < row.low < row.value < row.high for row in board)
    verdict = promote(board[0].run_id, output=home / "out")
    assert verdict.promoted
    assert verdict.objective == PUNZI
    value, low, high = verdict.test[PUNZI]
    assert 0 < low < value < high
    assert verdict.splits_sentence.startswith(f"{PUNZI}: ")
    shown = CliRunner().invoke(
        build_app(), ["leaderboard", "toy", "-o", str(home / "out"), "--json"]
    )
    assert json.loads(shown.stdout)["objectives"][0]["name"] == PUNZI


@pytest.mark.parametrize(
    ("begin", "name", "message"),
    [
        (search, "raising", "raised IndexError"),
        (search, "not_finite", "returned nan for 2000 candidates"),
        (dry_run, "an_array", r"returned an array of shape \(2000,\)"),
        (train, "missing", "has no 'missing'"),
    ],
)
def test_a_wrong_function_is_an_error_with_its_place_before_the_first_trial(
    home, tmp_path, begin, name, message
):
    overrides = [f"objective.maximize=tests.metrics.own_metrics:{name}"]
    fixed = {"overrides": [*overrides, "model.units=4"]} if begin is train else {}
    with pytest.raises(ConfigError, match=message) as caught:
        begin(home / "toy.yaml", **({"overrides": overrides} | fixed), output=tmp_path)
    assert "objective.maximize" in str(caught.value)
    assert not [*tmp_path.rglob("trial.json")]


def test_a_search_notices_that_the_function_changed(home):
    before = from_attributes(find_study("toy", output=home / "out").user_attrs)
    assert len(before.own_objectives) == 16
    now = type(before)(**{**before.__dict__, "own_objectives": "0" * 16})
    assert differences(before, now) == [
        "the source of an objective changed: values of earlier trials are of another"
    ]
