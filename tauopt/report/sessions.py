"""When the trials of a search trained: from the records that trials and drivers leave on disk.

Each start or resume of a trial, each report and each driver's beginning and end is a record with
its time. What stands between a trial's start and what ended it is a stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tauopt.tracking.spool import Record

CUTS = ("stopped", "killed", "died")
"""Endings of a stretch that did not end its trial: by the driver, with it, or the worker alone."""
SEEN, PACE = "candidates_seen", "candidates_per_s"
HALVED = "tauopt.batch_halved"
"""Tag of a trial that an earlier tauopt, when memory failed, began anew with half its batches."""


@dataclass(frozen=True)
class DriverSession:
    """The life of one driver; seconds since 1970."""

    begin: float
    end: float
    is_closed: bool
    """It wound up by itself: its trials wrote checkpoints. False: killed, and `end` is its last
    sign of life, or it still runs."""


@dataclass(frozen=True)
class WorkerSession:
    """A trial's time with one worker, without interruption; seconds since 1970."""

    begin: float
    """When it was given out."""
    ready: float
    """When its network was built; before that the worker started and imported."""
    end: float
    ending: str
    """`complete`, `pruned`, `fail`, `running` or one of `CUTS`."""
    lost_s: float = 0.0
    """Seconds since the last report, where training since then had to be done again; at most."""


@dataclass(frozen=True)
class TrialHistory:
    """What the records of one trial tell."""

    stretches: tuple[WorkerSession, ...] = ()
    seen: tuple[int, ...] = ()
    """Candidates seen at each report of the training that counts, rising."""
    intervals: tuple[tuple[float, float], ...] = ()
    """68 % intervals of the first objective at these; empty where they are not recorded."""
    discarded: int = 0
    """Candidates seen before it began anew with half its batches."""
    pace: float | None = None
    """Candidates a second in training, the median of its reports."""


def sessions_of(
    records: Sequence[Record],
    signs: Iterable[float],
    *,
    now: float | None = None,
    closes: bool = False,
) -> list[DriverSession]:
    """Return the lives of a search's drivers, in order.

    Args:
        records: of the search's own run.
        signs: times at which anything was done, seconds since 1970: reports, ends of trials.
        now: the present time, if the last driver is alive; seconds since 1970.
        closes: that driver winds up now.
    """
    begins = [i for i, record in enumerate(records) if record.kind == "start"]
    alive = sorted([*signs, *(seconds(record) for record in records)])
    sessions: list[DriverSession] = []
    for part in _parts(records):
        begin, is_last = seconds(part[0]), part[0] is records[begins[-1]]
        closed = [seconds(record) for record in part if record.kind == "tags"]
        if closed:
            end = closed[-1]
        elif is_last and now is not None:
            end = now
        else:
            until = math.inf if is_last else seconds(records[begins[len(sessions) + 1]])
            end = max(sign for sign in alive if begin <= sign < max(until, begin + 1e-3))
        sessions.append(DriverSession(begin, max(begin, end), bool(closed) or (is_last and closes)))
    return sessions


def past_of(
    records: Sequence[Record],
    trial: FrozenTrial,
    sessions: Sequence[DriverSession],
    *,
    objective: str,
    is_alive: bool,
) -> TrialHistory:
    """Return what a trial's records tell.

    Args:
        records: of the trial; without any, the study's own times count.
        trial: as the study has it.
        sessions: the lives of the drivers.
        objective: name of the first one.
        is_alive: the last driver runs.
    """
    parts = _parts(records)
    anew = max((i for i, part in enumerate(parts) if _begins_anew(parts, i)), default=0)
    before = [record for part in parts[:anew] for record in part]
    counting = [record for part in parts[anew:] for record in part]
    paces = sorted(r.values[PACE] for r in records if r.values and PACE in r.values)
    return TrialHistory(
        stretches=tuple(_stretches(parts, trial, sessions, is_alive=is_alive)),
        seen=tuple(sorted(_reports(counting))),
        intervals=_intervals(_reports(counting), objective),
        discarded=max(_reports(before), default=0),
        pace=paces[len(paces) // 2] if paces else None,
    )


def _parts(records: Sequence[Record]) -> list[Sequence[Record]]:
    """Cut records before each start."""
    starts = [i for i, record in enumerate(records) if record.kind == "start"]
    return [records[i:j] for i, j in zip(starts, [*starts, len(records)][1:], strict=True)]


def _begins_anew(parts: Sequence[Sequence[Record]], index: int) -> bool:
    tags = [part[0].tags or {} for part in parts[: index + 1]]
    return index > 0 and HALVED in tags[-1] and HALVED not in tags[-2]


def _reports(records: Iterable[Record]) -> dict[int, Mapping[str, float]]:
    """Return the metrics of each report by how far it came; told again after a resume is once."""
    return {int(r.values[SEEN]): r.values for r in records if r.values and SEEN in r.values}


def _intervals(
    reports: Mapping[int, Mapping[str, float]], objective: str
) -> tuple[tuple[float, float], ...]:
    low, high = f"{objective}_low", f"{objective}_high"
    if any(low not in values or high not in values for values in reports.values()):
        return ()
    return tuple((reports[seen][low], reports[seen][high]) for seen in sorted(reports))


def _stretches(
    parts: Sequence[Sequence[Record]],
    trial: FrozenTrial,
    sessions: Sequence[DriverSession],
    *,
    is_alive: bool,
) -> list[WorkerSession]:
    asked = trial.datetime_start.timestamp() if trial.datetime_start else None
    ended = trial.datetime_complete.timestamp() if trial.datetime_complete else None
    if not parts:
        return _without_records(trial, asked, ended, sessions, is_alive=is_alive)
    found = []
    for index, part in enumerate(parts):
        ready, last = seconds(part[0]), seconds(part[-1])
        begin = ready
        session = _session_at(sessions, ready)
        if index == 0 and asked is not None:
            begin = min(ready, max(asked, session.begin if session else asked))
        following = seconds(parts[index + 1][0]) if index + 1 < len(parts) else None
        if following is None and ended is not None:
            found.append(WorkerSession(begin, ready, max(ended, last), trial.state.name.lower()))
        else:
            how, end = _cut(session, following, is_alive=is_alive and session is sessions[-1])
            end = last if end is None else max(end, last)
            lost = 0.0 if how in ("stopped", "running") else end - last
            found.append(WorkerSession(begin, ready, end, how, lost))
    return found


def _cut(
    session: DriverSession | None, following: float | None, *, is_alive: bool
) -> tuple[str, float | None]:
    """Say what ended a stretch that did not end its trial, and when."""
    if session is None:
        return "killed", None
    if following is not None and following <= session.end:
        return "died", following
    if is_alive and following is None:
        return "running", session.end
    return ("stopped" if session.is_closed else "killed"), session.end


def _without_records(
    trial: FrozenTrial,
    asked: float | None,
    ended: float | None,
    sessions: Sequence[DriverSession],
    *,
    is_alive: bool,
) -> list[WorkerSession]:
    """Return what the study tells of a trial that left no record: it never began to train."""
    if asked is None:
        return []
    if ended is not None:
        session = _session_at(sessions, ended)
        begin = max(asked, session.begin) if session else asked
        return [WorkerSession(begin, ended, ended, trial.state.name.lower())]
    session = _session_at(sessions, asked)
    how, end = _cut(session, None, is_alive=is_alive and session is sessions[-1])
    end = max(asked, end or asked)
    return [WorkerSession(asked, end, end, how)]


def _session_at(sessions: Sequence[DriverSession], time: float) -> DriverSession | None:
    """Return the last session that began before a time."""
    return next((s for s in reversed(sessions) if s.begin <= time), None)


def seconds(record: Record) -> float:
    """Return when something was recorded, in seconds since 1970."""
    return record.time_ms / 1000
