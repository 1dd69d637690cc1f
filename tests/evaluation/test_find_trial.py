"""A trial is found by run, version, alias and folder, and only if it is complete."""

import json
import shutil

import pytest

from tauopt.errors import CorruptError, DataError, UsageError
from tauopt.evaluation.find_trial import find_trial
from tauopt.workflows.promote import promote
from tests.evaluation.trials import experiment, shipped, train
from tests.prepared_factory import prepared_dataset


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    dataset = prepared_dataset(tmp_path_factory.mktemp("data"), candidates=1000)
    return train(tmp_path_factory.mktemp("runs") / "t000", dataset, experiment())


@pytest.fixture(scope="module")
def run_id(client, output, trial):
    run_id = shipped(client, output, trial)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        promote(run_id, output=output)
    return run_id


def test_a_run_a_version_an_alias_and_a_folder_are_the_same_trial(client, run_id, trial, tmp_path):
    references = [
        run_id, run_id[:8], "models:/tau-id/1", "models:/tau-id@champion", str(trial)
    ]  # fmt: skip
    found = [
        find_trial(client, reference, folder=tmp_path / str(number))
        for number, reference in enumerate(references)
    ]
    assert {same.sha256 for same in found} == {
        json.loads((trial / "result.json").read_text())["model_sha256"]
    }
    assert [same.run_id for same in found] == [run_id] * 4 + [""]
    assert {same.model.read_bytes() for same in found} == {(trial / "best.keras").read_bytes()}
    assert all(same.result == found[0].result for same in found)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("models:/tau-id", "expected models:/NAME@ALIAS"),
        ("models:/tau-id/7", "no version 7; its versions are: 1"),
        ("models:/tau-id@challenger", "no alias 'challenger'; its versions are: 1"),
        ("models:/tau-di/1", "no version 1; its versions are: none"),
        ("zzz", "no run id begins with 'zzz'"),
    ],
)
def test_an_unknown_run_version_or_alias_is_refused_with_those_known(
    client, run_id, tmp_path, reference, words
):
    with pytest.raises(UsageError, match=words):
        find_trial(client, reference, folder=tmp_path)


def test_a_folder_that_holds_no_finished_trial_is_refused(client, trial, tmp_path):
    with pytest.raises(UsageError, match="no folder of a trial that completed"):
        find_trial(client, str(tmp_path), folder=tmp_path / "to")
    altered = shutil.copytree(trial, tmp_path / "altered")
    with (altered / "best.keras").open("ab") as file:
        file.write(b"!")
    with pytest.raises(CorruptError, match="was altered"):
        find_trial(client, str(altered), folder=tmp_path / "to")
    cut = shutil.copytree(trial, tmp_path / "cut")
    (cut / "result.json").write_text('{"model_sha256": ')
    with pytest.raises(CorruptError, match="is not whole"):
        find_trial(client, str(cut), folder=tmp_path / "to")


def test_a_run_that_did_not_complete_is_bad_data(client, output, trial, tmp_path):
    stopped = shipped(client, output, trial, state="PRUNED")
    with pytest.raises(DataError, match=r"was pruned: .*tauopt continue"):
        find_trial(client, stopped, folder=tmp_path)
