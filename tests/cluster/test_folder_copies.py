"""A copy on a node is whole, or does not exist."""

import numpy as np
import pytest

from tauopt.cluster import folder_copies
from tauopt.cluster.folder_copies import Receiver, copy_to_node
from tauopt.cluster.node_functions import training_nodes
from tauopt.durable import sha256_file
from tauopt.errors import DataError, ServiceError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with files of no, one, and several pieces, at any depth."""
    monkeypatch.setattr(folder_copies, "PIECE_BYTES", 1000)
    here = tmp_path / "here"
    (here / "a" / "b").mkdir(parents=True)
    rng = np.random.default_rng(5)
    for name, size in (("empty", 0), ("small", 10), ("a/even", 3000), ("a/b/odd", 3001)):
        (here / name).write_bytes(rng.bytes(size))
    return here


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def digests(folder):
    return {name: sha256_file(folder / name) for name in contents(folder)}


def test_all_files_come_whole(folder, tmp_path):
    receiver = Receiver(str(tmp_path / "there"))
    for name, piece in folder_copies._pieces(folder):
        assert len(piece) <= 1000
        receiver.write(name, piece)
    assert not (tmp_path / "there").exists()
    receiver.finish(digests(folder))
    assert contents(tmp_path / "there") == contents(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "there"]


def test_a_copy_that_differs_is_not_put_in_place(folder, tmp_path):
    receiver = Receiver(str(tmp_path / "there"))
    for name, piece in folder_copies._pieces(folder):
        receiver.write(name, piece[:-1] + b"?" if name == "small" else piece)
    with pytest.raises(DataError, match="small has changed"):
        receiver.finish(digests(folder))
    assert not (tmp_path / "there").exists()


def test_a_node_that_has_the_folder_keeps_its_own(folder, ray_here):
    """The only node here shares our disk; tests/stack has a node that does not."""
    before = contents(folder)
    (node,) = training_nodes()
    copy_to_node(folder, node.id)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["here"]
    with pytest.raises(ServiceError, match="can't be copied"):
        copy_to_node(folder, "0" * 56)
