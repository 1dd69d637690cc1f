"""Lack of memory: recognised by types of errors and by the kernel's counter, never by messages.

Such a trial fails, with advice on what to change. It is not trained again with smaller batches,
because the sampler would get a value for a point that was not trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ADVICE = (
    "give the search a smaller training.batch_size, or its trials more memory "
    "(fewer at once: search.resources.concurrent)"
)
_PROCESS, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_KILLS = "oom_kill"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is Python's or TensorFlow's lack of memory."""
    if isinstance(error, MemoryError):
        return True
    tensorflow = sys.modules.get("tensorflow")  # not imported: then the error can't be its own
    return tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)


def out_of_memory_kills(*, process: Path = _PROCESS, mount: Path = _MOUNT) -> int:
    """Return how many processes of this process's cgroup the kernel has killed for lack of memory.

    Workers on this machine are in the same cgroup. Zero where there is no such counter.

    Args:
        process: file with a process's cgroups, as `/proc/self/cgroup`.
        mount: folder where cgroups are mounted.
    """
    for file in _counters(process, mount):
        try:
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts[_KILLS])
        except (OSError, ValueError, KeyError):
            continue
    return 0


def _counters(process: Path, mount: Path) -> Iterator[Path]:
    """Yield files that may have the counter, of cgroups version 2 and 1."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for group in (path.lstrip("/"), ""):  # in a container its own cgroup is the root
            if not controllers:
                yield mount / group / "memory.events"
            elif "memory" in controllers.split(","):
                yield mount / "memory" / group / "memory.oom_control"
