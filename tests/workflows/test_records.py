"""Records of a real search of a tiny network: reproduced, synchronised, weights removed."""

import json

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.durable import locked
from tauopt.errors import DataError, LockedError
from tauopt.evaluation.find_trial import find_trial
from tauopt.tracking.client import connect
from tauopt.tracking.replay import RUN, SHIPPED
from tauopt.training.trial_identity import METHOD
from tauopt.workflows.gc import gc
from tauopt.workflows.leaderboard import leaderboard
from tauopt.workflows.promote import promote
from tauopt.workflows.reproduce import reproduce
from tauopt.workflows.sync import sync
from tests.workflows.tiny_search import EXPERIMENT, searched

FOUR = {
    "model": {"type": "dense", "layers": 1, "units": {"choice": [2, 4, 8, 16]}},
    "search": EXPERIMENT["search"] | {"trials": 4},
}


@pytest.fixture(
    scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["here", "ray"]
)
def home(request, tmp_path_factory):
    """A folder with a finished search, trained in this process or by workers of Ray."""
    home = tmp_path_factory.mktemp("home")
    with searched(home, candidates=1500, experiment=EXPERIMENT | FOUR, with_ray=request.param):
        yield home


def best(home):
    return leaderboard("toy", output=home / "out").rows[0]


def invoke(*words, home):
    return CliRunner().invoke(build_app(), [*words, "-o", str(home / "out"), "--json"])


def test_a_trial_is_reproduced_exactly_from_its_record_alone(home):
    ran = invoke("reproduce", best(home).run_id, home=home)
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["outcome"] == "exactly"
    assert found["recorded"] == found["found"] == best(home).value
    assert found["weights_apart"] == 0
    assert found["code"]["then"] == found["code"]["now"]


def test_a_record_with_a_wrong_seed_is_not_reproduced(home):
    """It lacks the training method too, like records from before LSTMs had the right gradient."""
    folder = home / "out" / "searches" / "toy" / f"t{best(home).number:03d}"
    path = folder / "result.json"
    text = path.read_text()
    try:
        changed = json.loads(text) | {"seed": 4711}
        del changed["training_method"]
        path.write_text(json.dumps(changed))
        found = reproduce(str(folder), output=home / "out")
    finally:
        path.write_text(text)
    assert found.method == {"then": 1, "now": METHOD}
    assert found.weights_apart > 0
    assert found.outcome in ("differs", "within tolerance")


def runs_of(home):
    client = connect(None, output=home / "out")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return {run.info.run_name: run for run in client.search_runs(experiments)}


def test_records_on_disk_are_delivered_once(home):
    folder = home / "out" / "searches" / "toy" / "t001"
    shipped = json.loads((folder / SHIPPED).read_text())
    before = runs_of(home)
    (folder / SHIPPED).write_text(json.dumps(shipped | {"end": 0}))
    found = sync(output=home / "out")
    assert (found.runs, found.undelivered) == (1, "")
    assert found.records > 2
    after = runs_of(home)
    assert set(after) == set(before)
    client = connect(None, output=home / "out")
    for name, run in after.items():
        points = client.get_metric_history(run.info.run_id, "auc")
        assert len({point.step for point in points}) == len(points), name
    assert sync(output=home / "out").records == 0


def test_a_running_run_without_a_process_is_killed_by_sync(home):
    folder = home / "out" / "searches" / "toy" / "run"
    wanted = json.loads((folder / RUN).read_text())
    (folder / RUN).write_text(json.dumps(wanted | {"state": "RUNNING"}))
    with locked(home / "out/searches/toy/lock", what="x"):
        assert sync(output=home / "out").busy == ("toy",)
    ran = invoke("sync", home=home)
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["ended"] == ["toy"]
    assert runs_of(home)["toy"].info.status == "KILLED"


def test_weights_outside_the_best_are_removed_only_on_request(home):
    promoted = leaderboard("toy", output=home / "out").rows[2]
    promote(promoted.run_id, output=home / "out", force=True)
    first = gc("toy", keep=1, output=home / "out")
    assert not first.removed
    assert first.kept == {
        f"t{best(home).number:03d}": "rank 1",
        f"t{promoted.number:03d}": "registered as toy version 1",
    }
    assert len(first.items) == 2
    assert all(path.exists() for item in first.items for path in item.files)
    with locked(home / "out/searches/toy/lock", what="x"), pytest.raises(LockedError):
        gc("toy", keep=1, output=home / "out")
    ran = invoke("gc", "toy", "--keep", "1", "--remove", home=home)
    assert ran.exit_code == 0, ran.output
    gone = json.loads(ran.stdout)
    assert gone["bytes"] == first.bytes > 10_000
    assert gc("toy", keep=1, output=home / "out").items == ()
    client = connect(None, output=home / "out")
    for item in first.items:
        assert not any(path.exists() for path in item.files)
        assert "model" not in [file.path for file in client.list_artifacts(item.run_id)]
        assert client.get_run(item.run_id).data.tags["tauopt.collected"]
        with pytest.raises(DataError, match="has no model"):
            find_trial(client, item.run_id, folder=home / "x")
    assert [row.value for row in leaderboard("toy", output=home / "out").rows][:4]
    assert find_trial(client, best(home).run_id, folder=home / "y").sha256
