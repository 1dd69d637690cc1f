from __future__ import annotations

import threading
import uuid

import pytest

from tauopt.errors import UsageError
from tauopt.tracking import runs
from tauopt.tracking.dataset_input import DatasetInput, log_dataset


def test_opening_twice_gives_the_same_run(client, output, uid):
    def opened():
        return runs.open_parent(
            client, experiment="tau-id", name="demo", uid=uid, note="# Demo",
            artifacts=output / "mlartifacts",
        )  # fmt: skip

    assert opened() == opened()
    run = client.get_run(opened())
    assert run.data.tags[runs.NOTE] == "# Demo"
    assert run.data.tags[runs.UID] == uid


def test_child_is_nested_under_its_parent(client, parent, uid):
    for number in (1, 0):
        runs.open_child(client, parent=parent, name=f"t00{number}-rnn", uid=f"{uid}/t00{number}")
    trials = runs.children(client, parent)
    assert [run.info.run_name for run in trials] == ["t000-rnn", "t001-rnn"]
    assert {run.info.experiment_id for run in trials} == {client.get_run(parent).info.experiment_id}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("COMPLETE", "FINISHED"),
        ("PRUNED", "FINISHED"),
        ("FAIL", "FAILED"),
        ("KILLED", "KILLED"),
        ("STOPPED", "SCHEDULED"),
    ],
)
def test_ended_run_has_its_status_reason_and_time(client, parent, uid, state, status):
    child = runs.open_child(client, parent=parent, name="t000", uid=f"{uid}/t000")
    runs.finish(client, child, state=state, reason="because")
    run = client.get_run(child)
    assert run.info.status == runs.run_status(client, child) == status
    assert run.data.tags["tauopt.state"] == state
    assert run.data.tags["tauopt.reason"] == "because"
    assert run.info.end_time >= run.info.start_time
    assert runs.open_child(client, parent=parent, name="t000", uid=f"{uid}/t000") == child
    assert client.get_run(child).info.status == "RUNNING"
    assert client.get_run(child).data.tags["tauopt.reason"] == ""


def test_experiment_made_by_two_threads_at_once_is_one(client, output):
    name, made = uuid.uuid4().hex, []
    threads = [
        threading.Thread(target=lambda: made.append(runs.experiment_id(client, name)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_deleted_experiment_is_reported_with_the_command_that_restores_it(client, output):
    experiment_id = runs.experiment_id(client, "deleted-one")
    client.delete_experiment(experiment_id)
    with pytest.raises(UsageError, match=f"restore --experiment-id {experiment_id}"):
        runs.experiment_id(client, "deleted-one")


def test_run_is_found_by_the_shortest_unique_prefix(client, parent, uid):
    assert runs.find_run(client, parent).info.run_id == parent
    assert runs.find_run(client, parent[:20]).info.run_id == parent


@pytest.mark.parametrize("prefix", ["zzz", "", "../x", "a b", "a'b", "x" * 65])
def test_an_unknown_or_malformed_run_id_is_a_usage_error(client, parent, prefix):
    with pytest.raises(UsageError, match="run id"):
        runs.find_run(client, prefix)


def test_ambiguous_prefix_names_the_candidates(client, parent, uid):
    for number in range(17):  # more than there are first letters
        runs.open_child(client, parent=parent, name=f"t{number:03d}", uid=f"{uid}/t{number}")
    ids = [run.info.run_id for run in runs.children(client, parent)]
    first = max("0123456789abcdef", key=lambda letter: sum(i.startswith(letter) for i in ids))
    with pytest.raises(UsageError, match=r"ambiguous: .*t0\d\d"):
        runs.find_run(client, first)


def test_dataset_is_an_input_of_the_run_once(client, parent):
    data = DatasetInput(
        name="demo",
        digest="ab" * 32,
        folder="prepared/demo",
        profile={"train candidates": 1000},
        features=["candidate.pt", "tracks.pt"],
    )
    for _ in range(2):
        log_dataset(client, parent, data)
    (logged,) = client.get_run(parent).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("demo", "ab" * 8)
    assert logged.tags[0].value == "training"


def test_malformed_uid_is_refused(client):
    with pytest.raises(UsageError, match="uid"):
        runs.open_parent(client, experiment="tau-id", name="x", uid="a' OR '1'='1")


def test_a_deleted_run_or_experiment_is_reported_with_the_command_that_restores_it(client, uid):
    experiment_id = client.create_experiment(f"gone-{uid}")
    run_id = client.create_run(experiment_id, run_name="t003-rnn").info.run_id
    client.delete_run(run_id)
    command = f"MLFLOW_TRACKING_URI={client.tracking_uri} mlflow"
    for given in (run_id, run_id[:12]):
        with pytest.raises(UsageError) as caught:
            runs.find_run(client, given)
        assert f"run {run_id} (t003-rnn) was deleted in MLflow; bring it back" in str(caught.value)
        assert str(caught.value).endswith(f"{command} runs restore --run-id {run_id}")
    client.restore_run(run_id)
    assert runs.find_run(client, run_id[:12]).info.run_id == run_id
    client.delete_experiment(experiment_id)
    with pytest.raises(UsageError) as caught:
        runs.find_run(client, run_id)
    assert f"with its experiment 'gone-{uid}'" in str(caught.value)
    assert str(caught.value).endswith(
        f"{command} experiments restore --experiment-id {experiment_id}"
    )
    with pytest.raises(UsageError) as caught:
        runs.experiment_id(client, f"gone-{uid}")
    assert f"{command} experiments restore --experiment-id {experiment_id}" in str(caught.value)


def test_a_run_that_never_existed_is_not_reported_as_deleted(client):
    with pytest.raises(UsageError, match="no run id begins with 'ffff0000ffff'"):
        runs.find_run(client, "ffff0000ffff")
