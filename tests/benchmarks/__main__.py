"""Run all benchmarks one after another, each in a process of its own, or those named.

python -m tests.benchmarks [stream direct feed ...]
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run them; returns how many failed."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    chosen = [f"bench_{name}" for name in sys.argv[1:]] or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        sys.exit(f"no {', '.join(unknown)}; there are {', '.join(known)}")
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {platform.machine()}, Python {platform.python_version()}")
    failed = 0
    for name in chosen:
        print(f"\n{name}", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
        failed += subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
