"""One embedded store and one server for all tests of this folder: both are slow to start."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tauopt.tracking import client as door
from tauopt.tracking import runs


@pytest.fixture(scope="session")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="session")
def client(output):
    """A client of the embedded store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return door.connect(None, output=output)


@pytest.fixture
def uid():
    return uuid.uuid4().hex


@pytest.fixture
def parent(client, output, uid):
    """A new parent run for each test."""
    return runs.open_parent(
        client, experiment="tau-id", name="demo", uid=uid, artifacts=output / "mlartifacts"
    )


@pytest.fixture
def trial(tmp_path) -> Path:
    """The folder of a trial."""
    return tmp_path / "t000"
