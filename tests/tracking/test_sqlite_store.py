"""A store that was moved, copied or mounted elsewhere finds its old artifacts and adds new ones."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tauopt.durable import holders
from tauopt.errors import ServiceError
from tauopt.tracking import client as door
from tauopt.tracking import runs, sqlite_store
from tauopt.tracking.sqlite_store import follow_artifacts


def make(folder, *, names=("tau-id", "data"), location=None):
    """A database with addresses as MLflow writes them, and artifacts beside it."""
    folder.mkdir(parents=True)
    root = folder / "mlartifacts"
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE experiments (artifact_location VARCHAR, name VARCHAR)")
        connection.execute("CREATE TABLE runs (run_uuid VARCHAR, artifact_uri VARCHAR, at BIGINT)")
        connection.execute("CREATE TABLE versions (source VARCHAR, note TEXT)")
        for name in names:
            place = location or (root / name).as_uri()
            connection.execute("INSERT INTO experiments VALUES (?, ?)", (place, name))
            (root / name / "r1" / "artifacts").mkdir(parents=True)
            (root / name / "r1" / "artifacts" / "best.keras").write_text(name)
            run = (f"{place}/r1/artifacts", 7)
            connection.execute("INSERT INTO runs VALUES ('r1', ?, ?)", run)
            version = (str(root / name / "m1"), f"made in {folder}")
            connection.execute("INSERT INTO versions VALUES (?, ?)", version)
    return folder


def read(folder, query):
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return [row[0] for row in connection.execute(query)]


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree], ids=["moved", "copied"])
@pytest.mark.parametrize("name", ["there", "tau täu #1 50%"])
def test_addresses_follow_the_folder(tmp_path, move, name):
    old = make(tmp_path / "täu out" / "a")
    new = tmp_path / name / "b"
    new.parent.mkdir(parents=True)
    move(old, new)
    before = read(old, "SELECT artifact_uri FROM runs") if old.exists() else None
    follow_artifacts(new / "mlflow.db")
    root = new / "mlartifacts"
    expected = [f"{(root / place).as_uri()}/r1/artifacts" for place in ("tau-id", "data")]
    assert read(new, "SELECT artifact_uri FROM runs") == expected
    assert read(new, "SELECT artifact_location FROM experiments")[0] == (root / "tau-id").as_uri()
    assert read(new, "SELECT source FROM versions")[1] == str(root / "data" / "m1")
    assert read(new, "SELECT note FROM versions")[0] == f"made in {old}"
    assert read(new, "SELECT at FROM runs") == [7, 7]
    if before:
        assert read(old, "SELECT artifact_uri FROM runs") == before


def test_files_written_to_the_old_folder_since_are_named_in_a_warning(tmp_path, caplog):
    old = make(tmp_path / "a")
    shutil.move(old, tmp_path / "b")
    (old / "mlartifacts" / "tau-id" / "r2").mkdir(parents=True)
    follow_artifacts(tmp_path / "b" / "mlflow.db")
    assert f"cp -rn {old}/mlartifacts/. {tmp_path}/b/mlartifacts" in caplog.text


@pytest.mark.parametrize("location", ["s3://tau/mlartifacts/x", "mlflow-artifacts:/7",
                                      "file:///data/mlruns/0", "mlruns/0"])  # fmt: skip
def test_addresses_that_are_not_tauopt_s_stay(tmp_path, location, caplog):
    folder = make(tmp_path / "a", names=("x",), location=location)
    follow_artifacts(folder / "mlflow.db")
    assert read(folder, "SELECT artifact_location FROM experiments") == [location]
    assert not caplog.text


def test_a_store_reached_by_another_path_stays_as_it_is(tmp_path, caplog):
    folder = make(tmp_path / "a")
    (tmp_path / "link").symlink_to(folder)
    before = (folder / "mlflow.db").read_bytes()
    follow_artifacts(tmp_path / "link" / "mlflow.db")
    assert (folder / "mlflow.db").read_bytes() == before
    assert not caplog.text


def test_a_database_moved_without_its_artifacts_keeps_their_addresses_and_warns(tmp_path, caplog):
    old = make(tmp_path / "a")
    (tmp_path / "b").mkdir()
    shutil.move(old / "mlflow.db", tmp_path / "b" / "mlflow.db")
    follow_artifacts(tmp_path / "b" / "mlflow.db")
    assert read(tmp_path / "b", "SELECT source FROM versions")[0].startswith(str(old))
    assert f"keeps its artifacts in {old / 'mlartifacts'}, new ones too" in caplog.text


def test_a_missing_or_empty_database_is_left_alone(tmp_path):
    follow_artifacts(tmp_path / "none" / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")):
        follow_artifacts(tmp_path / "mlflow.db")
    assert not (tmp_path / "none").exists()


def test_a_copied_store_reads_and_writes_the_artifacts_of_the_copy(
    client, parent, output, tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    inside = f"mlartifacts/tau-id/{parent}/artifacts"
    (output / inside).mkdir(parents=True)
    (output / inside / "note.txt").write_text("before")
    shutil.copytree(output, tmp_path / "copy")
    moved = door.connect(None, output=tmp_path / "copy")
    runs.log_text(moved, parent, "after", "later.txt")
    assert (tmp_path / "copy" / inside / "later.txt").read_text() == "after"
    assert [file.path for file in moved.list_artifacts(parent)] == ["later.txt", "note.txt"]
    assert [file.name for file in (output / inside).iterdir()] == ["note.txt"]
    assert client.get_run(parent).info.artifact_uri == (output / inside).as_uri()


def test_the_error_of_a_locked_store_names_the_process_that_holds_it(tmp_path, monkeypatch):
    folder = make(tmp_path / "a")
    monkeypatch.setattr(sqlite_store, "_WAIT_S", 0.1)
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder / "mlflow.db")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        assert holders(folder / "mlflow.db") == [f"process {other.pid} (python)"]
        with pytest.raises(ServiceError, match=f"is locked: .*process {other.pid}.*wait for it"):
            door.follow_moved_store(folder / "mlflow.db")
        other.stdin.close()
    door.follow_moved_store(folder / "mlflow.db")


def test_a_locked_store_is_recognised_by_sqlite_s_error_code_and_not_by_the_message():
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    def wrapped(code):
        inner = sqlite3.OperationalError("any words")
        inner.sqlite_errorcode = code
        outer = MlflowException("(sqlite3.OperationalError) any words")
        outer.__cause__ = OperationalError("select", {}, inner)
        return door._connection_error("sqlite:////out/mlflow.db", outer)

    busy_snapshot = sqlite3.SQLITE_BUSY | (2 << 8)
    for code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, busy_snapshot):
        assert "is locked: another program" in str(wrapped(code))
    assert "is locked" not in str(wrapped(sqlite3.SQLITE_CANTOPEN))
