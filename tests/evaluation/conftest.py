"""An MLflow store and a prepared dataset for each test file, isolated from the environment."""

from __future__ import annotations

import pytest

from tauopt.tracking.client import connect
from tauopt.training import latency
from tests.prepared_factory import prepared_dataset
from tests.undrawn import unrendered


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def client(output):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return connect(None, output=output)


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=4000)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Render figures within `rendered` only, and repeat few calls for latencies."""
    with unrendered(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "BUDGET_S", 0.02)
        yield
