"""Each file is read once: also after a kill, a new file, a new transform or a new balance."""

import contextlib
import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.ntuples.root import RootTree
from tauopt.prepare.dataset_digests import extract_digest
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_faults import Listener

LOG_PT = {"expression": "pt", "divide": 1000, "log10": True}


def content(folder):
    """Every file of a prepared dataset but its manifest, which holds the paths."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture
def read(monkeypatch):
    """The names of the files whose entries, and whose headers, were read."""
    names, iterate, inspect = [], RootTree.iterate, RootTree.inspect

    def noted(self, *arguments, **options):
        names.append(self.path.name)
        yield from iterate(self, *arguments, **options)

    def looked(self, branches):
        names.append(f"header of {self.path.name}")
        return inspect(self, branches)

    monkeypatch.setattr(RootTree, "iterate", noted)
    monkeypatch.setattr(RootTree, "inspect", looked)
    return names


def old(folder):
    """Make files so old that their digests are remembered."""
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))


@pytest.fixture
def grown(tmp_path, ntuples, monkeypatch):
    """A folder with two of the three files, and the third beside it."""
    monkeypatch.setattr("tauopt.ntuples.input_digests._RACY_NS", -(10**18))
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("0.root", "2.root"):
        shutil.copy(ntuples / name, folder / name)
    return folder


def test_adding_a_file_reads_that_file_alone(grown, ntuples, tmp_path, read):
    prepare(dataset(grown), cache=tmp_path / "cache")
    read.clear()
    shutil.copy(ntuples / "1.root", grown / "1.root")
    listener = Listener()
    again = prepare(dataset(grown), cache=tmp_path / "cache", progress=listener)
    assert read == ["header of 1.root", "1.root"]
    assert listener.said == ["2 of 3 files were read before"]
    anew = prepare(dataset(ntuples), cache=tmp_path / "anew")
    assert again.name == anew.name
    assert content(again) == content(anew)


@pytest.mark.parametrize(
    "change",
    [
        {"chunk_size": 99},
        {"proportions": {"jet": 0.4}},
        {"proportions": {"jet": 0.4}, "resample": {"replacement": True}},
        {"name": "other"},
        {"candidate": {"log_pt": LOG_PT | {"scale": "robust"}, "eta": {"scale": "robust"}}},
        {"bad_files": 2, "name": "other"},
    ],
)
def test_chunks_balance_and_transforms_read_nothing_anew(grown, tmp_path, read, change):
    first = prepare(dataset(grown), cache=tmp_path)
    read.clear()
    second = prepare(dataset(grown, **change), cache=tmp_path)
    assert second != first
    assert not read
    anew = prepare(dataset(grown, **change), cache=tmp_path / "anew")
    assert content(second) == content(anew)


@pytest.mark.parametrize(
    "change",
    [
        {"selection": "pt > 25000"},
        {"cuts": {"low": "pt > 25000"}},
        {"missing": "drop"},
        {"stream": "direct"},
        {"negative_weights": "drop"},
        {"event_number": "event_number + 0"},
        {"split": {"folds": 5}},
        {"spectators": {"pt": "pt"}},
        {"classes": {"tau": "is_tau", "jet": "!is_tau"}},
        {"reweight": {"variable": "pt", "target": "flat", "bins": 2}},
        {"candidate": {"log_pt": {"expression": "pt + 1"}, "eta": {}}},
        {"groups": {}},
        {"candidate": {"log_pt": {"expression": "pt", "log10": True, "offset": -2e4}, "eta": {}}},
    ],
)
def test_every_setting_of_the_first_pass_changes_the_digest_of_extracts(change):
    where = {"sample": "all", "sha256": "0" * 64}
    assert extract_digest(dataset("in", **change), **where) != extract_digest(
        dataset("in"), **where
    )


def test_transform_counts_only_where_a_logarithm_may_be_undefined():
    where = {"sample": "all", "sha256": "0" * 64}

    def digest(**transform):
        feature = {"expression": "pt", **transform}
        return extract_digest(dataset("in", candidate={"pt": feature}), **where)

    same = [{}, {"min": 1, "log10": True}, {"abs": True, "offset": 1, "log10": True}, {"abs": True}]
    assert len({digest(**one) for one in same}) == 1
    other = [{"log10": True}, {"log10": True, "abs": True}, {"log10": True, "min": 0}]
    assert len({digest(**one) for one in [*same, *other]}) == 4


KILLED = """
import os, signal, sys
from pathlib import Path
from tauopt.ntuples.root import RootTree
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import dataset

iterate = RootTree.iterate

def dying(self, *arguments, **options):
    for number, columns in enumerate(iterate(self, *arguments, **options)):
        if self.path.name == "1.root" and number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield columns

RootTree.iterate = dying
prepare(dataset(sys.argv[1]), cache=Path(sys.argv[2]), step=100)
"""


def killed(ntuples, cache):
    command = [sys.executable, "-c", KILLED, str(ntuples), str(cache)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, check=False, timeout=60).returncode


@pytest.mark.service
def test_killed_preparation_resumes_where_it_was(ntuples, tmp_path, read):
    assert killed(ntuples, tmp_path) == -signal.SIGKILL
    left = {path.name for path in (tmp_path / "extracts").iterdir() if path.is_dir()}
    assert len(left) == 2, "one finished, and one that looks unfinished"
    assert len([name for name in left if name.startswith(".")]) == 1
    folder = prepare(dataset(ntuples), cache=tmp_path)
    assert [name for name in read if not name.startswith("header")] == ["1.root", "2.root"]
    assert not list((tmp_path / "extracts").glob(".*.tmp"))
    never = prepare(dataset(ntuples), cache=tmp_path / "never interrupted")
    assert content(folder) == content(never)


def backwards(sizes):
    """Run tasks as elsewhere: by pickle, in another order."""
    assert all(size > 0 for size in sizes)

    def run(function, tasks):
        for task in reversed(pickle.loads(pickle.dumps(tasks))):
            yield pickle.loads(pickle.dumps(function(task)))

    return contextlib.nullcontext(run)


@pytest.mark.parametrize("stream", ["prepared", "direct"])
def test_files_read_in_parallel_give_the_same_bytes(ntuples, tmp_path, stream):
    changes = {"stream": stream, "missing": "drop"}
    one = prepare(dataset(ntuples, **changes), cache=tmp_path / "one")
    other = prepare(dataset(ntuples, **changes), cache=tmp_path / "two", parallel=backwards)
    assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()
    assert content(one) == content(other)


def test_error_in_a_parallel_task_leaves_what_was_read(grown, tmp_path, read):
    largest = columns(500, first_event=1200)
    write(grown / "1.root", largest | {"weight": largest["weight"] * np.nan})
    with pytest.raises(DataError, match=r"1\.root.*weight.* is NaN"):
        prepare(dataset(grown), cache=tmp_path / "cache", parallel=backwards)
    (grown / "1.root").unlink()
    read.clear()
    prepare(dataset(grown), cache=tmp_path / "cache")
    assert not read


def unseen(function, tasks):
    """Work on a node with its own cache."""
    for task in tasks:
        done = function(task)
        shutil.rmtree(task.folder)
        yield done


def without_files(function, tasks):
    """Work on a node that has none of the files."""
    for task in tasks:
        yield function(replace(task, source=replace(task.source, path=Path("/nowhere"))))


def with_other_files(function, tasks):
    """Work on a node with another state of the files."""
    for task in tasks:
        signature = task.signature._replace(inode=0)
        yield function(replace(task, sha256="0" * 64, signature=signature))


@pytest.mark.parametrize("run", [unseen, without_files, with_other_files])
def test_files_and_extracts_that_are_not_shared_by_a_cluster_are_read_here(ntuples, tmp_path, run):
    def parallel(sizes):
        del sizes
        return contextlib.nullcontext(run)

    listener = Listener()
    folder = prepare(dataset(ntuples), cache=tmp_path / "one", progress=listener, parallel=parallel)
    assert content(folder) == content(prepare(dataset(ntuples), cache=tmp_path / "two"))
    assert len(listener.said) == 3
    assert "0.root: is not on all nodes of the cluster" in listener.said[0]


def test_copy_of_a_file_on_a_node_is_as_good(ntuples, tmp_path):
    """Its times and inode are others, its content is the same."""

    def local(sizes):
        def run(function, tasks):
            for task in tasks:
                path = Path(shutil.copy(task.source.path, tmp_path / task.source.path.name))
                yield function(replace(task, source=replace(task.source, path=path)))

        assert len(sizes) == 3
        return contextlib.nullcontext(run)

    listener = Listener()
    folder = prepare(dataset(ntuples), cache=tmp_path / "one", progress=listener, parallel=local)
    assert not listener.said
    assert content(folder) == content(prepare(dataset(ntuples), cache=tmp_path / "two"))


def test_damaged_extract_is_made_anew(grown, tmp_path, read):
    first = prepare(dataset(grown), cache=tmp_path)
    before = content(first)
    shutil.rmtree(first)
    part = next((tmp_path / "extracts").glob("*/copied-00000.bin"))
    part.write_bytes(part.read_bytes()[:-1])
    read.clear()
    assert content(prepare(dataset(grown), cache=tmp_path)) == before
    assert len(read) == 2


TWICE = """
import sys
from pathlib import Path
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import dataset

print("ready", flush=True)
sys.stdin.readline()
print(prepare(dataset(sys.argv[1], chunk_size=int(sys.argv[3])), cache=Path(sys.argv[2])))
"""


@pytest.mark.service
def test_two_processes_that_read_the_same_files_at_once_agree(ntuples, tmp_path):
    """Two datasets of the same extracts; the lock of the dataset does not part them."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    root, cache = Path(__file__).parents[2], tmp_path / "cache"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TWICE, str(ntuples), str(cache), str(size)], cwd=root, **pipes
        )
        for size in (100, 99)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    folders = [Path(process.communicate(timeout=60)[0].strip()) for process in running]
    for folder, size in zip(folders, (100, 99), strict=True):
        alone = prepare(dataset(ntuples, chunk_size=size), cache=tmp_path / "alone")
        assert content(folder) == content(alone)
        open_dataset(folder).verify()
    extracts = [path for path in (cache / "extracts").iterdir() if path.is_dir()]
    assert len(extracts) == 3


def refused(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("locks", [True, False])
def test_extract_that_appears_meanwhile_is_taken(ntuples, tmp_path, monkeypatch, locks):
    """On a shared folder without locks another node may make it at the same time."""
    if not locks:
        monkeypatch.setattr("fcntl.flock", refused)
    other, made = prepare(dataset(ntuples, chunk_size=99), cache=tmp_path / "other"), []
    iterate = RootTree.iterate

    def meanwhile(self, *arguments, **options):
        yield from iterate(self, *arguments, **options)
        if not made:
            made.append(1)
            shutil.copytree(
                tmp_path / "other" / "extracts", tmp_path / "extracts", dirs_exist_ok=True
            )

    monkeypatch.setattr(RootTree, "iterate", meanwhile)
    folder = prepare(dataset(ntuples, chunk_size=99), cache=tmp_path)
    assert content(folder) == content(other)
