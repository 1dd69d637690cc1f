from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tauopt.errors import ServiceError, UsageError
from tauopt.tracking import client as door
from tauopt.tracking.sqlite_store import is_current, newest_revisions


@pytest.fixture(autouse=True)
def _no_address(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_store_is_embedded_unless_an_address_is_given(tmp_path, monkeypatch):
    embedded = f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    assert door.store_uri(None, output=tmp_path) == embedded
    assert door.artifact_folder(embedded) == tmp_path.resolve() / "mlartifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert door.store_uri(None, output=tmp_path) == "http://mlflow:5000"
    assert door.store_uri("http://other", output=tmp_path) == "http://other"
    assert door.artifact_folder("http://mlflow:5000") is None


def test_password_is_never_shown():
    assert door.shown("postgresql://u:secret@db:5432/x") == "postgresql://u:***@db:5432/x"
    with pytest.raises(ServiceError) as caught:
        door.connect("http://u:secret@127.0.0.1:1", output=None, wait_s=0)
    assert "secret" not in str(caught.value)


def test_environment_variables_of_the_user_stay(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    door.set_environment()
    import os

    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_missing_server_is_reported_within_the_time_limit(tmp_path):
    begun = time.monotonic()
    with pytest.raises(ServiceError, match=r"http://127.0.0.1:1 .*Connection refused.*start it"):
        door.connect("http://127.0.0.1:1", output=tmp_path, wait_s=1)
    assert time.monotonic() - begun < 5


def test_server_that_never_answers_is_reported_within_the_time_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        with pytest.raises(ServiceError, match="does not answer"):
            door.connect(f"http://127.0.0.1:{server.getsockname()[1]}", output=tmp_path, wait_s=0.1)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (403, "Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
        (401, "who are you", "MLFLOW_TRACKING_USERNAME"),
        (403, '{"error_code": "PERMISSION_DENIED", "message": "no"}', "MLFLOW_TRACKING_TOKEN"),
    ],
)
def test_refusing_server_is_reported_at_once_with_the_remedy(tmp_path, status, body, remedy):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with pytest.raises(ServiceError, match=remedy):
            door.connect(f"http://127.0.0.1:{server.server_port}", output=tmp_path)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("address", ["file:///tmp/mlruns", "/tmp/mlruns", "bogus://x"])
def test_address_of_an_unknown_kind_is_a_usage_error(tmp_path, address):
    with pytest.raises(UsageError, match="expected http://"):
        door.connect(address, output=tmp_path)


@pytest.fixture
def store(client, output, tmp_path):
    """A copy of a whole store."""
    shutil.copy(output / "mlflow.db", tmp_path / "mlflow.db")
    return tmp_path


def _set_revision(folder, revision):
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_older_schema_is_refused_untouched_with_the_command_that_migrates(store):
    _set_revision(store, "451aebb31d03")
    with sqlite3.connect(store / "mlflow.db") as connection:
        # MLflow itself would migrate a store without its newest tables at once.
        connection.execute("DROP TABLE logged_model_tags")
    connection.close()
    before = (store / "mlflow.db").read_bytes()
    with pytest.raises(ServiceError, match=r"back it up \(cp .*mlflow db upgrade sqlite:///"):
        door.connect(None, output=store)
    assert (store / "mlflow.db").read_bytes() == before


def test_the_newest_schema_is_known_without_importing_mlflow(store):
    from mlflow.store.db.utils import _get_latest_schema_revision

    assert newest_revisions() == [_get_latest_schema_revision()]
    assert is_current(store / "mlflow.db")
    _set_revision(store, "451aebb31d03")
    assert not is_current(store / "mlflow.db")
    (store / "no.db").write_text("no database")
    assert not is_current(store / "no.db")


def test_newer_schema_is_refused(store):
    _set_revision(store, "fedcba987654")
    with pytest.raises(ServiceError, match="newer MLflow"):
        door.connect(None, output=store)


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ServiceError, match="no intact SQLite database"):
        door.connect(None, output=tmp_path)


def test_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="choose another output folder"):
        door.connect(None, output=tmp_path / "file" / "output")


_CREATE = """
import sys, pathlib
from tauopt.tracking import client, runs
output = pathlib.Path(sys.argv[1])
c = client.connect(None, output=output)
print(runs.experiment_id(c, "tau-id", artifacts=output / "mlartifacts"))
"""


@pytest.mark.slow  # each process imports MLflow
def test_several_processes_create_the_store_and_the_experiment_at_once(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CREATE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=240)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == {"1"}
