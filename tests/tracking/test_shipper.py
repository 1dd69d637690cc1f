from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tauopt.tracking import runs
from tauopt.tracking.mlflow_limits import clean
from tauopt.tracking.replay import SHIPPED, ChildRun, Replay, WantedRun
from tauopt.tracking.shipper import Shipper
from tauopt.tracking.spool import SPOOL, SpoolTracker, read_records


class Flaky:
    """A client that passes calls to the real one, and loses replies or is away on demand."""

    def __init__(self, client, *, lose=(), away=False):
        self._client = client
        self.lose = set(lose)
        self.away = away
        self.calls = []

    def __getattr__(self, name):
        real = getattr(self._client, name)

        def call(*args, **kwargs):
            self.calls.append(name)
            if self.away:
                raise ConnectionError("MLflow is away")
            result = real(*args, **kwargs)
            if name in self.lose:
                self.lose.discard(name)
                raise ConnectionError(f"the reply of {name} was lost")
            return result

        return call


def points(client, run_id, key):
    return [(p.step, p.value) for p in client.get_metric_history(run_id, key)]


def child(parent, uid, name="t000-rnn"):
    return ChildRun(parent=parent, name=name, uid=f"{uid}/t000", tags={"tauopt.trial": "0"})


def test_records_reach_a_nested_run_with_params_metrics_tags_and_files(
    client, parent, uid, trial, tmp_path
):
    tracker = SpoolTracker(trial)
    tracker.start(params={"model.cell": "gru", "training.learning_rate": 1e-3})
    for step in (100, 200, 300):
        tracker.metrics({"auc": step / 1000, "rejection@0.75": step}, step=step)
    figure = trial / "roc.json"
    figure.write_text("{}")
    tracker.artifact(figure, folder="figures")
    model = trial / "best.keras"
    model.write_bytes(b"model")
    tracker.artifact(model, folder="model")
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        assert shipper.drain(20)
        run_id = shipper.run_id(f"{uid}/t000")
        assert client.get_run(run_id).info.status == "RUNNING"
        shipper.finish(f"{uid}/t000", "COMPLETE")
        assert shipper.close() is None
        assert shipper.run_id(f"{uid}/t000") == run_id
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.cell": "gru", "training.learning_rate": "0.001"}
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.tags["tauopt.model_path"] == "model/best.keras"
    assert len(run.data.tags["tauopt.model_sha256"]) == 64
    assert points(client, run_id, "auc") == [(100, 0.1), (200, 0.2), (300, 0.3)]
    assert points(client, run_id, "rejection_at_0.75")[-1] == (300, 300.0)
    spooled = [r.time_ms for r in read_records(trial) if r.kind == "metrics"]
    assert [p.timestamp for p in client.get_metric_history(run_id, "auc")] == spooled
    assert [f.path for f in client.list_artifacts(run_id, "figures")] == ["figures/roc.json"]


def test_one_batch_a_report_and_one_call_to_catch_up(client, parent, uid, trial):
    counting = Flaky(client)
    tracker = SpoolTracker(trial)
    for step in range(50):
        tracker.metrics({"auc": 0.5, "loss": 1.0}, step=step)
    replay = Replay(trial, WantedRun(uid=f"{uid}/t000", child=child(parent, uid), state_ms=1))
    trial.mkdir(exist_ok=True)
    replay.ship(counting)
    assert counting.calls.count("log_batch") == 1
    counting.calls.clear()
    tracker.metrics({"auc": 0.6, "loss": 1.0}, step=50)
    replay.ship(counting)
    assert counting.calls == ["log_batch"]
    assert not replay.ship(counting)
    assert counting.calls == ["log_batch"]


def test_resumed_trial_that_repeats_a_report_gives_each_point_once(client, parent, uid, trial):
    first = SpoolTracker(trial)
    first.start(params={"batch_size": 256})
    first.metrics({"auc": 0.5}, step=1)
    first.metrics({"auc": 0.6}, step=2)
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        assert shipper.drain(20)
        run_id = shipper.run_id(f"{uid}/t000")
        time.sleep(0.01)
        again = SpoolTracker(trial)
        again.start(params={"batch_size": 128})
        again.metrics({"auc": 0.6}, step=2)
        again.metrics({"auc": 0.7}, step=3)
    assert points(client, run_id, "auc") == [(1, 0.5), (2, 0.6), (3, 0.7)]
    run = client.get_run(run_id)
    assert run.data.params == {"batch_size": "256"}
    assert run.data.tags["changed.batch_size"] == "128"


def test_a_report_repeated_on_another_node_stays_one_point_when_its_request_fails(
    client, parent, uid, trial
):
    """The second point has the value of the first, which is in MLflow, and another time."""
    tracker = SpoolTracker(trial)
    tracker.metrics({"auc": 0.5}, step=1)
    flaky = Flaky(client)
    replay = Replay(trial, WantedRun(uid=f"{uid}/t000", child=child(parent, uid), state_ms=1))
    replay.ship(flaky)
    time.sleep(0.01)
    tracker.metrics({"auc": 0.5, "loss": 1.0}, step=1)
    flaky.away = True
    with pytest.raises(ConnectionError):
        replay.ship(flaky)
    flaky.away = False
    flaky.lose = {"log_batch"}
    with pytest.raises(ConnectionError):
        replay.ship(flaky)
    replay.ship(flaky)
    assert points(client, replay.run_id, "auc") == [(1, 0.5)]
    assert points(client, replay.run_id, "loss") == [(1, 1.0)]


@pytest.mark.parametrize("call", ["create_run", "log_batch", "log_artifact", "set_terminated"])
def test_lost_reply_doubles_nothing(client, parent, uid, trial, call):
    tracker = SpoolTracker(trial)
    tracker.start(params={"a": 1})
    for step in range(5):
        tracker.metrics({"auc": step}, step=step)
    (trial / "x.json").write_text("{}")
    tracker.artifact(trial / "x.json")
    shipper = Shipper(Flaky(client, lose=[call]), poll_s=0.05)
    shipper.watch(f"{uid}/t000", trial, child(parent, uid))
    shipper.finish(f"{uid}/t000", "PRUNED", "behind at rung 1")
    assert shipper.close(20) is None
    experiment_id = client.get_run(parent).info.experiment_id
    (run,) = runs.with_uid(client, experiment_id, f"{uid}/t000")
    assert run.info.status == "FINISHED"
    assert run.data.tags["tauopt.state"] == "PRUNED"
    assert run.data.tags["tauopt.reason"] == "behind at rung 1"
    assert points(client, run.info.run_id, "auc") == [(s, float(s)) for s in range(5)]


def test_run_that_a_slow_server_made_too_late_is_deleted(client, parent, uid, trial):
    experiment_id = client.get_run(parent).info.experiment_id
    flaky = Flaky(client, away=True)
    with Shipper(flaky, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        SpoolTracker(trial).metrics({"auc": 0.5}, step=1)
        while not shipper.trouble:
            time.sleep(0.02)
        flaky.away = False
        assert shipper.drain(20)
        client.create_run(experiment_id, tags={runs.UID: f"{uid}/t000"})
        shipper.finish(f"{uid}/t000", "COMPLETE")
        assert shipper.drain(20)
        kept = shipper.run_id(f"{uid}/t000")
    assert [run.info.run_id for run in runs.with_uid(client, experiment_id, f"{uid}/t000")] == [
        kept
    ]


def test_away_service_neither_blocks_nor_loses_and_the_next_driver_delivers(
    client, parent, uid, trial, caplog
):
    flaky = Flaky(client, away=True)
    shipper = Shipper(flaky, poll_s=0.05)
    begun = time.monotonic()
    shipper.watch(f"{uid}/t000", trial, child(parent, uid))
    tracker = SpoolTracker(trial)
    for step in range(10):
        tracker.metrics({"auc": step}, step=step)
    shipper.finish(f"{uid}/t000", "KILLED", "Ctrl-C")
    assert time.monotonic() - begun < 1
    assert shipper.run_id(f"{uid}/t000") is None
    with caplog.at_level(logging.WARNING):
        left = shipper.close(1)
    assert (left.records, left.runs) == (11, 1)
    assert "send them with: tauopt sync" in str(left)
    assert "MLflow is away" in str(left)
    assert str(left) in caplog.text

    later = Shipper(client, poll_s=0.05)
    later.deliver(trial)
    assert later.close(20) is None
    run = client.get_run(later.run_id(f"{uid}/t000"))
    assert run.info.status == "KILLED"
    assert len(points(client, run.info.run_id, "auc")) == 10
    again = Shipper(Flaky(client, away=True), poll_s=0.05)
    again.deliver(trial)
    assert again.close(5) is None


def test_in_an_outage_of_ten_minutes_requests_are_rare_and_nothing_is_lost_or_doubled(
    client, parent, uid, trial, monkeypatch
):
    """Pauses, reports and the outage are four hundred times as fast."""
    from tauopt.tracking import shipper as shipping

    monkeypatch.setattr(shipping, "_PAUSE_S", shipping._PAUSE_S / 400)
    monkeypatch.setattr(shipping, "_LONGEST_PAUSE_S", shipping._LONGEST_PAUSE_S / 400)
    flaky = Flaky(client, away=True)
    with Shipper(flaky, poll_s=0.00125) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        tracker = SpoolTracker(trial)
        for step in range(600):
            tracker.metrics({"auc": step / 7}, step=step)
            time.sleep(0.0025)
        assert len(flaky.calls) < 60
        flaky.away = False
        begun = time.monotonic()
        shipper.finish(f"{uid}/t000", "COMPLETE")
        assert shipper.drain(30)
        assert time.monotonic() - begun < 10
        run_id = shipper.run_id(f"{uid}/t000")
    assert len(points(client, run_id, "auc")) == 600


def test_a_clock_that_steps_back_changes_neither_order_nor_the_last_value(
    client, parent, uid, trial, monkeypatch
):
    """Each record, and the end of the run, has a time one hour before that of the last record."""
    from tauopt.tracking import shipper as shipping
    from tauopt.tracking import spool

    hours = itertools.count(400_000, -1)

    def now_ns():
        return next(hours) * 3600 * 10**9

    monkeypatch.setattr(spool, "time", SimpleNamespace(time_ns=now_ns))
    monkeypatch.setattr(shipping, "now_ms", lambda: now_ns() // 10**6)
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        tracker = SpoolTracker(trial)
        for step in (1, 2, 3):
            tracker.metrics({"auc": step / 4}, step=step)
        shipper.finish(f"{uid}/t000", "COMPLETE")
        assert shipper.drain(20)
        run = client.get_run(shipper.run_id(f"{uid}/t000"))
    assert [record.number for record in read_records(trial)] == [1, 2, 3]
    assert sorted(points(client, run.info.run_id, "auc")) == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert run.data.metrics["auc"] == 0.75
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time


def test_resumed_run_is_running_again_and_then_has_its_new_end(client, parent, uid, trial):
    SpoolTracker(trial).metrics({"auc": 0.5}, step=1)
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        shipper.finish(f"{uid}/t000", "KILLED")
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        assert shipper.drain(20)
        run_id = shipper.run_id(f"{uid}/t000")
        assert client.get_run(run_id).info.status == "RUNNING"
        SpoolTracker(trial).metrics({"auc": 0.6}, step=2)
        shipper.finish(f"{uid}/t000", "COMPLETE")
    assert client.get_run(run_id).info.status == "FINISHED"
    assert points(client, run_id, "auc") == [(1, 0.5), (2, 0.6)]


def test_parent_run_ships_like_a_trial(client, parent, uid, tmp_path):
    tracker = SpoolTracker(tmp_path)
    board = tmp_path / "leaderboard.json"
    for text in ("[1]", "[1, 2]"):
        board.write_text(text)
        tracker.artifact(board)
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(uid, tmp_path, parent)
        shipper.finish(uid, "COMPLETE")
    assert client.get_run(parent).info.status == "FINISHED"
    path = client.download_artifacts(parent, "leaderboard.json")
    assert json.loads(Path(path).read_text()) == [1, 2]


def test_artifact_changed_after_it_was_recorded_is_not_logged(client, parent, uid, trial, caplog):
    tracker = SpoolTracker(trial)
    (trial / "x.json").write_text("1")
    tracker.artifact(trial / "x.json")
    (trial / "x.json").write_text("2")
    tracker.metrics({"auc": 0.5}, step=1)
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        assert shipper.drain(20)
        run_id = shipper.run_id(f"{uid}/t000")
    assert "changed since" in caplog.text
    assert client.list_artifacts(run_id) == []
    assert points(client, run_id, "auc") == [(1, 0.5)]


def test_run_deleted_in_mlflow_does_not_stop_other_runs(client, parent, uid, tmp_path, caplog):
    with Shipper(client, poll_s=0.05) as shipper:
        for number in (0, 1):
            shipper.watch(
                f"{uid}/t{number}",
                tmp_path / f"t{number}",
                ChildRun(parent=parent, name=f"t{number}", uid=f"{uid}/t{number}"),
            )
        trackers = [SpoolTracker(tmp_path / f"t{number}") for number in (0, 1)]
        assert shipper.drain(20)
        ids = [shipper.run_id(f"{uid}/t{number}") for number in (0, 1)]
        client.delete_run(ids[0])
        for tracker in trackers:
            tracker.metrics({"auc": 0.5}, step=1)
        assert shipper.drain(20)
    assert "deleted in MLflow" in caplog.text
    assert points(client, ids[1], "auc") == [(1, 0.5)]


def test_damaged_position_only_sends_records_again(client, parent, uid, trial):
    tracker = SpoolTracker(trial)
    for step in range(3):
        tracker.metrics({"auc": step}, step=step)
    for damage in ("", '{"end": 1'):
        if damage:
            (trial / SHIPPED).write_text(damage)
        with Shipper(client, poll_s=0.05) as shipper:
            shipper.watch(f"{uid}/t000", trial, child(parent, uid))
            assert shipper.drain(20)
            run_id = shipper.run_id(f"{uid}/t000")
    assert len(points(client, run_id, "auc")) == 3


def test_torn_line_is_shipped_once_it_is_whole(client, parent, uid, trial):
    SpoolTracker(trial).metrics({"auc": 0.5}, step=1)
    line = (trial / SPOOL).read_bytes().replace(b'"step":1', b'"step":2').replace(b"0.5", b"0.6")
    with Shipper(client, poll_s=0.02) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        with (trial / SPOOL).open("ab", buffering=0) as stream:
            stream.write(line[:30])
            assert shipper.drain(20)
            stream.write(line[30:])
        assert shipper.drain(20)
        run_id = shipper.run_id(f"{uid}/t000")
    assert points(client, run_id, "auc") == [(1, 0.5), (2, 0.6)]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("rejection@0.75", "rejection_at_0.75"),
        ("rejection@0.75/1p", "rejection_at_0.75/1p"),
        ("val_loss", "val_loss"),
        ("/a//b", "a/b"),
        ("../x", "__/x"),
        ("π0", "π0"),
    ],
)
def test_names_are_made_valid_for_mlflow(client, parent, name, cleaned):
    assert clean(name) == cleaned
    client.log_metric(parent, cleaned, 1.0)


_DRIVER = """
import sys, time, pathlib
from tauopt.tracking.client import connect
from tauopt.tracking.replay import ChildRun
from tauopt.tracking.shipper import Shipper
output, trial, parent, uid = sys.argv[1:]
shipper = Shipper(connect(None, output=pathlib.Path(output)), poll_s=0.01)
shipper.watch(uid, pathlib.Path(trial), ChildRun(parent=parent, name="t000", uid=uid))
print("watching", flush=True)
time.sleep(60)
"""


@pytest.mark.service
@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_driver_killed_again_and_again_loses_and_doubles_nothing(
    client, parent, uid, trial, output, monkeypatch, kills
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker, step = SpoolTracker(trial), 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(output), str(trial), parent, f"{uid}/t000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ),
        )
        assert process.stdout.readline() == b"watching\n"
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            tracker.metrics({"auc": step / 7}, step=step)
            step += 1
        process.kill()
        process.wait()
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/t000", trial, child(parent, uid))
        assert shipper.drain(30)
        run_id = shipper.run_id(f"{uid}/t000")
    experiment_id = client.get_run(parent).info.experiment_id
    assert len(runs.with_uid(client, experiment_id, f"{uid}/t000")) == 1
    assert points(client, run_id, "auc") == [(s, s / 7) for s in range(step)]
    assert json.loads((trial / SHIPPED).read_text())["run_id"] == run_id


def test_the_rest_grows_with_the_duration_of_a_round_but_not_while_draining(client):
    with Shipper(client, poll_s=0.5) as shipper:
        assert [shipper._rest_s(round_s) for round_s in (0.01, 1.0, 60.0)] == [0.5, 3.0, 5.0]
        shipper._draining = True
        assert shipper._rest_s(60.0) == 0.5
