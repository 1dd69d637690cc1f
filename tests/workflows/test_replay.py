import json

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import UsageError
from tauopt.workflows.replay import replay
from tests.replay.conftest import make_table


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "toy.npz"
    make_table(seeds=2).save(path)
    return path


def test_the_command_plays_every_rule_and_draws_the_regret(path, tmp_path):
    words = ["replay", str(path), "--seeds", "4", "--trials", "10", "--to", str(tmp_path)]
    done = CliRunner().invoke(build_app(), [*words, "--pruner", "median", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    names = [each["name"] for each in result["rules"]]
    assert names[0] == "full trainings, largest of all reports"
    assert names[-2:] == ["racing, confirmed", "pruner median"]
    assert all(each["regret"] >= -1e-6 for each in result["rules"])
    assert result["rules"][0]["full_trainings"] == 10
    assert {"replay.png", "replay.json"} == {file.name for file in tmp_path.iterdir()}
    points = json.loads((tmp_path / "replay.json").read_text())
    assert set(points["rules"]) == set(names)
    assert result["recommended"]["objective"]["maximize"] in (
        "rejection@0.75",
        "rejection@[0.6, 0.9]",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asked": {"objective": "auk"}}, "no curves of 'auk'.*rejection@0.75"),
        ({"asked": {"monitor": "los"}}, "expected one of loss, band, objective.*did you mean"),
        ({"asked": {"pruner": "race"}}, "expected one of racing, asha"),
        ({"judge": "auc"}, "no curves of 'auc'"),
        ({"sample": "12k"}, "begins with '12k'; there are toy-0, toy-1"),
    ],
)
def test_what_a_table_lacks_is_refused_with_what_it_has(path, changes, message):
    with pytest.raises(UsageError, match=message):
        replay(path, seeds=1, **changes)


def test_a_confirmation_needs_points_that_were_trained_several_times(tmp_path):
    make_table().save(tmp_path / "once.npz")
    with pytest.raises(UsageError, match="add --repeated"):
        replay(tmp_path / "once.npz", seeds=1, asked={"top": 3})
    with pytest.raises(UsageError, match="no point of toy was trained several times"):
        replay(tmp_path / "once.npz", seeds=1, repeated=True)
