"""Trials that lack memory: told apart by types and by the kernel's own counter, never by words.

Such a trial fails, and says what to change. Trained with smaller batches than it was proposed with,
it would give the sampler the value of a point that nobody trained.
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
    """Say whether an error is Python's or TensorFlow's lack of memory."""
    if isinstance(error, MemoryError):
        return True
    tensorflow = sys.modules.get("tensorflow")  # its errors come only from where it is loaded
    return tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)


def out_of_memory_kills(*, process: Path = _PROCESS, mount: Path = _MOUNT) -> int:
    """Return how many processes of this one's cgroup the kernel has killed for lack of memory.

    Workers on this machine are in the same cgroup. Zero where there is no such counter.

    Args:
        process: list of a process's cgroups, as in `/proc`.
        mount: where cgroups are mounted.
    """
    for file in _counters(process, mount):
        try:
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts[_KILLS])
        except (OSError, ValueError, KeyError):
            continue
    return 0


def _counters(process: Path, mount: Path) -> Iterator[Path]:
    """Yield files that may count, of cgroups version 2 and 1; a container sees its own as root."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for place in (path.lstrip("/"), ""):
            if not controllers:
                yield mount / place / "memory.events"
            elif "memory" in controllers.split(","):
                yield mount / "memory" / place / "memory.oom_control"
