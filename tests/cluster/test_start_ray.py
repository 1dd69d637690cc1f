"""Ray started here listens on the loopback alone, and prints nothing to stdout."""

import contextlib
import os
from pathlib import Path

import pytest
import ray
from ray._private import ray_constants, worker

from tauopt.cluster import start_ray
from tauopt.errors import ServiceError

PRIVATE = ((ray_constants, "ENABLE_RAY_CLUSTER"), (worker, "_worker_logs_enabled"))


def processes_below(pid):
    """Return this process and its descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(state[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def listening(pid):
    """Return the addresses on which a process listens, in the kernel's hexadecimal."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed by now
            sockets.add(os.readlink(descriptor))
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [
        line[1].split(":")[0]
        for line in lines
        if line[3] == "0A" and f"socket:[{line[9]}]" in sockets
    ]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's tables of sockets")
def test_every_socket_that_ray_listens_at_is_on_the_loopback(ray_here):
    ray.get(ray.remote(lambda: None).remote())  # a worker that runs tasks is among them
    addresses = {pid: listening(pid) for pid in processes_below(os.getpid())}
    assert sum(map(bool, addresses.values())) > 3  # gcs, raylet, worker, this process
    assert set().union(*addresses.values()) <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_workers_are_as_nice_as_the_search(ray_here):
    assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)


def test_ray_s_messages_about_nodes_are_not_printed_between_results(ray_here, capsys):
    message = {"ip": "127.0.0.3", "pid": "raylet", "lines": ["The node has been marked dead"]}
    worker.print_to_stdstream({**message, "is_err": False, "job": None}, ignore_prefix=False)
    worker.print_to_stdstream({**message, "is_err": True, "job": None}, ignore_prefix=False)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def no_ray(monkeypatch):
    """The calls of a fake Ray whose start fails: the private settings at `init`, and `shutdown`."""
    calls = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("shutdown"))

    def init(**_):
        calls.append([getattr(module, name) for module, name in PRIVATE])
        raise OSError("no room for Ray")

    monkeypatch.setattr(ray, "init", init)
    return calls


def test_private_settings_of_ray_are_restored_also_if_it_does_not_start(no_ray):
    before = [getattr(module, name) for module, name in PRIVATE]
    with pytest.raises(ServiceError, match="no room"), start_ray.running(cpus=1, variables={}):
        pass
    assert no_ray == [[False, False], "shutdown"]
    assert [getattr(module, name) for module, name in PRIVATE] == before


@pytest.mark.parametrize(("module", "name"), PRIVATE)
def test_a_missing_private_setting_is_an_error_and_ray_is_not_started(
    no_ray, monkeypatch, module, name
):
    monkeypatch.delattr(module, name)
    with pytest.raises(ServiceError, match=name), start_ray.running(cpus=1, variables={}):
        pass
    assert [False, False] not in no_ray
    assert not hasattr(module, name)


def test_a_ray_that_listens_beyond_the_loopback_is_shut_down(no_ray, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "192.168.1.7")
    with (
        pytest.raises(ServiceError, match=r"listens at 192\.168\.1\.7"),
        start_ray.running(cpus=1, variables={}),
    ):
        pass
    assert no_ray == ["shutdown"]


@pytest.mark.parametrize(("set_by_hand", "expected"), [(None, "0"), ("10", "10")])
def test_niceness_that_the_user_has_set_is_kept(monkeypatch, set_by_hand, expected):
    monkeypatch.delenv(start_ray.NICENESS, raising=False)
    if set_by_hand is not None:
        monkeypatch.setenv(start_ray.NICENESS, set_by_hand)
    with start_ray.environment({}):
        assert os.environ[start_ray.NICENESS] == expected
    assert os.environ.get(start_ray.NICENESS) == set_by_hand
