"""The user's shell command that is run once when a search has ended, stopped or failed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tauopt.study.leaderboard_rows import LeaderboardRow
from tauopt.study.search_events import OnEvent, SearchEvent

OUTPUT = "notify.txt"
"""File of the command's output, in the search's folder."""
TIMEOUT_S = 60.0
"""Largest time that the command may take."""
_TEXT_LIMIT = 4000
"""Characters of an environment variable."""

EndState = Literal["complete", "exhausted", "budget", "stopped", "failed"]


@dataclass(frozen=True)
class SearchEnd:
    """How a driver's run of a search ended."""

    state: EndState
    """`complete`: all trials have ended; `exhausted`: all points are tried; `budget`: its limit is
    reached; `stopped`: by a signal or `tauopt stop`; `failed`: by an error, or every trial did."""
    reason: str
    best: LeaderboardRow | None = None
    """The best complete trial; of several objectives the best in the first one."""


def variables_of(end: SearchEnd, *, name: str, objective: str, folder: Path) -> dict[str, str]:
    """Return the environment variables of the command; empty text where a value is unknown.

    Args:
        end: how the search ended.
        name: name of the search.
        objective: its first objective.
        folder: its folder.
    """
    best = end.best
    value = best.estimate[0] if best else None
    values = {
        "TAUOPT_SEARCH": name,
        "TAUOPT_STATE": end.state,
        "TAUOPT_REASON": end.reason,
        "TAUOPT_OBJECTIVE": objective,
        "TAUOPT_BEST": "" if value is None else repr(value),
        "TAUOPT_BEST_RUN": best.run_to_promote if best else "",
        "TAUOPT_FOLDER": str(folder),
    }
    # A null character can't be in an environment variable.
    return {key: value.replace("\0", " ")[:_TEXT_LIMIT] for key, value in values.items()}


def notify(
    command: str,
    variables: Mapping[str, str],
    *,
    folder: Path,
    on_event: OnEvent,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Run a shell command and wait for its end; whatever fails is a note and no error.

    Args:
        command: for `/bin/sh`; runs in the working directory of this process.
        variables: environment variables beside those of this process.
        folder: of the search; the command's output goes into its `notify.txt`.
        on_event: called with a note if the command can't be run, fails or takes too long.
        timeout_s: after that, the command and the processes that it started are killed.
    """
    output = folder / OUTPUT
    try:
        ended = _run(command, {**os.environ, **variables}, output, timeout_s)
    except OSError as error:
        problem = f"the command could not be run: {error}"
    except subprocess.TimeoutExpired:
        problem = f"the command was killed after {timeout_s:g} s; its output is in {output}"
    else:
        if ended == 0:
            return
        problem = f"the command ended with exit code {ended}; its output is in {output}"
    on_event(SearchEvent("note", message=f"search.notify: {problem}"))


def _run(command: str, environment: Mapping[str, str], output: Path, timeout_s: float) -> int:
    with output.open("wb") as stream:
        # In a session of its own: Ctrl-C at the terminal stops the search, not the message on it.
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
