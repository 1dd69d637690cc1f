"""A bad configuration is refused: by the clock, and against Python with what it needs.

python -m tests.benchmarks.bench_validate
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

FILE = Path(__file__).parents[1] / "data" / "bad_unknown_key.yaml"
RUNS = 7
BARE = "import pydantic, typer, yaml"


def seconds(*words: str) -> float:
    """Return how long a Python takes from its start to its end."""
    begun = time.monotonic()
    subprocess.run([sys.executable, *words], capture_output=True, check=False)
    return time.monotonic() - begun


def main() -> None:
    """Measure both in turn, and print medians."""
    seconds("-m", "tauopt", "validate", str(FILE))  # compiles
    pairs = [
        (seconds("-m", "tauopt", "validate", str(FILE)), seconds("-c", BARE)) for _ in range(RUNS)
    ]
    refused, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"a bad configuration is refused within {refused:.2f} s")
    print(
        f"Python with pydantic, typer and PyYAML starts within {bare:.2f} s: {ratio:.2f} times that"
    )


if __name__ == "__main__":
    main()
