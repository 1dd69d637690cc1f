"""Kills, races, full disks and files that change: nothing unfinished is taken for finished."""

import os
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import ServiceError
from tauopt.prepare import prepare_dataset as module
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import dataset

KILLED = """
import importlib, os, signal, sys
from pathlib import Path
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import dataset

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

module, _, name = sys.argv[3].rpartition(".")
setattr(importlib.import_module(f"tauopt.prepare.{module}"), name, die)
prepare(dataset(sys.argv[1]), cache=Path(sys.argv[2]))
"""


@pytest.mark.service
@pytest.mark.parametrize("moment", ["second_pass._check_splits", "prepare_dataset.write_manifest"])
def test_killed_preparation_leaves_nothing_that_looks_finished(ntuples, tmp_path, moment):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED, str(ntuples), str(tmp_path), moment]
    ended = subprocess.run(command, cwd=root, env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    left = [path.name for path in (tmp_path / "prepared").iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".")
    folder = prepare(dataset(ntuples), cache=tmp_path)
    open_dataset(folder).verify()
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == [folder.name]


def test_error_in_the_middle_leaves_nothing(ntuples, tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_manifest", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset(ntuples), cache=tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


def finished(cache):
    """Return the folders that pass for finished."""
    every = [*cache.glob("prepared/*"), *cache.glob("extracts/*")]
    return [path for path in every if path.is_dir() and not path.name.startswith(".")]


class Listener:
    def __init__(self):
        self.said = []

    def begin(self, title, total, unit=""): ...

    def advance(self, amount=1): ...

    def say(self, message):
        self.said.append(message)


def test_a_second_preparation_of_a_dataset_waits_for_the_first(ntuples, tmp_path, monkeypatch):
    work, begun, go_on = module._prepare, threading.Event(), threading.Event()
    times = []

    def slowly(*args):
        times.append(1)
        begun.set()
        assert go_on.wait(60)
        work(*args)

    monkeypatch.setattr(module, "_prepare", slowly)
    folders, second = [], Listener()

    def run(listener):
        folders.append(prepare(dataset(ntuples), cache=tmp_path, progress=listener))

    threads = [threading.Thread(target=run, args=(Listener(),))]
    threads[0].start()
    assert begun.wait(60)
    threads.append(threading.Thread(target=run, args=(second,)))
    threads[1].start()
    while not second.said and threads[1].is_alive():
        threads[1].join(0.01)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert len(times) == 1
    assert len(set(folders)) == 1
    assert f"process {os.getpid()}" in second.said[0]


@pytest.mark.parametrize("step", [100, 1000])
def test_full_disk_is_noticed_before_it_is_full(ntuples, tmp_path, monkeypatch, step):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**6, 10**6 - 1000, 1000))
    monkeypatch.setattr("tauopt.prepare.spill_files.SMALLEST", 10)
    with pytest.raises(ServiceError, match="GB are free; make room"):
        prepare(dataset(ntuples), cache=tmp_path, step=step)
    assert [path.parent.name for path in finished(tmp_path)] == ["extracts"] * (step == 1000)
