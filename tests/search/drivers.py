"""Drivers in processes of their own, which are killed at a chosen event."""

import multiprocessing
import os
import signal

from tauopt.cluster._ray_internals import loopback_only
from tauopt.search.driver import run_search
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup
from tests.search.without_ray import without_ray

# Forked from a server that has the heavy imports already: a driver starts in no time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.search.drivers", "mlflow", "ray.tune"])


class Death:
    """Kills the driver by SIGKILL inside the n-th event of a kind."""

    def __init__(self, kind, count):
        self.kind, self.left = kind, count

    def __call__(self, event):
        self.left -= event.kind == self.kind
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def drive(folder, death, *, fake=True, ray=True, **kwargs):
    """Run or resume the search in `folder`, up to `death` (a kind of event and its count)."""
    on_event = Death(*death) if death else lambda event: None
    worker = FakeWorker if fake else None
    with loopback_only() if ray else without_ray():  # the test's Ray is on the loopback
        run_search(make_setup(folder, resume=True, **kwargs), on_event=on_event, worker=worker)


def driven(folder, death, **kwargs):
    """Drive in a process of its own and return its exit code."""
    there = (dict(os.environ), folder, death)
    process = CONTEXT.Process(target=_drive_there, args=there, kwargs=kwargs)
    process.start()
    process.join()
    return process.exitcode


def _drive_there(environment, folder, death, **kwargs):
    """Drive in this test's environment: the server has that of the first test, and its Ray."""
    os.environ.clear()
    os.environ.update(environment)
    drive(folder, death, **kwargs)
