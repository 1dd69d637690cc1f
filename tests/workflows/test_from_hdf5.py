"""From HDF5 files to a leaderboard by two commands."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.ntuples_factory import columns, dataset_settings, write_structured

SEARCH = {
    "name": "from-hdf5",
    "data": "data.yaml",
    "task": {"classes": ["jet", "tau"], "signal": ["tau"]},
    "model": {
        "type": "rnn",
        "candidate": {"units": 8},
        "groups": {"tracks": {"length": 4, "units": {"choice": [4, 8]}}},
    },
    "training": {"epochs": 1, "batch_size": 128},
    "objective": {"maximize": "auc"},
    "search": {"trials": 2, "sampler": {"type": "random", "seed": 1}},
}


@pytest.fixture
def tauopt(tmp_path):
    """Run the command line in a separate process, without the variables of services."""
    services = ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS")
    environment = {name: value for name, value in os.environ.items() if name not in services}
    environment["TAUOPT_CACHE"] = str(tmp_path / "cache")

    def run(*words):
        ended = subprocess.run(
            [sys.executable, "-m", "tauopt", *words, "--json"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run


@pytest.mark.slow
def test_a_search_runs_on_hdf5_that_one_command_prepared(tauopt, tmp_path):
    for number in range(2):
        content = columns(400, seed=number, first_event=400 * number)
        write_structured(tmp_path / f"taus_{number}.h5", content)
    settings = dataset_settings(tmp_path, suffix="h5")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(SEARCH, sort_keys=False))

    prepared = tauopt("prepare", str(tmp_path / "data.yaml"))
    assert {name: split["candidates"] for name, split in prepared["splits"].items()} == {
        "train": 480, "validation": 160, "test": 160,
    }  # fmt: skip

    output = ["--output", str(tmp_path / "out")]
    result = tauopt("search", str(tmp_path / "search.yaml"), *output)
    assert [folder.name for folder in (tmp_path / "cache" / "prepared").iterdir()] == [
        prepared["folder"].rpartition("/")[2]
    ]
    assert result["why"] == "complete"
    assert {trial["state"] for trial in result["trials"]} == {"COMPLETE"}
    assert {trial["params"]["model.groups.tracks.units"] for trial in result["trials"]} == {4, 8}
    assert all(trial["low"] < trial["value"] < trial["high"] for trial in result["trials"])
    assert result["promote"].startswith(f"tauopt promote {result['best_run_id']}")
