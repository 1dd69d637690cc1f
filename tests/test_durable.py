import json
import os
import subprocess
import sys

import pytest

from tauopt import durable
from tauopt.errors import InvalidNameError, LockedError


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\0b", ".hidden", "", "x" * 65, "ta\u0301u", "\u202eabc", "-x", "a b"]
)
def test_a_name_that_could_leave_its_folder_is_refused(name):
    with pytest.raises(InvalidNameError, match="not allowed"):
        durable.check_name(name)


@pytest.mark.parametrize("name", ["tau-id", "a", "7TeV_v1.2", "x" * 64])
def test_a_plain_name_is_kept(name):
    assert durable.check_name(name) == name


def test_a_failed_write_leaves_the_earlier_state(tmp_path):
    path = tmp_path / "state.json"
    durable.write_json(path, {"a": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        durable.write_with(path, fail)
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_file_keeps_the_suffix(tmp_path):
    seen = []
    durable.write_with(tmp_path / "m.keras", lambda t: (seen.append(t.suffix), t.touch()))
    assert seen == [".keras"]


def test_a_folder_appears_only_when_whole(tmp_path):
    target = tmp_path / "deep" / "folder"

    def stop_halfway():
        with durable.new_folder(target) as temporary:
            (temporary / "x").write_text("1")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_halfway()
    assert list(target.parent.iterdir()) == []
    with durable.new_folder(target) as temporary:
        (temporary / "x").write_text("1")
    assert [p.name for p in target.iterdir()] == ["x"]


def test_a_folder_that_somebody_else_finished_first_stays_theirs(tmp_path):
    target = tmp_path / "folder"
    with durable.new_folder(target) as mine:
        (mine / "x").write_text("mine")
        target.mkdir()
        (target / "x").write_text("theirs")
    assert (target / "x").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_json_with_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        durable.write_json(tmp_path / "x.json", {"a": float("nan")})


HOLD = (
    "import sys, time, pathlib; from tauopt import durable\n"
    "with durable.locked(pathlib.Path(sys.argv[1]), what='the search'):\n"
    "    print('held', flush=True); time.sleep(60)"
)


def test_a_held_lock_names_its_holder_and_a_dead_holders_lock_is_free(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with (
            pytest.raises(LockedError, match=f"the search is held by process {holder.pid}"),
            durable.locked(path, what="the search"),
        ):
            pass
        holder.kill()
    with durable.locked(path, what="the search"):
        assert f"process {os.getpid()}" in path.read_text()


def test_the_holder_of_a_lock_is_found_without_taking_the_lock(tmp_path):
    path = tmp_path / "lock"
    assert durable.lock_holder(path) == ""
    hold = (
        "import sys, pathlib; from tauopt.durable import locked\n"
        f"with locked(pathlib.Path({str(path)!r}), what='x'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert durable.lock_holder(path).startswith(f"process {process.pid}")
        process.stdin.close()
    assert durable.lock_holder(path) == ""


def test_json_keeps_the_order_of_keys(tmp_path):
    durable.write_json(tmp_path / "x.json", {"jet": 0, "1p0n": 1})
    assert list(json.loads((tmp_path / "x.json").read_text())) == ["jet", "1p0n"]
