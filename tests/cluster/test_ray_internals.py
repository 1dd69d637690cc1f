"""What an upgrade of Ray must leave as it is, or `_ray_internals` must follow."""

import contextlib

import pytest
from ray._private import ray_constants, worker

from tauopt.cluster._ray_internals import loopback_only, nodes_not_printed
from tauopt.errors import ServiceError


@pytest.mark.parametrize(
    ("switch", "module", "name"),
    [
        (loopback_only, ray_constants, "ENABLE_RAY_CLUSTER"),
        (nodes_not_printed, worker, "_worker_logs_enabled"),
    ],
)
def test_a_switch_is_there_off_within_the_block_and_as_before_after_it(
    monkeypatch, switch, module, name
):
    monkeypatch.setattr(module, name, True)  # other tests may be within the block
    with contextlib.suppress(ZeroDivisionError), switch():
        assert getattr(module, name) is False
        raise ZeroDivisionError
    assert getattr(module, name) is True


def test_a_ray_without_the_switch_is_refused(monkeypatch):
    monkeypatch.delattr(ray_constants, "ENABLE_RAY_CLUSTER")
    with (
        pytest.raises(ServiceError, match=r"has no switch ray\._private\.ray_constants"),
        loopback_only(),
    ):
        pass
