"""When the drivers of a search ran and its trials trained, from the records that they left on disk.

A record with its time is written at each start or resume of a trial, at each report, and at the
beginning and the end of each driver.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tauopt.tracking.spool import Record

CUT_OFF = ("stopped", "killed", "died")
"""Endings of a worker session that did not end its trial: the driver stopped it, was killed with
it, or the worker died alone."""
SEEN, RATE = "candidates_seen", "candidates_per_s"
HALVED = "tauopt.batch_halved"
"""Tag of a trial that an earlier tauopt restarted with half its batch size when memory ran out."""


@dataclass(frozen=True)
class DriverSession:
    """The life of one driver; times in seconds since 1970."""

    begin: float
    end: float
    is_closed: bool
    """It ended by itself, and its trials wrote checkpoints. False: it was killed, and `end` is its
    last sign of life, or it still runs."""


@dataclass(frozen=True)
class WorkerSession:
    """A trial's uninterrupted time with one worker; times in seconds since 1970."""

    begin: float
    """When the study gave the trial to the worker."""
    ready: float
    """When its network was built; before that the worker started and imported libraries."""
    end: float
    ending: str
    """`complete`, `pruned`, `fail`, `running` or one of `CUT_OFF`."""
    lost_s: float = 0.0
    """Upper limit on the training time lost: seconds since the last report."""


@dataclass(frozen=True)
class TrialHistory:
    """What the records of one trial hold."""

    sessions: tuple[WorkerSession, ...] = ()
    candidates_seen: tuple[int, ...] = ()
    """At each report of the training that counts, increasing."""
    intervals: tuple[tuple[float, float], ...] = ()
    """68 % intervals of the first objective at these reports; empty if they are not recorded."""
    discarded_candidates: int = 0
    """Candidates seen before the trial restarted with half its batch size."""
    candidates_per_s: float | None = None
    """Training rate, the median over reports."""


def driver_sessions(
    records: Sequence[Record],
    activity: Iterable[float],
    *,
    now: float | None = None,
    closes: bool = False,
) -> list[DriverSession]:
    """Return the lives of a search's drivers, in order.

    Args:
        records: records of the search's own run.
        activity: times of reports and ends of trials, seconds since 1970.
        now: the present time in seconds since 1970, if the last driver is alive; else None.
        closes: the last driver is just ending by itself.
    """
    lives = _split_at_starts(records)
    signs_of_life = [*activity, *(unix_time(record) for record in records)]
    sessions = []
    for index, life in enumerate(lives):
        begin, is_last = unix_time(life[0]), index == len(lives) - 1
        closing = [unix_time(record) for record in life if record.kind == "tags"]
        if closing:
            end = closing[-1]
        elif is_last and now is not None:
            end = now
        else:
            next_begin = math.inf if is_last else unix_time(lives[index + 1][0])
            # At least a millisecond, the resolution of records: its own start is always a sign.
            until = max(next_begin, begin + 1e-3)
            end = max(time for time in signs_of_life if begin <= time < until)
        is_closed = bool(closing) or (is_last and closes)
        sessions.append(DriverSession(begin, max(begin, end), is_closed))
    return sessions


def trial_history(
    records: Sequence[Record],
    trial: FrozenTrial,
    drivers: Sequence[DriverSession],
    *,
    objective: str,
    is_alive: bool,
) -> TrialHistory:
    """Summarise the records of a trial.

    Args:
        records: records of the trial; if there are none, the times in the study are used.
        trial: the trial as the study holds it.
        drivers: the lives of the search's drivers.
        objective: name of the first objective.
        is_alive: whether the last driver still runs.
    """
    parts = _split_at_starts(records)
    restart = max((i for i in range(len(parts)) if _restarts_training(parts, i)), default=0)
    discarded = _reports(record for part in parts[:restart] for record in part)
    reports = _reports(record for part in parts[restart:] for record in part)
    rates = sorted(r.values[RATE] for r in records if r.values and RATE in r.values)
    return TrialHistory(
        sessions=tuple(_worker_sessions(parts, trial, drivers, is_alive=is_alive)),
        candidates_seen=tuple(sorted(reports)),
        intervals=_intervals(reports, objective),
        discarded_candidates=max(discarded, default=0),
        candidates_per_s=rates[len(rates) // 2] if rates else None,
    )


def unix_time(record: Record) -> float:
    """Return the time of a record in seconds since 1970."""
    return record.time_ms / 1000


def _split_at_starts(records: Sequence[Record]) -> list[Sequence[Record]]:
    starts = [i for i, record in enumerate(records) if record.kind == "start"]
    return [records[i:j] for i, j in zip(starts, [*starts, len(records)][1:], strict=True)]


def _restarts_training(parts: Sequence[Sequence[Record]], index: int) -> bool:
    """Say whether a trial began again at this start, with half its batch size."""
    tags = [part[0].tags or {} for part in parts[: index + 1]]
    return index > 0 and HALVED in tags[-1] and HALVED not in tags[-2]


def _reports(records: Iterable[Record]) -> dict[int, Mapping[str, float]]:
    """Return the metrics of each report by candidates seen.

    A report that was repeated after a resume counts once.
    """
    return {int(r.values[SEEN]): r.values for r in records if r.values and SEEN in r.values}


def _intervals(
    reports: Mapping[int, Mapping[str, float]], objective: str
) -> tuple[tuple[float, float], ...]:
    low, high = f"{objective}_low", f"{objective}_high"
    if any(low not in metrics or high not in metrics for metrics in reports.values()):
        return ()
    return tuple((reports[seen][low], reports[seen][high]) for seen in sorted(reports))


def _worker_sessions(
    parts: Sequence[Sequence[Record]],
    trial: FrozenTrial,
    drivers: Sequence[DriverSession],
    *,
    is_alive: bool,
) -> list[WorkerSession]:
    """Return a session for each start or resume of a trial."""
    given_out = trial.datetime_start.timestamp() if trial.datetime_start else None
    ended = trial.datetime_complete.timestamp() if trial.datetime_complete else None
    if not parts:
        return _session_without_records(trial, given_out, ended, drivers, is_alive=is_alive)
    sessions = []
    for index, part in enumerate(parts):
        begin = ready = unix_time(part[0])
        last_record = unix_time(part[-1])
        driver = _driver_at(drivers, ready)
        if index == 0 and given_out is not None:
            # An earlier driver may have given it out, and ended before a worker had it.
            begin = min(ready, max(given_out, driver.begin if driver else given_out))
        next_ready = unix_time(parts[index + 1][0]) if index + 1 < len(parts) else None
        if next_ready is None and ended is not None:
            end, ending, lost_s = max(ended, last_record), trial.state.name.lower(), 0.0
        else:
            is_running = is_alive and driver is drivers[-1]
            ending, cut = _interruption(driver, next_ready, is_alive=is_running)
            end = last_record if cut is None else max(cut, last_record)
            # A driver that stops lets its trials write checkpoints first: nothing is lost.
            lost_s = 0.0 if ending in ("stopped", "running") else end - last_record
        sessions.append(WorkerSession(begin, ready, end, ending, lost_s))
    return sessions


def _interruption(
    driver: DriverSession | None, next_ready: float | None, *, is_alive: bool
) -> tuple[str, float | None]:
    """Return what interrupted a worker session, and when if that is known."""
    if driver is None:
        return "killed", None
    if next_ready is not None and next_ready <= driver.end:
        return "died", next_ready
    if is_alive and next_ready is None:
        return "running", driver.end
    return ("stopped" if driver.is_closed else "killed"), driver.end


def _session_without_records(
    trial: FrozenTrial,
    given_out: float | None,
    ended: float | None,
    drivers: Sequence[DriverSession],
    *,
    is_alive: bool,
) -> list[WorkerSession]:
    """Return the session of a trial that never began to train, from its times in the study."""
    if given_out is None:
        return []
    if ended is not None:
        driver = _driver_at(drivers, ended)
        begin = max(given_out, driver.begin) if driver else given_out
        return [WorkerSession(begin, ended, ended, trial.state.name.lower())]
    driver = _driver_at(drivers, given_out)
    ending, cut = _interruption(driver, None, is_alive=is_alive and driver is drivers[-1])
    end = max(given_out, cut or given_out)
    return [WorkerSession(given_out, end, end, ending)]


def _driver_at(drivers: Sequence[DriverSession], time: float) -> DriverSession | None:
    """Return the last driver that began before a time."""
    return next((driver for driver in reversed(drivers) if driver.begin <= time), None)
