"""A trial from MLflow: a missing part has the same exit code in every command."""

from types import SimpleNamespace

import pytest

from tauopt.errors import CorruptError, DataError, PromotionRefused
from tauopt.evaluation import find_trial, recorded_trial
from tauopt.tracking.registry import has_model, run_or_none
from tauopt.tracking.replay import MODEL_PATH, MODEL_SHA256

TAGS = {MODEL_SHA256: "0" * 64, MODEL_PATH: "model/best.keras", "tauopt.state": "COMPLETE"}


def made(tags, artifacts="file:///nowhere"):
    info = SimpleNamespace(
        run_id="a" * 32, run_name="t000", end_time=1, status="FINISHED", artifact_uri=artifacts
    )
    return SimpleNamespace(info=info, data=SimpleNamespace(tags=tags))


@pytest.fixture
def client(tmp_path):
    return SimpleNamespace(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


def test_a_model_whose_file_is_gone_is_missing_data_and_no_verdict(client, tmp_path):
    run = made(TAGS, (tmp_path / "artifacts").as_uri())
    with pytest.raises(DataError, match=r"can't be fetched from .*best\.keras.*backup") as caught:
        recorded_trial.fetch_trial(client, run, folder=tmp_path / "got")
    assert caught.value.exit_code == 3
    assert "a search's own run" not in str(caught.value)


@pytest.mark.parametrize("missing", [MODEL_SHA256, MODEL_PATH])
def test_a_run_that_never_had_a_model_is_refused_with_the_hint(client, tmp_path, missing):
    run = made({key: value for key, value in TAGS.items() if key != missing})
    assert not has_model(run)
    with pytest.raises(PromotionRefused, match="a search's own run has none") as caught:
        recorded_trial.fetch_trial(client, run, folder=tmp_path)
    assert caught.value.exit_code == 6


def test_an_altered_model_is_refused(client, tmp_path):
    (tmp_path / "artifacts" / "model").mkdir(parents=True)
    (tmp_path / "artifacts" / "model" / "best.keras").write_bytes(b"altered")
    run = made(TAGS, (tmp_path / "artifacts").as_uri())
    with pytest.raises(PromotionRefused, match="was altered") as caught:
        recorded_trial.fetch_trial(client, run, folder=tmp_path / "got")
    assert isinstance(caught.value.__cause__, CorruptError)


def test_a_result_that_is_gone_is_missing_data(tmp_path, monkeypatch):
    monkeypatch.setattr(
        recorded_trial, "fetch_model", lambda *a, **k: (tmp_path / "best.keras", "0" * 64)
    )
    client = SimpleNamespace(
        list_artifacts=lambda run_id, folder: [SimpleNamespace(path="figures")]
    )
    with pytest.raises(DataError, match=r"no result\.json among figures: .*backup") as caught:
        recorded_trial.fetch_trial(client, made(TAGS), folder=tmp_path)
    assert caught.value.exit_code == 3


def test_a_version_whose_run_is_gone_is_bad_data(tmp_path, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

    def get_run(run_id):
        raise MlflowException(f"Run with id={run_id} not found", RESOURCE_DOES_NOT_EXIST)

    client = SimpleNamespace(get_run=get_run)
    assert run_or_none(client, "b" * 32) is None
    version = SimpleNamespace(run_id="b" * 32, tags={})
    monkeypatch.setattr(find_trial, "version_of", lambda *args: version)
    with pytest.raises(DataError, match="which is gone from MLflow"):
        find_trial.find_trial(client, "models:/tau-id/3", folder=tmp_path)
