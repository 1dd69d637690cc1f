"""Jobs of batch systems: their scripts, and that a job runs, stops and is resumed."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.config.load import read_experiment
from tauopt.errors import ServiceError, UsageError
from tauopt.workflows.leaderboard import leaderboard
from tauopt.workflows.submit import BatchRequest, submit
from tests import ntuples_factory
from tests.workflows.tiny_search import EXPERIMENT


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder (with a space in its name) that holds an experiment."""
    for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "my work"
    monkeypatch.setenv("TAUOPT_CACHE", str(home / "cache"))
    ntuples_factory.write(home / "ntuples" / "a.root", ntuples_factory.columns(1500))
    settings = ntuples_factory.dataset_settings("ntuples")
    (home / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (home / "toy.yaml").write_text(yaml.safe_dump(EXPERIMENT, sort_keys=False))
    return home


GPU = ("search.resources={cpus: 2, gpus: 0.5}",)
LARGE = BatchRequest(nodes=3, cpus=8, gpus=2, memory_gb=64, hours=1.5)


def placeholders(folder):
    texts = [path.read_text() for path in folder.iterdir() if path.suffix in (".sh", ".sub")]
    return re.findall(r"@[A-Z]+@", "\n".join(texts))


def test_a_slurm_job_requests_its_nodes_and_is_requeued_when_its_time_is_up(home):
    options = ["partition=gpu", "--account=tau"]
    job = submit(home / "toy.yaml", "slurm", machines=LARGE, overrides=GPU,
                   output=home / "out", options=options)  # fmt: skip
    assert job.concurrent == 12  # four on the two GPUs of each node
    lines = (job.folder / "slurm.sh").read_text().splitlines()
    asked = dict(
        line.removeprefix("#SBATCH --").split("=", 1) if "=" in line else (line[10:], "")
        for line in lines
        if line.startswith("#SBATCH")
    )
    wanted = {
        "nodes": "3", "cpus-per-task": "8", "gpus-per-node": "2", "mem": "64G", "time": "90",
        "partition": "gpu", "account": "tau", "signal": "B:TERM@120", "requeue": "",
    }  # fmt: skip
    assert asked.items() >= wanted.items()
    assert not placeholders(job.folder)
    for script in ("slurm.sh", "job.sh"):
        subprocess.run(["bash", "-n", str(job.folder / script)], check=True)
    assert job.command == f"sbatch '{job.folder}/slurm.sh'"


def test_an_htcondor_job_drives_with_one_process_and_trains_with_all(home):
    job = submit(home / "toy.yaml", "htcondor", machines=LARGE, overrides=GPU,
                   output=home / "out", options=['+JobFlavour="tomorrow"'])  # fmt: skip
    lines = (job.folder / "htcondor.sub").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    asked = {key.strip(): value.strip() for key, value in pairs}
    wanted = {
        "request_cpus": "8", "request_gpus": "2", "request_memory": "64 GB", "+MaxRuntime": "5400",
        "+JobFlavour": '"tomorrow"', "executable": f"{job.folder}/job.sh",
        "arguments": '"$(Process) $(Cluster)"', "kill_sig": "SIGTERM",
    }  # fmt: skip
    assert asked.items() >= wanted.items()
    assert lines[-1] == "queue 3"
    assert os.access(job.folder / "job.sh", os.X_OK)
    assert not placeholders(job.folder)


def test_an_image_gets_the_folders_and_the_gpus(home):
    image = home / "tauopt.sif"
    image.touch()
    job = submit(home / "toy.yaml", "slurm", machines=LARGE, overrides=GPU,
                   output=home / "out", image=image)  # fmt: skip
    (line,) = re.findall(r"^inside=.*$", (job.folder / "job.sh").read_text(), re.MULTILINE)
    assert line.startswith("inside=(apptainer exec --nv --bind ")
    assert str(home / "out") in line
    assert str(home / "cache") in line
    with pytest.raises(UsageError, match="no such image"):
        submit(home / "toy.yaml", "slurm", machines=BatchRequest(), image=home / "other.sif",
               output=home / "out")  # fmt: skip


def test_secrets_are_for_their_owner_alone_and_in_no_script(home, monkeypatch):
    monkeypatch.setenv("TAUOPT_STORAGE", "postgresql+psycopg://me:hush'it@db/optuna")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush it")
    job = submit(home / "toy.yaml", "slurm", machines=BatchRequest(), output=home / "out")
    private = [job.folder / "environment", job.folder / "ray_token"]
    token = private[1].read_text()
    for path in job.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path in private else 0o755)
        if path not in private:
            assert "hush" not in path.read_text()
            assert token not in path.read_text()
    printed = subprocess.run(
        ["bash", "-c", '. "$0"; printf "%s\\n" "$TAUOPT_STORAGE" "$MLFLOW_TRACKING_PASSWORD"',
         str(private[0])], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert printed.splitlines() == ["postgresql+psycopg://me:hush'it@db/optuna", "hush it"]
    submit(home / "toy.yaml", "slurm", machines=BatchRequest(), output=home / "out")
    assert private[1].read_text() == token, "a running job uses this one"


@pytest.mark.parametrize(
    ("machines", "overrides", "options", "message"),
    [
        (BatchRequest(cpus=1), ("search.resources.cpus=2",), (), "a node has 1 and 0"),
        (BatchRequest(gpus=1), (), (), "no trial would use one"),
        (BatchRequest(), GPU, (), "a node has 8 and 0"),
        (BatchRequest(nodes=3), (), (), "nodes would be idle"),
        (BatchRequest(), ("model.units=8",), (), "nothing to search"),
        (BatchRequest(), (), ("partition",), "KEY=VALUE"),
        (BatchRequest(), (), ("partition=gpu\nrm -rf x",), "KEY=VALUE"),
    ],
)
def test_a_job_that_can_not_run_is_refused_before_anything_is_written(
    home, machines, overrides, options, message
):
    with pytest.raises(UsageError, match=message):
        submit(home / "toy.yaml", "slurm", machines=machines, overrides=overrides,
               options=options, output=home / "out")  # fmt: skip
    assert not list(home.glob("out/batch/*/*.sh"))


def test_a_search_that_was_started_with_another_file_is_not_resumed(home):
    record = home / "out" / "searches" / "toy" / "experiment.yaml"
    record.parent.mkdir(parents=True)
    record.write_text(read_experiment(home / "toy.yaml").text)
    submit(home / "toy.yaml", "slurm", machines=BatchRequest(), output=home / "out")
    with pytest.raises(UsageError, match="another --name"):
        submit(home / "toy.yaml", "slurm", machines=BatchRequest(), overrides=("search.trials=9",),
               output=home / "out")  # fmt: skip


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_job_is_submitted_and_the_answer_returned(home, monkeypatch):
    program(home / "bin", "sbatch", 'echo "Submitted batch job 7"; echo "$1" > asked')
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
    words = ["submit", str(home / "toy.yaml"), "--slurm", "--now", "-o", str(home / "out")]
    ran = CliRunner().invoke(build_app(), [*words, "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["told"] == "Submitted batch job 7"
    folder = Path(found["folder"])
    assert (folder / "asked").read_text().strip() == str(folder / "slurm.sh")
    program(home / "bin", "sbatch", "echo 'no such partition' >&2; exit 1")
    with pytest.raises(ServiceError, match=r"refuses .*no such partition"):
        submit(home / "toy.yaml", "slurm", machines=BatchRequest(), output=home / "out", now=True)
    ran = CliRunner().invoke(build_app(), [*words, "--htcondor"])
    assert isinstance(ran.exception, UsageError)


@pytest.mark.slow
def test_a_slurm_job_of_two_nodes_is_stopped_requeued_and_resumed(home):
    """Scripts replace Slurm's programs: srun starts the command once per node, on this machine."""
    longer = (
        "training.epochs=40",
        "training.early_stopping.patience=40",
        "search.trials=8",
        "model.units={int: [2, 64]}",
    )
    batch = submit(home / "toy.yaml", "slurm", machines=BatchRequest(nodes=2, cpus=1, memory_gb=1),
                   overrides=longer, output=home / "out")  # fmt: skip
    program(home / "bin", "srun", 'while [[ $1 == --* ]]; do shift; done; SLURM_PROCID=0 exec "$@"')
    program(home / "bin", "scontrol", f'echo "$@" >> "{home}/requeued"')
    environment = {
        **os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2",
    }  # fmt: skip

    def started():
        with (home / "log").open("ab") as log:
            return subprocess.Popen(
                ["bash", str(batch.folder / "slurm.sh")], env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def ended(job):
        with contextlib.suppress(ProcessLookupError):  # Slurm kills all processes of a job
            os.killpg(job.pid, signal.SIGKILL)

    job = started()
    try:
        deadline = time.monotonic() + 180
        while not any(row.reports for row in _rows(home)):
            assert job.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(1)
        os.kill(job.pid, signal.SIGTERM)
        assert job.wait(timeout=120) == 143, (home / "log").read_text()
        assert (home / "requeued").read_text().split() == ["requeue", "7"]
        ended(job)
        interrupted = [row for row in _rows(home) if row.state == "INTERRUPTED"]
        assert interrupted, "it ended before it was stopped"
        job = started()
        assert job.wait(timeout=300) == 0, (home / "log").read_text()
        deadline = time.monotonic() + 60
        nodes = ["pgrep", "--pgroup", str(job.pid), "--full", "job.sh"]
        while subprocess.run(nodes, capture_output=True, check=False).returncode == 0:
            assert time.monotonic() < deadline, "the other node does not end by itself"
            time.sleep(0.5)
    finally:
        ended(job)
    rows = leaderboard("toy", output=home / "out").rows
    assert len(rows) == 8
    assert {row.state for row in rows} == {"COMPLETE"}
    assert (batch.folder / "ray.7.1.log").exists()


def _rows(home):
    try:
        return leaderboard("toy", output=home / "out").rows
    except UsageError:
        return []
