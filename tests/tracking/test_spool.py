from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import time

import pytest

from tauopt.durable import sha256_file
from tauopt.errors import DataError
from tauopt.tracking.spool import SPOOL, SpoolTracker, read_records


def test_records_come_back_in_order_with_their_times(tmp_path):
    before = time.time_ns() // 1_000_000
    tracker = SpoolTracker(tmp_path)
    tracker.start(
        params={"units": 32, "nesterov": True, "rate": 1e-3, "cell": "gru"}, tags={"a": "b"}
    )
    tracker.metrics({"auc": 0.97, "loss": 0.3}, step=1000)
    tracker.tags({"note": "x"})
    start, metrics, tags = read_records(tmp_path)
    assert [r.number for r in (start, metrics, tags)] == [1, 2, 3]
    assert start.params == {"units": "32", "nesterov": "true", "rate": "0.001", "cell": "gru"}
    assert (metrics.step, metrics.values) == (1000, {"auc": 0.97, "loss": 0.3})
    assert tags.tags == {"note": "x"}
    assert before <= start.time_ms <= metrics.time_ms <= tags.time_ms


def test_reading_continues_from_the_end_of_a_record(tmp_path):
    tracker = SpoolTracker(tmp_path)
    tracker.metrics({"auc": 0.5}, step=1)
    end = read_records(tmp_path)[-1].end
    assert read_records(tmp_path, end) == []
    tracker.metrics({"auc": 0.6}, step=2)
    assert [r.step for r in read_records(tmp_path, end)] == [2]


@pytest.mark.parametrize("torn", [b'{"number": 2, "ti', b"\x00\x00\x00", b"nonsense\n", b"{}\n"])
def test_incomplete_last_line_is_ignored_by_the_reader_and_cut_by_the_next_writer(tmp_path, torn):
    SpoolTracker(tmp_path).metrics({"auc": 0.5}, step=1)
    with (tmp_path / SPOOL).open("ab") as stream:
        stream.write(torn)
    assert [r.step for r in read_records(tmp_path)] == [1]
    SpoolTracker(tmp_path).metrics({"auc": 0.6}, step=2)
    assert [(r.number, r.step) for r in read_records(tmp_path)] == [(1, 1), (2, 2)]


def test_nan_and_infinities_survive_in_the_spool(tmp_path):
    SpoolTracker(tmp_path).metrics({"a": math.nan, "b": math.inf, "c": -math.inf}, step=0)
    for line in (tmp_path / SPOOL).read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    values = read_records(tmp_path)[0].values
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_artifact_is_recorded_with_its_path_and_digest(tmp_path):
    inside, beside = tmp_path / "s" / "t000" / "figures" / "roc.png", tmp_path / "s" / "note.txt"
    outside = tmp_path / "note.txt"
    inside.parent.mkdir(parents=True)
    for path in (inside, beside, outside):
        path.write_bytes(path.name.encode())
    tracker = SpoolTracker(tmp_path / "s" / "t000")
    tracker.artifact(inside, folder="figures")
    tracker.artifact(beside)
    tracker.artifact(outside)
    first, second, third = read_records(tmp_path / "s" / "t000")
    assert (first.path, first.folder) == ("figures/roc.png", "figures")
    assert first.sha256 == sha256_file(inside)
    assert second.path == "../note.txt"
    assert third.path == str(outside)


def test_missing_artifact_is_an_error_at_once(tmp_path):
    with pytest.raises(DataError, match=r"roc\.png"):
        SpoolTracker(tmp_path).artifact(tmp_path / "roc.png")


def test_no_spool_gives_no_records(tmp_path):
    assert read_records(tmp_path / "nowhere") == []


def _write_until_killed(folder):
    tracker = SpoolTracker(folder)
    for step in range(1_000_000):
        tracker.metrics({"auc": 0.5, "loss": 0.25}, step=step)


def test_killed_writer_leaves_a_spool_without_holes(tmp_path):
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        process = context.Process(target=_write_until_killed, args=(tmp_path,))
        process.start()
        held = len(read_records(tmp_path))
        while len(read_records(tmp_path)) < held + 5:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    numbers = [r.number for r in read_records(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
