"""Ship the records of all trials to MLflow, in one background thread of the driver.

The thread replays the spools of all trials, and retries with back-off while MLflow is away, slow or
hanging. Only `drain` and `close` wait for it, for a limited time. Records that it could not send
stay on disk, and the next driver continues from the saved position.
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
"""Back-off after a failure: first pause, longest pause, and longest one while `drain` waits."""
_RESTS_PER_ROUND, _LONGEST_REST_S = 3.0, 5.0
"""Rest between rounds: as a multiple of the last round's duration, at most so many seconds."""


@dataclass(frozen=True)
class Undelivered:
    """Counts of what has not reached MLflow yet; `str()` is the message for the user."""

    records: int
    runs: int
    trouble: str
    """Last error of MLflow; empty if there was none."""

    def __str__(self) -> str:
        why = f" ({self.trouble})" if self.trouble else ""
        return (
            f"{self.records} records of {self.runs} runs have not reached MLflow{why}; they are "
            "safe on disk; send them with: tauopt sync"
        )


class Shipper:
    """Replays the spools of watched folders to MLflow in a background thread.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, client: MlflowClient, *, poll_s: float = 0.5) -> None:
        """Start the thread.

        Args:
            client: from `connect`.
            poll_s: seconds between two checks of the spools.
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
        """First line of MLflow's last error; empty while requests succeed."""
        self._thread = threading.Thread(target=self._work, name="tauopt-shipper", daemon=True)
        self._thread.start()

    def watch(self, uid: str, folder: Path, run: str | ChildRun) -> None:
        """Send the records in `folder` to a run from now on; return at once.

        A run that had ended becomes RUNNING again.

        Args:
            uid: unique id of the run, the same after a resume.
            folder: folder of the spool; `run.json` and `shipped.json` are written there.
            run: MLflow run id, or the `ChildRun` to find or create when MLflow answers.
        Raises:
            OSError: the folder can't be written.
            CorruptError: `run.json` in the folder is damaged.
        """
        earlier = read_wanted(Path(folder))
        now = now_ms()
        wanted = WantedRun(
            uid=uid,
            run_id=run if isinstance(run, str) else "",
            child=None if isinstance(run, str) else run,
            began_ms=earlier.began_ms if earlier else now,
            state_ms=now,
        )
        write_wanted(Path(folder), wanted)
        self._add(Path(folder), wanted)

    def deliver(self, folder: Path) -> None:
        """Send what an earlier driver left in `folder`; the run keeps the state in `run.json`."""
        wanted = read_wanted(Path(folder))
        if wanted is not None and wanted.uid not in self._replays:
            self._add(Path(folder), wanted)

    def finish(self, uid: str, state: RunState, reason: str = "") -> None:
        """End a watched run as soon as all its records are in MLflow; return at once.

        Call it when the trial writes no more records. The state is on disk, so it survives a kill
        of the driver.

        Raises:
            KeyError: no run with this uid is watched.
        """
        with self._lock:
            replay = self._replays[uid]
            wanted = replace(replay.wanted, state=state, reason=reason, state_ms=now_ms())
            write_wanted(replay.folder, wanted)
            replay.wanted = wanted
        self._wake.set()

    def run_id(self, uid: str) -> str | None:
        """Return the MLflow run id of a watched run; None until the run is created."""
        with self._lock:
            replay = self._replays.get(uid)
            return (replay.run_id if replay else self._ids.get(uid)) or None

    def wake(self) -> None:
        """Check the spools now instead of at the next poll."""
        self._wake.set()

    def drain(self, timeout_s: float) -> bool:
        """Wait until all records on disk are in MLflow; return False if the time is over before."""
        deadline = time.monotonic() + timeout_s
        self._draining = True
        self._wake.set()
        try:
            while self.undelivered():
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._thread.is_alive():
                    return False
                with self._idle:
                    self._idle.wait(min(remaining, 0.2))
            return True
        finally:
            self._draining = False

    def undelivered(self) -> Undelivered | None:
        """Return what is not in MLflow yet; None if everything is."""
        with self._lock:
            counts = [count for replay in self._replays.values() if (count := replay.left())]
        return Undelivered(sum(counts), len(counts), self.trouble) if counts else None

    def close(self, timeout_s: float = 30.0) -> Undelivered | None:
        """Drain for at most `timeout_s`, stop the thread, and return (and log) what is left."""
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
            replay = self._replays.get(wanted.uid)
            if replay is not None and replay.folder == folder and not replay.lost:
                replay.wanted = wanted
            else:
                self._replays[wanted.uid] = Replay(folder, wanted)
        self._wake.set()

    def _work(self) -> None:
        pause = _PAUSE_S
        while not self._stop.is_set():
            begun = time.monotonic()
            if self._ship_all():
                pause = _PAUSE_S
                self._wake.wait(self._rest_s(time.monotonic() - begun))
                self._wake.clear()
            else:
                self._back_off(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _rest_s(self, round_s: float) -> float:
        """Return how long to rest after a round that took `round_s`."""
        # With many runs a round is long: the longer rest gathers more records for each request.
        rest = min(_RESTS_PER_ROUND * round_s, _LONGEST_REST_S)
        return self._poll_s if self._draining else max(self._poll_s, rest)

    def _back_off(self, pause: float) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < pause and not self._stop.is_set():
            if self._draining and time.monotonic() - begun > _LONGEST_IN_DRAIN_S:
                return
            self._stop.wait(0.2)

    def _ship_all(self) -> bool:
        """Ship every folder once; stop and return False at the first error of MLflow."""
        with self._lock:
            replays = list(self._replays.items())
        succeeded = True
        for uid, replay in replays:
            try:
                replay.ship(self._client)
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever MLflow raises
                succeeded = False
                self._handle_failure(uid, replay, error)
                break
            self._drop_if_complete(uid, replay)
        if succeeded and self.trouble:
            log.info("MLflow answers again")
            self.trouble = ""
        with self._idle:
            self._idle.notify_all()
        return succeeded

    def _handle_failure(self, uid: str, replay: Replay, error: Exception) -> None:
        text = str(error).strip() or type(error).__name__
        trouble = text.splitlines()[0][:300]
        if not self.trouble:
            log.warning("MLflow does not accept records, they wait on disk: %s", trouble)
        log.debug("shipping %s failed", uid, exc_info=error)
        self.trouble = trouble
        with self._lock:  # to the end of the order: the next round begins with another run
            if self._replays.get(uid) is replay:
                self._replays[uid] = self._replays.pop(uid)

    def _drop_if_complete(self, uid: str, replay: Replay) -> None:
        with self._lock:
            if self._replays.get(uid) is replay and replay.is_complete():
                self._ids[uid] = replay.run_id
                del self._replays[uid]
