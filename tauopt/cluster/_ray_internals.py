"""Switch off private settings of Ray 2.60 for the length of a block: Ray has no options for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType

from tauopt.errors import ServiceError


def loopback_only() -> contextlib.AbstractContextManager[None]:
    """Make a Ray that is started in the block listen on 127.0.0.1 alone.

    Raises:
        ServiceError: this Ray has no such setting.
    """
    from ray._private import ray_constants

    # Without clusters Ray listens on the loopback; that is its default on macOS and Windows.

    return _switched_off(ray_constants, "ENABLE_RAY_CLUSTER", purpose="listens on 127.0.0.1 alone")


def nodes_not_printed() -> contextlib.AbstractContextManager[None]:
    """Keep Ray from printing changes of nodes to stdout, between our results.

    Raises:
        ServiceError: this Ray has no such setting.
    """
    from ray._private import worker

    return _switched_off(worker, "_worker_logs_enabled", purpose="leaves stdout to results")


@contextlib.contextmanager
def _switched_off(module: ModuleType, name: str, *, purpose: str) -> Iterator[None]:
    import ray

    before = getattr(module, name, None)
    if not isinstance(before, bool):  # to set a name that Ray does not read would have no effect
        raise ServiceError(
            f"Ray {ray.__version__} has no switch {module.__name__}.{name}, by which it {purpose}; "
            "pip install --upgrade tauopt brings a Ray that has"
        )
    setattr(module, name, False)
    try:
        yield
    finally:
        setattr(module, name, before)
