"""A real search on a stack of which a random part is killed again and again.

    python -m tests.stack.chaos --seeds 10 --seconds 180

prints a line a seed: what was killed how often, and that nothing was lost or doubled.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.stack.searches import check_whole, search_words, write_files
from tests.stack.stack import Stack, running

EVERY_S = 20.0
TRAINS = b"ray::TrialWorker"
PARTS = ("driver", "trial", "node", "postgres", "mlflow")
EPOCHS = 200
"""With so many a trial takes ten seconds and more."""
PATIENCE_S = 420.0
"""How long the search may take once nothing is killed any more."""


@dataclass
class Outcome:
    """What was done to a search, and what became of it."""

    seed: int
    killed: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    trials: int = 0
    reproduced: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        kills = ", ".join(f"{self.killed[part]} {part}" for part in PARTS)
        return (
            f"seed {self.seed}: {sum(self.killed.values())} kills ({kills}), {self.resumed} "
            f"resumes, {self.trials} trials whole, best reproduced {self.reproduced}, "
            f"{self.seconds:.0f} s"
        )


def chaos(stack: Stack, *, seed: int, seconds: float, trials: int, epochs: int = EPOCHS) -> Outcome:
    """Search while parts are killed, then check that all is there, once.

    Args:
        stack: that runs; all of it runs again in the end.
        seed: of what is killed.
        seconds: how long parts are killed.
        trials: that the search is asked for.
        epochs: of each trial; a slow machine has enough with fewer.
    """
    rng = np.random.default_rng(seed)
    name, begun, outcome = f"chaos-{seed}", time.monotonic(), Outcome(seed)
    longer = [
        f"search.sampler.seed={seed}",
        f"training.epochs={epochs}",
        f"training.early_stopping.patience={epochs}",
        "search.pruner={type: none}",
    ]
    longer = [word for setting in longer for word in ("--set", setting)]
    driver = stack.command(*search_words(stack, name, *longer, trials=trials))
    while time.monotonic() - begun < seconds:
        _wait(driver, EVERY_S)
        if driver.poll() == 0:
            break
        part = str(rng.choice(PARTS))
        if not _kill(stack, driver, part):
            continue
        outcome.killed[part] += 1
        if driver.poll() is not None:
            driver = _resumed(stack, driver, name)
            outcome.resumed += 1
    give_up = time.monotonic() + PATIENCE_S
    while (code := driver.poll()) != 0:
        if code is not None:
            driver = _resumed(stack, driver, name)
            outcome.resumed += 1
        assert time.monotonic() < give_up, f"{name} does not end"
        _wait(driver, 5.0)
    brought = stack.run("sync", "-o", str(stack.folder / "out"))
    assert brought.returncode == 0, brought.stdout + brought.stderr
    check_whole(stack, name, trials=trials)
    outcome.trials = trials
    outcome.reproduced = _reproduced(stack, name)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _wait(driver: subprocess.Popen[str], seconds: float) -> None:
    """Let time pass, less if the driver ends; what it says is read so that it never blocks."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.communicate(timeout=seconds)


def _resumed(stack: Stack, driver: subprocess.Popen[str], name: str) -> subprocess.Popen[str]:
    """Go on with a search whose driver is gone: by its name, or anew if it had not begun."""
    place = ["-o", str(stack.folder / "out"), "--json"]
    record = stack.folder / "out" / "searches" / name / "experiment.yaml"
    if record.exists():
        return stack.command("resume", name, *place)
    return stack.command(*list(driver.args)[4:], "--resume")


def _kill(stack: Stack, driver: subprocess.Popen[str], part: str) -> bool:
    """Kill a part and start it again; False if there was nothing to kill."""
    if part == "driver":
        if driver.poll() is not None:
            return False
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    elif part == "trial":
        return _kill_trial(stack)
    elif part == "node":
        stack.kill("ray-worker-0")
        stack.start("ray-worker-0", service="ray-worker", RAY_NODE_IP="127.0.0.3")
    elif part == "postgres":
        stack.kill("postgres", signal.SIGQUIT)
        stack.start_postgres()
    else:
        stack.kill("mlflow")
        stack.start("mlflow")
    return True


def _kill_trial(stack: Stack) -> bool:
    """Kill a process that trains a trial: Ray names it after the actor that it holds."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if not (place / "cmdline").read_bytes().startswith(TRAINS):
                continue
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            raylet = Path("/proc", parent, "cmdline").read_bytes()
            if str(stack.folder).encode() in raylet:  # and not of another stack
                os.kill(int(place.name), signal.SIGKILL)
                return True
    return False


def _reproduced(stack: Stack, name: str) -> str:
    """Train the best trial again from its record; returns the outcome."""
    place = ["-o", str(stack.folder / "out"), "--json"]
    board = json.loads(stack.run("leaderboard", name, *place).stdout)
    told = stack.run("reproduce", board["trials"][0]["run_id"], *place)
    assert told.returncode == 0, told.stdout + told.stderr
    return str(json.loads(told.stdout)["outcome"])


def main() -> None:
    """Run several seeds, each on a stack of its own, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    asked = parser.parse_args()
    for seed in range(asked.first, asked.first + asked.seeds):
        with tempfile.TemporaryDirectory(prefix="tauopt-chaos-", ignore_cleanup_errors=True) as at:
            Path(at).chmod(0o755)
            with running(Path(at)) as stack:
                write_files(Path(at))
                outcome = chaos(
                    stack,
                    seed=seed,
                    seconds=asked.seconds,
                    trials=asked.trials,
                    epochs=asked.epochs,
                )
                print(outcome, flush=True)


if __name__ == "__main__":
    main()
