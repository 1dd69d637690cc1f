"""Checks of cluster nodes; nodes that differ are simulated."""

import dataclasses
import time

import pytest
import ray

from tauopt.config.settings.experiment import Resources
from tauopt.errors import ServiceError
from tauopt.search import node_checks, ray_resources
from tauopt.search.node_checks import NodeWatch, check_node_infos, check_nodes, node_info

HERE = node_info([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "0.1.0+abc"}, r"node b has tauopt 0\.1\.0\+abc, this driver .*install the same"),
        ({"python": "3.9.1"}, r"node b has Python 3\.9\.1"),
        ({"missing": ("/shared/out",)}, r"node b does not see /shared/out: .*nodes share it"),
    ],
)
def test_a_node_that_differs_is_named_with_what_to_do(change, message):
    with pytest.raises(ServiceError, match=message):
        check_node_infos({"a": HERE, "b": dataclasses.replace(HERE, **change)}, HERE)


def test_nodes_may_differ_in_the_patch_version_of_python():
    other = dataclasses.replace(HERE, python=HERE.python.rpartition(".")[0] + ".99")
    check_node_infos({"a": HERE, "b": other}, HERE)


def test_every_node_of_a_running_ray_is_checked(ray_here, tmp_path):
    infos = check_nodes([tmp_path])
    assert [*infos.values()] == [node_info([str(tmp_path)])]
    assert len(infos) == len(ray.nodes())
    with pytest.raises(ServiceError, match="does not see"):
        check_nodes([tmp_path / "nowhere"])


def test_a_node_that_joins_is_announced_once_and_one_that_differs_stops_the_search(
    ray_here, tmp_path, monkeypatch
):
    """The only node is new to the watch, as one that has joined."""
    monkeypatch.setattr(node_checks, "_COUNT_EVERY_S", 0.0)
    messages = []
    nodes = NodeWatch(shared=tmp_path, dataset=tmp_path, on_message=messages.append)
    give_up = time.monotonic() + 60
    while not messages and time.monotonic() < give_up:
        assert nodes.watch() == ""
        time.sleep(0.02)
    for _ in range(3):
        assert nodes.watch() == ""
    assert len(messages) == 1
    assert messages[0].endswith("has joined")
    strange = NodeWatch(shared=tmp_path / "nowhere", dataset=tmp_path, on_message=messages.append)
    while not strange.watch() and time.monotonic() < give_up:
        time.sleep(0.02)
    assert "does not see" in strange.watch()
    nodes = NodeWatch(shared=tmp_path, dataset=tmp_path, on_message=messages.append)
    nodes.check()
    nodes.watch()
    assert len(messages) == 2


def test_a_trial_has_a_place_only_while_it_fits(monkeypatch):
    offered = {"CPU": 4.0}
    monkeypatch.setattr(ray, "cluster_resources", lambda: offered)
    monkeypatch.setattr(ray_resources, "_SLOTS_S", 0.0)
    slots = ray_resources.Slots(Resources(cpus=2))
    assert slots() == 2
    offered["CPU"] = 1.0
    assert slots() == 0
    offered["CPU"] = 9.0
    assert slots() == 4
    assert ray_resources.Slots(Resources(cpus=2, concurrent=3))() == 3
