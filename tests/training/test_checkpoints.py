from __future__ import annotations

import numpy as np
import pytest

from tauopt.errors import CorruptError
from tauopt.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


def checkpoint(number: int) -> Checkpoint:
    rng = np.random.default_rng(number)
    arrays = {
        "network": [rng.normal(size=(3, 2)).astype(np.float32), np.arange(12, dtype=np.uint32)],
        "optimizer": [np.int64(number), *rng.normal(size=(11, 2)).astype(np.float32)],
    }
    return Checkpoint({"seen": number, "history": [{"loss": 0.1 + 0.2}]}, arrays)


def files(folder):
    return sorted((folder / "checkpoints").iterdir())


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    assert dict(a.state) == dict(b.state)
    assert list(a.arrays) == list(b.arrays)
    for purpose in a.arrays:
        for x, y in zip(a.arrays[purpose], b.arrays[purpose], strict=True):
            np.testing.assert_array_equal(x, y, strict=True)


def test_a_checkpoint_reads_back(tmp_path):
    save_checkpoint(tmp_path, checkpoint(1))
    assert_same(load_checkpoint(tmp_path), checkpoint(1))


def test_a_folder_without_checkpoint_has_none(tmp_path):
    assert load_checkpoint(tmp_path / "nothing") is None


def test_the_two_newest_are_kept(tmp_path):
    for number in range(1, 13):
        save_checkpoint(tmp_path, checkpoint(number))
    assert len(files(tmp_path)) == 2
    assert_same(load_checkpoint(tmp_path), checkpoint(12))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path, damage, caplog):
    save_checkpoint(tmp_path, checkpoint(1))
    newest = save_checkpoint(tmp_path, checkpoint(2))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    bad = {"flip": content, "cut": content[:-200], "empty": b"", "text": b"hello\nworld"}
    newest.write_bytes(bytes(bad[damage]))
    assert_same(load_checkpoint(tmp_path), checkpoint(1))
    assert str(newest) in caplog.text
    save_checkpoint(tmp_path, checkpoint(3))
    assert_same(load_checkpoint(tmp_path), checkpoint(3))


def test_when_no_checkpoint_is_whole_the_trial_does_not_start_again_in_silence(tmp_path):
    save_checkpoint(tmp_path, checkpoint(1)).write_bytes(b"")
    with pytest.raises(CorruptError, match="no checkpoint is whole"):
        load_checkpoint(tmp_path)


def test_a_half_written_checkpoint_is_ignored(tmp_path):
    path = save_checkpoint(tmp_path, checkpoint(1))
    path.with_name(".00000002.checkpoint.abc.tmp").write_bytes(b"half")
    assert_same(load_checkpoint(tmp_path), checkpoint(1))


def test_a_failed_write_leaves_the_earlier_ones(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, checkpoint(1))
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        save_checkpoint(tmp_path, checkpoint(2))
    monkeypatch.undo()
    assert_same(load_checkpoint(tmp_path), checkpoint(1))
