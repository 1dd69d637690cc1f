"""All that the report of a search says, gathered from its study and its folder: no drawing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.objective import Goal
from tauopt.dataset.manifest import read_manifest
from tauopt.errors import TauoptError
from tauopt.figures.search.trial_points import COMPLETE, FAILED, PRUNED, REPEATED, UNFINISHED
from tauopt.report.sessions import DriverSession, TrialHistory, past_of, seconds, sessions_of
from tauopt.study.leaderboard_rows import LeaderboardRow, rows
from tauopt.study.open_study import goals_of
from tauopt.study.reseeded_points import spreads_of
from tauopt.study.trial_queue import DUPLICATE_OF
from tauopt.study.trial_runs import ENVIRONMENT, EXPERIMENT, PARENT
from tauopt.tracking.spool import Record, read_records
from tauopt.training.trial_plan import PLAN, trial_folder

_FATES = {
    TrialState.COMPLETE: COMPLETE,
    TrialState.PRUNED: PRUNED,
    TrialState.FAIL: FAILED,
    TrialState.RUNNING: UNFINISHED,
}


@dataclass(frozen=True)
class TrialRecord:
    """One trial that was given out."""

    row: LeaderboardRow
    fate: str
    """One of `evaluation.search_trials.FATES`."""
    reports: Mapping[int, float]
    """Number of a report -> the first objective."""
    past: TrialHistory
    cpus: float
    """Cores that it held; 1 where its plan does not tell."""
    gpus: float
    trial: FrozenTrial = field(repr=False)

    @property
    def number(self) -> int:
        """Of the trial."""
        return self.row.number

    @property
    def seen(self) -> int:
        """Candidates seen by its last report, over all epochs; 0 where no record tells."""
        return self.past.seen[-1] if self.past.seen else 0


@dataclass(frozen=True)
class DatasetCounts:
    """The prepared dataset, as far as it is still there."""

    name: str
    splits: Mapping[str, Mapping[str, int]]
    """Split -> class -> candidates."""


@dataclass(frozen=True)
class SearchRecord:
    """What is known of a search."""

    name: str
    goals: tuple[Goal, ...]
    """The first one stops trials."""
    trials: tuple[TrialRecord, ...] = field(repr=False)
    """By number; those that wait are left out."""
    board: tuple[LeaderboardRow, ...] = field(repr=False)
    """Best first."""
    sessions: tuple[DriverSession, ...]
    asked: int | None
    """Trials asked for."""
    is_alive: bool
    """A driver runs it while this is written."""
    origin: Mapping[str, str]
    """`dataset`, `code`, `commit`, `experiment`: digests and versions; run id of the search."""
    definition: Mapping[str, Any] = field(repr=False)
    """What defines the study, as nested JSON values; empty if a study does not tell."""
    yaml: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    counts: DatasetCounts | None = field(repr=False)

    def of(self, *fates: str) -> list[TrialRecord]:
        """Return the trials of these fates, by number."""
        return [trial for trial in self.trials if trial.fate in fates]


DriverState = Literal["runs", "ends", "none"]
"""Of a search, when its facts are gathered: goes on, winds up just then, or there is none."""


def gather(study: optuna.Study, folder: Path, *, now: float, driver: DriverState) -> SearchRecord:
    """Read what is known of a search; nothing is written.

    Args:
        study: of the search.
        folder: of the search, where its trials' records, plans and results lie.
        now: the present time, in seconds since 1970.
        driver: of the search, at present. Of one that was killed the last sign of life counts.
    """
    is_alive = driver == "runs"
    frozen = [t for t in study.get_trials(deepcopy=False) if t.state in _FATES]
    goals = goals_of(study)
    spread = {one.number: one for one in spreads_of(study)}
    board = [
        replace(r, seeds=spread.get(r.number))
        for r in rows(frozen, folder, goals=goals, is_alive=is_alive)
    ]
    spools = {t.number: read_records(trial_folder(folder, t.number)) for t in frozen}
    sessions = _sessions(folder, frozen, spools, now=now, driver=driver)
    by_number = {row.number: row for row in board}
    attributes = study.user_attrs
    names = ("dataset", "code", "commit", "experiment", "run_id", "uid")
    return SearchRecord(
        name=study.study_name,
        goals=tuple(goals),
        trials=tuple(
            _trial(
                t,
                by_number[t.number],
                folder,
                spools[t.number],
                sessions,
                objective=goals[0].name,
                is_alive=is_alive,
            )
            for t in frozen
        ),
        board=tuple(board),
        sessions=tuple(sessions),
        asked=attributes.get("tauopt.trials"),
        is_alive=is_alive,
        origin={name: str(attributes.get(f"tauopt.{name}", "")) for name in names},
        definition=_mapping(str(attributes.get("tauopt.text", ""))),
        yaml=_text(folder / EXPERIMENT),
        environment=_mapping(_text(folder / ENVIRONMENT)),
        counts=_counts(folder, frozen),
    )


def _sessions(
    folder: Path,
    trials: Sequence[FrozenTrial],
    spools: Mapping[int, Sequence[Record]],
    *,
    now: float,
    driver: DriverState,
) -> list[DriverSession]:
    ends = [t.datetime_complete.timestamp() for t in trials if t.datetime_complete]
    told = [seconds(record) for record in chain.from_iterable(spools.values())]
    return sessions_of(
        read_records(folder / PARENT),
        [*ends, *told],
        now=None if driver == "none" else now,
        closes=driver == "ends",
    )


def _trial(
    trial: FrozenTrial,
    row: LeaderboardRow,
    folder: Path,
    records: Sequence[Record],
    sessions: Sequence[DriverSession],
    *,
    objective: str,
    is_alive: bool,
) -> TrialRecord:
    is_repeated = DUPLICATE_OF in trial.user_attrs
    resources = _resources(trial_folder(folder, trial.number))
    past = past_of(records, trial, sessions, objective=objective, is_alive=is_alive)
    return TrialRecord(
        row=row,
        fate=REPEATED if is_repeated else _FATES[trial.state],
        reports=dict(sorted(trial.intermediate_values.items())),
        past=TrialHistory() if is_repeated else past,
        cpus=float(resources.get("cpus", 1.0)),
        gpus=float(resources.get("gpus", 0.0)),
        trial=trial,
    )


def _resources(folder: Path) -> Mapping[str, Any]:
    """Return what a trial held, from its plan, which may be of an older tauopt."""
    plan = _mapping(_text(folder / PLAN))
    try:
        return dict(plan["experiment"]["search"]["resources"])
    except (KeyError, TypeError, ValueError):
        return {}


def _counts(folder: Path, trials: Sequence[FrozenTrial]) -> DatasetCounts | None:
    """Return what is in the dataset; None where it is gone, or the plans that name it."""
    for trial in trials:
        plan = _mapping(_text(trial_folder(folder, trial.number) / PLAN))
        if "dataset" in plan:
            try:
                manifest = read_manifest(Path(str(plan["dataset"])))
            except (TauoptError, OSError):
                return None
            return DatasetCounts(
                manifest.name, {name: s.counts for name, s in manifest.splits.items()}
            )
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _mapping(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
