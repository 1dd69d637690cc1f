"""What a trial costs on a warm process beyond training, and what a cold one costs.

Run `python -m tests.benchmarks.bench_trial [network] [trials]`; networks: rnn (the ATLAS
baseline), deepsets, dense. Each trial trains three epochs of a small sample. The first call of
`fit` and of the prediction traces a graph: its cost is its time less that of a later call. The
first column is wall time; CPU time tells more on a machine that others use too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

TARGET_S = 0.6
PARTS = {
    "forget earlier models": ("network_and_data", "forget_models"),
    "build and compile": ("network_and_data", "Trainer"),
    "fit": ("train_trial", "fit"),
    "predict": ("network_and_data", "Trainer.predict"),
    "checkpoint": ("train_trial", "save_checkpoint"),
    "figures": ("trial_results", "write_figures"),
    "save the model": ("trial_results", "save_model"),
}
"""Part -> module of tauopt.training, and the name in it that is timed."""


class Clock:
    """Adds up wall and CPU time by part, call by call."""

    def __init__(self) -> None:
        self.calls = defaultdict(list)

    def timed(self, part, function):
        def call(*args, **kwargs):
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - wall, time.process_time() - cpu
                self.calls[part].append(spent)

        return call

    def install(self) -> None:
        """Time each part wherever the trial calls it."""
        import importlib

        for part, (module, path) in PARTS.items():
            holder = importlib.import_module(f"tauopt.training.{module}")
            *outer, name = path.split(".")
            for step in outer:
                holder = getattr(holder, step)
            found = getattr(holder, name)
            if isinstance(found, type):
                holder, name, found = found, "__init__", found.__init__
            setattr(holder, name, self.timed(part, found))


def split(calls) -> dict[str, tuple[float, float]]:
    """Return (wall, CPU) seconds of a trial by part, with what the first calls take more."""
    parts = {}
    for part, spent in calls.items():
        total = tuple(map(sum, zip(*spent, strict=True)))
        if part in ("fit", "predict"):
            later = [statistics.median(values) for values in zip(*spent[1:], strict=True)]
            first = tuple(max(0.0, a - b) for a, b in zip(spent[0], later, strict=True))
            parts[f"first {part}"] = first
            parts[f"{part} else"] = tuple(a - b for a, b in zip(total, first, strict=True))
        else:
            parts[part] = total
    inner = parts["forget earlier models"]
    parts["build and compile"] = tuple(
        a - b for a, b in zip(parts["build and compile"], inner, strict=True)
    )
    return parts


def plans(network: str, folder: Path):
    """Yield the plans of trials, each in a folder of its own."""
    from tests.prepared_factory import prepared_dataset
    from tests.training.toys import NETWORKS, plan

    NETWORKS[network] = {"type": network}
    dataset = prepared_dataset(folder, candidates=5000, chunk_size=1000)
    number = 0
    while True:
        number += 1
        target = folder / f"t{number}"
        yield plan(
            dataset, target, network=network, seed=number, epochs=3, batch_size=256,
            early_stopping=None,
        )  # fmt: skip


def main(network: str = "rnn", trials: int = 8) -> None:
    """Print the split of a cold trial and the median of warm ones."""
    begun = time.perf_counter()
    from tauopt.training.train_trial import run_trial
    from tests.training.toys import Recorder

    imported = time.perf_counter() - begun
    clock = Clock()
    clock.install()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for _, the_plan in zip(range(trials + 1), plans(network, Path(folder)), strict=False):
            clock.calls.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            list(run_trial(the_plan, tracker=Recorder()))
            total = time.perf_counter() - wall, time.process_time() - cpu
            parts = split(clock.calls)
            known = [sum(values) for values in zip(*parts.values(), strict=True)]
            parts["the rest"] = tuple(a - b for a, b in zip(total, known, strict=True))
            work = [parts[name] for name in ("fit else", "predict else", "figures")]
            spent = [sum(values) for values in zip(*work, strict=True)]
            parts["all"] = total
            parts["overhead"] = tuple(a - b for a, b in zip(total, spent, strict=True))
            rows.append(parts)
    print(f"{network}: imports {imported:.1f} s")
    print(f"{'':24} {'cold':>8} {'warm':>8} {'CPU':>8}   (s, median of {trials} warm trials)")
    for part in rows[0]:
        warm, cpu = (statistics.median(row[part][i] for row in rows[1:]) for i in (0, 1))
        print(f"{part:24} {rows[0][part][0]:8.3f} {warm:8.3f} {cpu:8.3f}")
    overhead = statistics.median(row["overhead"][0] for row in rows[1:])
    print(f"overhead beyond training, prediction and figures: {overhead:.2f} s, aim {TARGET_S} s")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
