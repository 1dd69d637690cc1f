"""The one thread that talks to MLflow while a search runs.

It lives in the driver, replays the spools of all trials, and waits with back-off while MLflow
is away, slow or hanging. Nobody waits for it, except `drain` and `close` with their bounds.
What it can't bring stays on disk, and the next driver goes on where it was.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.tracking.replay import ChildRun, Replay, WantedRun, now_ms, read_wanted, write_wanted
from tauopt.tracking.runs import RunState

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_IN_DRAIN_S = 0.5, 30.0, 2.0
_RESTS_PER_ROUND, _LONGEST_REST_S = 3.0, 5.0


@dataclass(frozen=True)
class Undelivered:
    """What has not reached MLflow yet; `str()` says it to the user."""

    records: int
    runs: int
    trouble: str

    def __str__(self) -> str:
        why = f" ({self.trouble})" if self.trouble else ""
        return (
            f"{self.records} records of {self.runs} runs have not reached MLflow{why}; they are "
            "safe on disk; bring them with: tauopt sync"
        )


class Shipper:
    """Replays the spools of watched folders to MLflow in a background thread.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, client: MlflowClient, *, poll_s: float = 0.5) -> None:
        """Start the thread.

        Args:
            client: from `connect`.
            poll_s: how often the spools are looked at.
        """
        self._client = client
        self._poll_s = poll_s
        self._replays: dict[str, Replay] = {}
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._draining = False
        self.trouble = ""
        """What MLflow answered last where it failed; empty while all is well."""
        self._thread = threading.Thread(target=self._work, name="tauopt-shipper", daemon=True)
        self._thread.start()

    def watch(self, uid: str, folder: Path, run: str | ChildRun) -> None:
        """Bring the records in `folder` to a run from now on; returns at once.

        Watching a run that had ended says that it runs again.

        Args:
            uid: the run's unique id, the same after a resume.
            folder: with the spool; `run.json` and `shipped.json` are written there.
            run: run id, or the `ChildRun` to find or create when MLflow answers.
        Raises:
            OSError: the folder can't be written.
        """
        known = read_wanted(Path(folder))
        now = now_ms()
        wanted = WantedRun(
            uid=uid,
            run_id=run if isinstance(run, str) else "",
            child=None if isinstance(run, str) else run,
            began_ms=known.began_ms if known else now,
            state_ms=now,
        )
        write_wanted(Path(folder), wanted)
        self._add(Path(folder), wanted)

    def deliver(self, folder: Path) -> None:
        """Bring what an earlier driver left in `folder`; its state stays as it was."""
        wanted = read_wanted(Path(folder))
        if wanted is not None and wanted.uid not in self._replays:
            self._add(Path(folder), wanted)

    def finish(self, uid: str, state: RunState, reason: str = "") -> None:
        """Give a watched run its end once all its records are there; returns at once.

        Call it when the trial writes no more. The state survives a kill of the driver.

        Raises:
            KeyError: nobody watches a run of that uid.
        """
        with self._lock:
            replay = self._replays[uid]
            wanted = replace(replay.wanted, state=state, reason=reason, state_ms=now_ms())
            write_wanted(replay.folder, wanted)
            replay.wanted = wanted
        self._wake.set()

    def run_id(self, uid: str) -> str | None:
        """Return the MLflow run id of a watched run; None until MLflow gave it."""
        with self._lock:
            replay = self._replays.get(uid)
            return (replay.run_id if replay else self._ids.get(uid)) or None

    def wake(self) -> None:
        """Look at the spools now rather than at the next poll."""
        self._wake.set()

    def drain(self, timeout_s: float) -> bool:
        """Wait until all that is on disk now is in MLflow; False if time ran out before."""
        deadline = time.monotonic() + timeout_s
        self._draining = True
        self._wake.set()
        try:
            while self.undelivered():
                rest = deadline - time.monotonic()
                if rest <= 0 or not self._thread.is_alive():
                    return False
                with self._idle:
                    self._idle.wait(min(rest, 0.2))
            return True
        finally:
            self._draining = False

    def undelivered(self) -> Undelivered | None:
        """Return what is not in MLflow yet; None if nothing."""
        with self._lock:
            lefts = [left for replay in self._replays.values() if (left := replay.left())]
        return Undelivered(sum(lefts), len(lefts), self.trouble) if lefts else None

    def close(self, timeout_s: float = 30.0) -> Undelivered | None:
        """Drain for at most `timeout_s`, stop the thread, and return what is left (also logged)."""
        self.drain(timeout_s)
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=2.0)
        left = self.undelivered()
        if left:
            log.warning("%s", left)
        return left

    def __enter__(self) -> Shipper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, folder: Path, wanted: WantedRun) -> None:
        with self._lock:
            known = self._replays.get(wanted.uid)
            if known is not None and known.folder == folder and not known.lost:
                known.wanted = wanted
            else:
                self._replays[wanted.uid] = Replay(folder, wanted)
        self._wake.set()

    def _work(self) -> None:
        pause = _PAUSE_S
        while not self._stop.is_set():
            begun = time.monotonic()
            if self._round_of_all():
                pause = _PAUSE_S
                self._wake.wait(self._rest_s(time.monotonic() - begun))
                self._wake.clear()
            else:
                self._back_off(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _rest_s(self, took: float) -> float:
        """Return how long to rest after a round: of many runs, more gathers for each request."""
        busy = min(_RESTS_PER_ROUND * took, _LONGEST_REST_S)
        return self._poll_s if self._draining else max(self._poll_s, busy)

    def _back_off(self, pause: float) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < pause and not self._stop.is_set():
            if self._draining and time.monotonic() - begun > _LONGEST_IN_DRAIN_S:
                return
            self._stop.wait(0.2)

    def _round_of_all(self) -> bool:
        """Ship every folder once; False as soon as MLflow fails."""
        with self._lock:
            replays = list(self._replays.items())
        well = True
        for uid, replay in replays:
            try:
                replay.ship(self._client)
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever MLflow raises
                well = False
                self._failed(uid, replay, error)
                break
            self._drop_if_over(uid, replay)
        if well and self.trouble:
            log.info("MLflow answers again")
            self.trouble = ""
        with self._idle:
            self._idle.notify_all()
        return well

    def _failed(self, uid: str, replay: Replay, error: Exception) -> None:
        text = str(error).strip() or type(error).__name__
        trouble = text.splitlines()[0][:300]
        if not self.trouble:
            log.warning("MLflow does not take records, they wait on disk: %s", trouble)
        log.debug("shipping %s failed", uid, exc_info=error)
        self.trouble = trouble
        with self._lock:  # the next round begins with another one
            if self._replays.get(uid) is replay:
                self._replays[uid] = self._replays.pop(uid)

    def _drop_if_over(self, uid: str, replay: Replay) -> None:
        with self._lock:
            if self._replays.get(uid) is replay and replay.over():
                self._ids[uid] = replay.run_id
                del self._replays[uid]
