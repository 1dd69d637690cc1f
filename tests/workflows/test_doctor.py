from __future__ import annotations

import json
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import ServiceError
from tauopt.tracking.self_test import check_closed
from tauopt.workflows import doctor


@pytest.fixture(autouse=True)
def _own_places(monkeypatch, tmp_path):
    for name in ("MLFLOW_TRACKING_URI", "TAUOPT_STORAGE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))


def finding(name, **arguments):
    return doctor._run(name, lambda: getattr(doctor, name)(**arguments))


def test_versions_are_compared_with_the_requirements_of_the_package(monkeypatch):
    assert finding("_versions").status == "ok"
    monkeypatch.setattr(
        "tauopt.tracking.environment.requirements", lambda: ["numpy<1", "nowhere>=2"]
    )
    wrong = finding("_versions")
    assert wrong.status == "failed"
    assert "numpy 2" in wrong.detail
    assert "nowhere missing (expected nowhere>=2)" in wrong.detail


def test_missing_extra_is_a_note_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(doctor._EXTRAS, "onnx", ("nowhere",))
    noted = finding("_extras")
    assert noted.status == "note"
    assert "pip install 'tauopt[" in noted.detail
    assert "onnx" in noted.detail


def test_bytecode_trap_is_noted_only_where_it_costs(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    source = tmp_path / "__init__.py"
    source.write_text("")
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda _: SimpleNamespace(origin=str(source))
    )
    assert finding("_bytecode").status == "note"
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")
    assert finding("_bytecode").status == "ok"


def test_disk_that_is_full_or_can_not_be_written_is_reported(monkeypatch, tmp_path):
    assert finding("_disk", folder=tmp_path / "a" / "b").detail.startswith(str(tmp_path))
    assert not (tmp_path / "a").exists()
    for free, status in ((0.5e9, "failed"), (5e9, "note"), (50e9, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert finding("_disk", folder=tmp_path).status == status

    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    result = finding("_disk", folder=tmp_path)
    assert result.status == "failed"
    assert "Read-only file system" in result.detail
    assert "TAUOPT_CACHE" in result.detail


def test_the_check_of_mlflow_leaves_no_trace(tmp_path):
    output = tmp_path / "output"
    assert finding("_mlflow", output=output).status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_existing_mlflow_store_is_written_and_left_tidy(tmp_path):
    from tauopt.tracking.client import connect

    client = connect(None, output=tmp_path)
    assert finding("_mlflow", output=tmp_path).status == "ok"
    assert [e.name for e in client.search_experiments()] == ["Default"]


def test_mlflow_that_does_not_answer_is_a_failed_service_with_its_address(tmp_path, monkeypatch):
    monkeypatch.setattr("tauopt.tracking.client.WAIT_S", 0.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://u:secret@127.0.0.1:1")
    result = finding("_mlflow", output=tmp_path)
    assert (result.status, result.service) == ("failed", True)
    assert "127.0.0.1:1" in result.detail
    assert "secret" not in result.detail


def test_the_check_of_the_study_storage_leaves_no_trace(tmp_path, monkeypatch):
    assert finding("_storage", output=tmp_path / "output").status == "ok"
    assert not (tmp_path / "output").exists()
    monkeypatch.setenv("TAUOPT_STORAGE", f"sqlite:///{tmp_path}/shared.db")
    assert finding("_storage", output=tmp_path).status == "ok"
    monkeypatch.setenv("TAUOPT_STORAGE", "no address")
    assert finding("_storage", output=tmp_path).status == "failed"


def test_gpus_that_tensorflow_does_not_see_are_reported(monkeypatch):
    assert finding("_tensorflow").status == "ok"
    monkeypatch.setattr(doctor, "_count_gpus", lambda: 2)
    monkeypatch.setattr("tauopt.models.devices.gpus", list)
    result = finding("_tensorflow")
    assert result.status == "failed"
    assert "CUDA_VISIBLE_DEVICES" in result.detail


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_ray_cluster_without_an_answer_is_reported_in_seconds(monkeypatch, no_ray_here, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    result = finding("_ray")
    assert (result.status, result.service) == ("failed", True)
    assert "unset RAY_ADDRESS" in result.detail


def test_broken_part_is_a_finding_rather_than_a_traceback():
    def broken():
        raise ImportError("libcuda.so.1: cannot open shared object file")

    result = doctor._run("TensorFlow", broken)
    assert result.status == "failed"
    assert "libcuda" in result.detail


def slow_checks(monkeypatch, checks):
    """Replace the slow checks by Python programs: name -> source."""
    begin = subprocess.Popen

    def stand_in(command, **arguments):
        program = checks.get(command[3])
        return begin([sys.executable, "-c", program] if program else command, **arguments)

    monkeypatch.setattr(doctor, "_SLOW", tuple(checks))
    monkeypatch.setattr(doctor, "_machine_checks", lambda _: [(n, str) for n in ("quick", *checks)])
    monkeypatch.setattr(doctor.subprocess, "Popen", stand_in)


def test_slow_checks_run_at_once_and_are_waited_for_by_name(monkeypatch, tmp_path):
    meet = """
import pathlib, sys, time
mine, other = pathlib.Path({0!r}), pathlib.Path({1!r})
mine.touch()
while not other.exists():
    time.sleep(0.01)
print('{{"name": "x", "status": "ok", "detail": "met"}}')
"""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    slow_checks(monkeypatch, {"A": meet.format(a, b), "B": meet.format(b, a)})
    waited = []
    findings = list(doctor.diagnose(output=tmp_path, on_wait=waited.append))
    assert [finding.detail for finding in findings] == ["", "met", "met"]
    assert waited[:1] == ["A"]


def test_a_check_whose_process_dies_is_a_finding(monkeypatch, tmp_path):
    slow_checks(monkeypatch, {"A": "import os; os.abort()"})
    result = list(doctor.diagnose(output=tmp_path))[-1]
    assert (result.name, result.status) == ("A", "failed")
    assert "exit code -6; reinstall" in result.detail


def test_checks_that_are_not_waited_for_are_ended(monkeypatch, tmp_path):
    begun = []
    slow_checks(monkeypatch, {"A": "import time; time.sleep(600)"})
    begin = doctor.subprocess.Popen
    monkeypatch.setattr(
        doctor.subprocess, "Popen", lambda *a, **k: begun.append(begin(*a, **k)) or begun[-1]
    )
    findings = doctor.diagnose(output=tmp_path)
    next(findings)
    findings.close()
    assert begun[0].poll() == -15


def test_a_check_in_its_own_process_writes_its_finding_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_SLOW", ("output folder",))
    monkeypatch.setattr(doctor, "_machine_checks", lambda _: [("output folder", str)])
    (result,) = doctor.diagnose(output=tmp_path)
    assert result.name == "output folder"
    assert result.detail.startswith(str(tmp_path))


@pytest.mark.parametrize(("nice", "detail"), [("0", "at the niceness of"), ("15", "niceness=15")])
def test_the_niceness_of_trials_is_reported(monkeypatch, nice, detail):
    monkeypatch.setenv("RAY_worker_niceness", nice)
    monkeypatch.setattr("tauopt.search.self_test.check_ray", lambda: (2.0, 0.0))
    assert detail in finding("_ray").detail


@pytest.mark.parametrize(
    ("error", "code"), [(None, 0), (ServiceError("away"), 4), (ImportError("broken"), 1)]
)
def test_exit_code_tells_a_failed_service_from_a_broken_part(monkeypatch, error, code):
    def check():
        if error:
            raise error
        return "well"

    monkeypatch.setattr(
        doctor,
        "diagnose",
        lambda output, service, on_wait: iter(
            [doctor._run("a", lambda: "b"), doctor._run("c", check)]
        ),
    )
    result = CliRunner().invoke(build_app(), ["doctor", "--json"])
    assert result.exit_code == code
    assert [found["name"] for found in json.loads(result.stdout)] == ["a", "c"]


def test_a_service_is_checked_only_with_all_its_addresses(monkeypatch):
    right = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "TAUOPT_STORAGE": "postgresql+psycopg://optuna@postgres/optuna",
        "RAY_ADDRESS": "ray-head:6379",
    }
    for name, value in right.items():
        monkeypatch.setenv(name, value)
    assert finding("_addresses").status == "ok"
    for name, wrong in (("TAUOPT_STORAGE", "sqlite:///x.db"), ("MLFLOW_TRACKING_URI", "")):
        monkeypatch.setenv(name, wrong)
        result = finding("_addresses")
        assert (result.status, result.service) == ("failed", True)
        assert result.detail.startswith(f"{name}: expected")
        monkeypatch.setenv(name, right[name])


@pytest.fixture
def answering():
    """A server that answers every POST with a status; returns its address."""
    servers = []

    def serve(status):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *words):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()


def test_a_server_without_a_password_is_reported(answering):
    assert "refuses access without a password" in check_closed(answering(401))
    with pytest.raises(ServiceError, match="lets in anybody"):
        check_closed(answering(200))
    with pytest.raises(ServiceError, match="answers 500"):
        check_closed(answering(500))
