"""The status of a search whose job waits in a batch system's queue names the job."""

import os

import optuna
import pytest

from tauopt.errors import UsageError
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.status import status


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.delenv("TAUOPT_STORAGE", raising=False)
    for age, name in enumerate(("tau-rnn", "tau-sets")):
        folder = tmp_path / "batch" / name
        folder.mkdir(parents=True)
        (folder / "job.sh").write_text("#!/bin/sh\n")
        os.utime(folder / "job.sh", (1e9 + age, 1e9 + age))
    return tmp_path


@pytest.mark.parametrize("has_other", [False, True], ids=["no search yet", "other searches"])
def test_status_of_a_submitted_job_names_the_job(output, has_other):
    if has_other:
        optuna.create_study(study_name="other", storage=f"sqlite:///{output}/studies.db")
    with pytest.raises(UsageError, match=r"there is a job for tau-rnn in .*tau-rnn: ") as error:
        status("tau-rnn", output=output)
    assert "squeue" in str(error.value)
    if has_other:
        assert "no search 'tau-rnn'" in str(error.value)
        assert find_study(None, output=output).study_name == "other"
        with pytest.raises(UsageError) as other:
            status("tau-rn", output=output)
        assert "there is a job" not in str(other.value)
    else:
        with pytest.raises(UsageError, match="there is a job for tau-sets"):
            status(output=output)
