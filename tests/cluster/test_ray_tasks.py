"""The parallel map on a real Ray: results, errors, killed workers, and files read in parallel."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from tauopt.cluster.ray_tasks import ONE_THREAD, readers, run_tasks, workers
from tauopt.errors import DataError, ServiceError
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_extracts import content


@pytest.fixture(scope="module", autouse=True)
def two_workers(ray_here):
    """One Ray for all tests here; `workers` uses the one that runs."""


def double(number):
    return 2 * number


def environment(name):
    return os.environ.get(name)


def complain(number):
    if number == 2:
        raise DataError(f"file {number} is wrong")
    time.sleep(30)


def die(path):
    """Kill this process at the first call only."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def always_die(number):
    del number
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_for_every_task():
    with workers(2) as run:
        assert sorted(run(double, [*range(7)])) == [2 * n for n in range(7)]
        assert list(run(double, [])) == []


def test_numeric_libraries_have_one_thread_a_task():
    assert set(run_tasks(environment, list(ONE_THREAD))) == {"1"}


def test_error_in_a_task_arrives_as_itself_and_does_not_wait_for_the_others():
    began = time.monotonic()
    with pytest.raises(DataError, match=r"^file 2 is wrong$") as caught:
        list(run_tasks(complain, [1, 2]))
    assert type(caught.value) is DataError
    assert time.monotonic() - began < 20


@pytest.mark.service
def test_killed_worker_is_replaced(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    assert sorted(run_tasks(die, paths)) == ["a", "b"]


@pytest.mark.service
def test_task_that_kills_its_workers_is_given_up():
    with pytest.raises(ServiceError, match="a worker of Ray died 4 times at the same task"):
        list(run_tasks(always_die, [1]))


@pytest.mark.parametrize("stream", ["prepared", pytest.param("direct", marks=pytest.mark.slow)])
def test_files_read_by_ray_give_the_bytes_of_one_process(tmp_path, stream):
    for i in range(3):
        write(tmp_path / "in" / f"{i}.root", columns(400, seed=i, first_event=400 * i))
    settings = dataset(tmp_path / "in", stream=stream, missing="drop")
    here = prepare(settings, cache=tmp_path / "one")
    there = prepare(settings, cache=tmp_path / "two", parallel=readers(2))
    assert content(there) == content(here)
    assert (there / "manifest.json").read_bytes() == (here / "manifest.json").read_bytes()


def test_data_error_of_a_file_arrives_as_from_one_process(tmp_path):
    jets = columns(400)
    write(tmp_path / "in" / "0.root", columns(400, first_event=400))
    write(tmp_path / "in" / "1.root", jets | {"weight": jets["weight"] * float("inf")})
    with pytest.raises(DataError, match=r"^.*1\.root, entries from 0: weight .* is NaN or inf"):
        prepare(dataset(tmp_path / "in"), cache=tmp_path, parallel=readers(2))


JOINED = """
import sys
from pathlib import Path
from tauopt.cluster._ray_internals import loopback_only
from tauopt.cluster.ray_tasks import readers
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import dataset

with loopback_only():  # the Ray of the test listens there
    print(prepare(dataset(sys.argv[1]), cache=Path(sys.argv[2]), parallel=readers()))
"""


@pytest.mark.slow
def test_cluster_at_the_address_reads_the_files(tmp_path):
    for i in range(2):
        write(tmp_path / "in" / f"{i}.root", columns(200, seed=i, first_event=200 * i))
    address = ray.get_runtime_context().gcs_address
    joined = subprocess.run(
        [sys.executable, "-c", JOINED, str(tmp_path / "in"), str(tmp_path / "cache")],
        env=os.environ | {"RAY_ADDRESS": address},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    folder = Path(joined.stdout.strip().splitlines()[-1])
    assert content(folder) == content(prepare(dataset(tmp_path / "in"), cache=tmp_path / "here"))
