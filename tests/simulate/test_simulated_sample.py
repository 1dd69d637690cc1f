import builtins
import json
import os
import queue
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import uproot

from tauopt.cli import app
from tauopt.config.settings.dataset import Simulation
from tauopt.durable import locked
from tauopt.errors import CorruptError, TauoptError, UsageError
from tauopt.progress import Silent
from tauopt.simulate import simulated_sample, worker_pool
from tauopt.simulate.sample_plan import plan_files
from tauopt.simulate.simulated_sample import make_sample
from tauopt.workflows.simulate import simulate, simulate_files
from tests.processes import started

SMALL = Simulation(taus=3, jets=2, seed=3)


class Counting(Silent):
    def __init__(self):
        self.total = self.done = 0

    def begin(self, title, total, unit=""):
        self.total = total

    def advance(self, amount=1):
        self.done += amount


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small sample made by two processes."""
    folder = tmp_path_factory.mktemp("sample")
    counting = Counting()
    make_sample(SMALL, folder, processes=2, progress=counting)
    assert counting.done == counting.total == 5
    return folder


def _arrays(path):
    with uproot.open(path) as file:
        arrays = file["candidates"].arrays(library="ak")
    return {name: arrays[name].to_list() for name in arrays.fields}


@pytest.mark.service
def test_content_does_not_depend_on_the_number_of_processes(folder, tmp_path):
    plans = plan_files(SMALL)[::2]
    list(worker_pool.make_files([(plan, tmp_path / plan.name) for plan in plans], processes=1))
    for plan in plans:
        assert _arrays(tmp_path / plan.name) == _arrays(folder / plan.name)


def test_finished_files_are_kept_and_missing_ones_made(folder):
    plans = plan_files(SMALL)
    lost, unfinished = folder / plans[0].name, folder / plans[1].name
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.root")}
    expected = _arrays(lost)
    lost.unlink()
    unfinished.with_suffix(".json").unlink()
    counting = Counting()
    records = make_sample(SMALL, folder, processes=1, progress=counting)
    assert counting.done == counting.total
    after = {path: path.stat().st_mtime_ns for path in folder.glob("*.root")}
    assert {path for path in before if before[path] != after[path]} == {lost, unfinished}
    assert _arrays(lost) == expected
    assert [record.name for record in records] == [plan.name for plan in plans]


def test_a_finished_sample_is_not_simulated_again(folder, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("no file is missing")

    monkeypatch.setattr(simulated_sample, "make_files", never)
    assert simulate(SMALL, folder=folder) == folder


def test_event_numbers_are_unique_over_the_sample(folder):
    pairs = set()
    for path in folder.glob("*.root"):
        arrays = _arrays(path)
        numbers = set(arrays["event_number"])
        assert not pairs & numbers
        pairs |= numbers


def test_records_count_what_is_in_the_files(folder):
    _, records = simulate_files(SMALL, folder=folder)
    for record in records:
        with uproot.open(folder / record.name) as file:
            assert file["candidates"].num_entries == record.entries >= record.selected > 0
        assert record.events > 0
    assert sum(r.selected for r in records if r.process == "gammatautau") >= 3


def test_a_folder_of_other_settings_is_refused(folder):
    with pytest.raises(UsageError, match="seed: folder has 3, expected 4"):
        make_sample(SMALL.model_copy(update={"seed": 4}), folder, processes=1, progress=Silent())


def test_a_file_that_shrank_is_noticed(folder):
    path = next(folder.glob("*.root"))
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:1000])
        with pytest.raises(CorruptError, match="1000 bytes"):
            make_sample(SMALL, folder, processes=1, progress=Silent())
    finally:
        path.write_bytes(whole)


def test_a_second_process_on_the_same_folder_waits_and_says_so(folder):
    class Recording(Silent):
        def say(self, message):
            messages.put(message)

    messages = queue.Queue()
    with ThreadPoolExecutor(1) as threads:
        with locked(folder / ".lock", what="it"):
            second = threads.submit(make_sample, SMALL, folder, processes=1, progress=Recording())
            assert "is held by process" in messages.get(timeout=30)
            assert not second.done()
        assert len(second.result(timeout=30)) == len(plan_files(SMALL))


def test_the_cache_names_samples_by_their_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_CACHE", str(tmp_path))
    seen = []
    monkeypatch.setattr(
        "tauopt.simulate.simulated_sample.make_sample",
        lambda settings, folder, **_: seen.append(folder),
    )
    simulate(SMALL)
    simulate(SMALL.model_copy(update={"pileup": 20.0}))
    assert seen[0] != seen[1]
    assert all(folder.parent == tmp_path / "simulated" for folder in seen)


def test_without_the_extra_the_error_names_the_line_that_installs_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pythia8mc":
            raise ImportError("No module named 'pythia8mc'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'tauopt\[demo\]'") as caught:
        make_sample(SMALL, tmp_path / "new", processes=1, progress=Silent())
    assert caught.value.exit_code == 2


@pytest.mark.service
def test_a_worker_that_dies_is_named_and_leaves_nothing(tmp_path):
    plan = plan_files(Simulation(taus=50_000, jets=1))[0]
    files = worker_pool.make_files([(plan, tmp_path / plan.name)], processes=1)
    next(files)  # the worker has begun
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="], capture_output=True, text=True
    ).stdout
    pid = next(int(line.split()[0]) for line in children.splitlines() if "simulate.worker" in line)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(TauoptError, match=f"died with code -9 while making {plan.name}"):
        list(files)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_worker_raises_its_own_error(tmp_path):
    plan = plan_files(Simulation(taus=1, jets=1))[-1]
    (tmp_path / "file").touch()
    with pytest.raises(TauoptError, match="NotADirectoryError"):
        list(worker_pool.make_files([(plan, tmp_path / "file" / plan.name)], processes=1))


@pytest.mark.service
def test_ctrl_c_ends_the_workers_and_prints_the_command_that_continues(tmp_path):
    folder = tmp_path / "sample"
    command = [
        sys.executable, "-m", "tauopt", "simulate", "--taus", "20000", "--jets", "1",
        "--processes", "1", "-o", str(folder),
    ]  # fmt: skip
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for line in process.stderr:
            if "/20001" in line:  # some candidates have come
                break
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "go on with: tauopt simulate --taus 20000" in stderr
    assert not list(folder.glob("*.tmp*"))
    for path in folder.glob("*.root"):
        assert path.with_suffix(".json").exists()
    assert json.loads((folder / "simulation.json").read_text())["taus"] == 20000


def ended(monkeypatch, *words):
    """Run the command line in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["tauopt", "simulate", *words])
    with pytest.raises(SystemExit) as end:
        app.main()
    return end.value.code or 0


def test_command_prints_folder_and_counts(folder, monkeypatch, capsys):
    words = ["--taus", "3", "--jets", "2", "--seed", "3", "-o", str(folder)]
    assert ended(monkeypatch, *words) == 0
    first, taus, jets = capsys.readouterr().out.splitlines()
    assert first == str(folder)
    assert taus.startswith("gammatautau: ")
    assert jets.startswith("dijet: ")


@pytest.mark.parametrize("arguments", [["--tau-decays", "2"], ["--taus", "0"], ["--seed", "0"]])
def test_wrong_arguments_are_usage_errors(arguments, tmp_path, monkeypatch):
    assert ended(monkeypatch, *arguments, "-o", str(tmp_path / "x")) == 2
    assert not (tmp_path / "x").exists()
