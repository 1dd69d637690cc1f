"""What every node of a cluster must have; nodes that really differ are no test's to make."""

import dataclasses

import pytest
import ray

from tauopt.config.experiment import Resources
from tauopt.errors import ServiceError
from tauopt.search import cluster
from tauopt.search.nodes import check_nodes, check_sights, look

HERE = look([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "0.1.0+abc"}, r"node b has tauopt 0\.1\.0\+abc, this driver .*install the same"),
        ({"python": "3.9.1"}, r"node b has Python 3\.9\.1"),
        ({"missing": ("/shared/out",)}, r"node b does not see /shared/out: .*TAUOPT_CACHE"),
    ],
)
def test_a_node_that_differs_is_named_with_what_to_do(change, message):
    with pytest.raises(ServiceError, match=message):
        check_sights({"a": HERE, "b": dataclasses.replace(HERE, **change)}, HERE)


def test_nodes_alike_pass_whatever_the_last_digit_of_their_python():
    other = dataclasses.replace(HERE, python=HERE.python.rpartition(".")[0] + ".99")
    check_sights({"a": HERE, "b": other}, HERE)


def test_every_node_of_a_running_ray_is_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with cluster.environment(), cluster.running_ray(Resources(concurrent=1)):
        found = check_nodes([tmp_path])
        assert [*found.values()] == [look([str(tmp_path)])]
        assert len(found) == len(ray.nodes())
        with pytest.raises(ServiceError, match="does not see"):
            check_nodes([tmp_path / "nowhere"])
