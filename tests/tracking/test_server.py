"""Faults of a tracking server: a real one behind a proxy that can hang or drop replies."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time

import pytest

from tauopt.errors import ServiceError
from tauopt.tracking import client as door
from tauopt.tracking import runs
from tauopt.tracking.mlflow_pages import pages, save_view
from tauopt.tracking.replay import ChildRun
from tauopt.tracking.server import serving
from tauopt.tracking.shipper import Shipper
from tauopt.tracking.spool import SpoolTracker

pytestmark = pytest.mark.service


class Gate:
    """A proxy before the server: `open`, `hang` (accepts and never answers) or `deaf` (forwards
    requests and drops the replies).
    """

    def __init__(self, port):
        self._target = port
        self.mode = "open"
        self._held = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self._held.append(connection)
        with connection:
            if self.mode == "hang":
                time.sleep(30)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                threading.Thread(target=self._pump, args=(connection, server), daemon=True).start()
                while data := server.recv(65536):
                    if self.mode == "deaf":
                        return
                    connection.sendall(data)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def shut(self, mode):
        """Set the mode, and cut the connections that the client keeps open."""
        self.mode = mode
        for connection in self._held:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._held.clear()

    def close(self):
        self._server.close()


def free_port():
    """Return a free port below the ephemeral range, so that Ray in other tests can't take it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('served')}/mlflow.db"


@pytest.fixture(scope="module")
def server(store):
    port = free_port()
    with serving(store, host="127.0.0.1", port=port):
        yield port


@pytest.fixture
def gate(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    gate = Gate(server)
    yield gate
    gate.close()


def opened(gate, uid):
    client = door.connect(f"http://127.0.0.1:{gate.port}", output=None, wait_s=60)
    parent = runs.open_parent(client, experiment="tau-id", name="demo", uid=uid)
    return client, ChildRun(parent=parent, name="t000-rnn", uid=f"{uid}/t000")


def check_all_there(client, child, steps):
    experiment_id = client.get_run(child.parent).info.experiment_id
    (run,) = runs.with_uid(client, experiment_id, child.uid)
    points = client.get_metric_history(run.info.run_id, "auc")
    assert [(p.step, p.value) for p in points] == [(s, s / 7) for s in range(steps)]
    return run


def test_the_pages_of_the_newest_search_are_of_model_training(server, gate, uid):
    client, child = opened(gate, uid)
    client.log_param(child.parent, "objective", "rejection@0.75, latency_us")
    address = f"http://127.0.0.1:{server}"
    experiment_id = client.get_run(child.parent).info.experiment_id
    top = f"{address}/#/experiments/{experiment_id}/runs"
    assert pages(address) == (f"{top}/{child.parent}?workflowType=machine_learning", "")
    save_view(client, child.parent, ["rejection@0.75", "latency_us"], params=["model.units"])
    runs.open_child(client, parent=child.parent, name=child.name, uid=child.uid)
    assert pages(address) == (
        f"{top}/{child.parent}?workflowType=machine_learning",
        f"{top}?workflowType=machine_learning&viewStateShareKey=tauopt-rejection-0-75",
    )
    client.delete_run(child.parent)


def test_server_takes_each_point_and_file_once(gate, uid, trial):
    client, child = opened(gate, uid)
    tracker = SpoolTracker(trial)
    for step in range(3):
        tracker.metrics({"auc": step / 7}, step=step)
    (trial / "roc.json").write_text("{}")
    tracker.artifact(trial / "roc.json", folder="figures")
    for _ in range(2):  # the second time sends all again, as after a kill before the position
        (trial / "shipped.json").unlink(missing_ok=True)
        with Shipper(client, poll_s=0.05) as shipper:
            shipper.watch(child.uid, trial, child)
            assert shipper.drain(60)
    run = check_all_there(client, child, 3)
    assert [f.path for f in client.list_artifacts(run.info.run_id, "figures")] == [
        "figures/roc.json"
    ]


@pytest.mark.parametrize("mode", ["hang", "deaf"])
def test_nothing_is_lost_or_doubled_when_the_server_hangs_or_its_replies_vanish(
    gate, uid, trial, mode
):
    client, child = opened(gate, uid)
    tracker = SpoolTracker(trial)
    gate.shut(mode)
    shipper = Shipper(client, poll_s=0.05)
    begun = time.monotonic()
    shipper.watch(child.uid, trial, child)
    for step in range(5):
        tracker.metrics({"auc": step / 7}, step=step)
    shipper.finish(child.uid, "COMPLETE")
    assert time.monotonic() - begun < 1
    deadline = time.monotonic() + 60
    while not shipper.trouble and time.monotonic() < deadline:
        time.sleep(0.05)
    assert shipper.trouble
    gate.mode = "open"
    assert shipper.close(120) is None
    assert check_all_there(client, child, 5).info.status == "FINISHED"


def test_taken_port_is_refused_at_once(server, store):
    begun = time.monotonic()
    with pytest.raises(ServiceError, match="--port"), serving(store, host="127.0.0.1", port=server):
        pass
    assert time.monotonic() - begun < 1


@pytest.mark.slow
def test_server_killed_and_started_again_loses_and_doubles_nothing(tmp_path, uid, trial):
    store, port = f"sqlite:///{tmp_path}/mlflow.db", free_port()
    tracker, step = SpoolTracker(trial), 0
    with serving(store, host="127.0.0.1", port=port) as address:
        client = door.connect(address, output=tmp_path)
        parent = runs.open_parent(client, experiment="tau-id", name="demo", uid=uid)
        child = ChildRun(parent=parent, name="t000-rnn", uid=f"{uid}/t000")
        shipper = Shipper(client, poll_s=0.05)
        shipper.watch(child.uid, trial, child)
        writing = threading.Event()

        def write():
            nonlocal step
            while not writing.wait(0.01):
                tracker.metrics({"auc": step / 7}, step=step)
                step += 1

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(3)
    assert step > 50
    time.sleep(5)
    with serving(store, host="127.0.0.1", port=port):
        time.sleep(2)
        writing.set()
        writer.join()
        shipper.finish(child.uid, "COMPLETE")
        assert shipper.close(120) is None
        check_all_there(client, child, step)
