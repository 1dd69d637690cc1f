"""What was recorded with a run is read back from a real store."""

from tauopt.tracking.read_run import artifact_names, metric_history, read_artifact, run_of_uid
from tauopt.tracking.run_artifacts import log_files


def test_artifacts_are_listed_by_folder_and_read_by_path(client, parent, tmp_path):
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for path in files:
        path.write_text(path.name)
    log_files(client, parent, files, folder="promotion")
    assert artifact_names(client, parent) == ["promotion"]
    assert artifact_names(client, parent, folder="promotion") == [
        "promotion/a.json",
        "promotion/b.json",
    ]
    assert read_artifact(client, parent, "promotion/b.json") == b"b.json"


def test_a_metric_is_read_by_its_own_name_as_value_by_step(client, parent):
    for step, value in ((1, 0.5), (2, 0.25)):
        client.log_metric(parent, "rejection_at_0.75", value, step=step)
    assert metric_history(client, parent, "rejection@0.75") == {1: 0.5, 2: 0.25}
    assert metric_history(client, parent, "loss") == {}


def test_a_run_is_found_by_its_uid(client, parent, uid):
    assert run_of_uid(client, uid).info.run_id == parent
    assert run_of_uid(client, f"{uid}/t000") is None
    assert run_of_uid(client, "it's") is None
