"""All that the report of a search shows, gathered from its study and its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.objective import Goal
from tauopt.dataset.manifest import read_manifest
from tauopt.errors import TauoptError
from tauopt.figures.search.trial_points import (
    COMPLETE,
    CONFIRMING,
    FAILED,
    PRUNED,
    REPEATED,
    UNFINISHED,
)
from tauopt.report.sessions import (
    DriverSession,
    TrialHistory,
    driver_sessions,
    trial_history,
    unix_time,
)
from tauopt.study.leaderboard_rows import LeaderboardRow, board_of
from tauopt.study.open_study import goals_of
from tauopt.study.trial_attributes import CONFIRMS, DUPLICATE_OF
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
    """One trial that was given to a worker, or repeats an earlier one."""

    row: LeaderboardRow
    fate: str
    """One of `figures.search.trial_points.FATES`, or `CONFIRMING`."""
    reports: Mapping[int, float]
    """Number of a report -> the first objective."""
    history: TrialHistory
    cpus: float
    """Cores that it held; 1 if its plan does not say."""
    gpus: float
    trial: FrozenTrial = field(repr=False)

    @property
    def number(self) -> int:
        """Number of the trial."""
        return self.row.number

    @property
    def candidates_seen(self) -> int:
        """Candidates seen by its last report, over all epochs; 0 if not recorded."""
        return self.history.candidates_seen[-1] if self.history.candidates_seen else 0


@dataclass(frozen=True)
class DatasetCounts:
    """Candidates in the prepared dataset."""

    name: str
    splits: Mapping[str, Mapping[str, int]]
    """Split -> class -> candidates."""


@dataclass(frozen=True)
class SearchRecord:
    """What is known about a search."""

    name: str
    goals: tuple[Goal, ...]
    """The pruner compares trials by the first one."""
    trials: tuple[TrialRecord, ...] = field(repr=False)
    """By number; trials that wait for a worker are left out."""
    leaderboard: tuple[LeaderboardRow, ...] = field(repr=False)
    """Best first."""
    driver_sessions: tuple[DriverSession, ...]
    trials_requested: int | None
    is_alive: bool
    """Whether a driver runs the search while the report is written."""
    provenance: Mapping[str, str]
    """`dataset`, `experiment`: digests; `code`, `commit`: versions; `run_id`, `uid`: of the search.
    Empty text if not recorded."""
    definition: Mapping[str, Any] = field(repr=False)
    """The settings that define the study, as nested JSON values; empty if not recorded."""
    yaml: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    counts: DatasetCounts | None = field(repr=False)
    """None if the prepared dataset, or every plan that names it, is gone."""

    def with_fate(self, *fates: str) -> list[TrialRecord]:
        """Return the trials with one of these fates, by number."""
        return [trial for trial in self.trials if trial.fate in fates]


DriverState = Literal["runs", "ends", "none"]
"""The driver of a search while the record is gathered: it goes on, is just ending, or there is
none."""


def gather(study: optuna.Study, folder: Path, *, now: float, driver: DriverState) -> SearchRecord:
    """Read what is known about a search; nothing is written.

    Args:
        study: study of the search.
        folder: folder of the search, with the records, plans and results of its trials.
        now: the present time in seconds since 1970.
        driver: what the driver of the search does at present. The session of a driver that was
            killed ends at its last sign of life.
    """
    is_alive = driver == "runs"
    every = study.get_trials(deepcopy=False)
    frozen = [t for t in every if t.state in _FATES]
    goals = goals_of(study)
    # All trials are ranked, also those that wait: a stage that confirms counts when it is over.
    shown = {trial.number for trial in frozen}
    board = board_of(study, folder, is_alive=is_alive)
    leaderboard = [row for row in board if row.number in shown]
    rows_by_number = {row.number: row for row in leaderboard}
    records = {t.number: read_records(trial_folder(folder, t.number)) for t in frozen}
    drivers = driver_sessions(
        read_records(folder / PARENT),
        [
            *(t.datetime_complete.timestamp() for t in frozen if t.datetime_complete),
            *map(unix_time, chain.from_iterable(records.values())),
        ],
        now=None if driver == "none" else now,
        closes=driver == "ends",
    )
    attributes = study.user_attrs
    names = ("dataset", "code", "commit", "experiment", "run_id", "uid")
    return SearchRecord(
        name=study.study_name,
        goals=tuple(goals),
        trials=tuple(
            _trial(
                t,
                rows_by_number[t.number],
                folder,
                records[t.number],
                drivers,
                objective=goals[0].name,
                is_alive=is_alive,
            )
            for t in frozen
        ),
        leaderboard=tuple(leaderboard),
        driver_sessions=tuple(drivers),
        trials_requested=attributes.get("tauopt.trials"),
        is_alive=is_alive,
        provenance={name: str(attributes.get(f"tauopt.{name}", "")) for name in names},
        definition=_json_object(str(attributes.get("tauopt.text", ""))),
        yaml=_text(folder / EXPERIMENT),
        environment=_json_object(_text(folder / ENVIRONMENT)),
        counts=_dataset_counts(folder, frozen),
    )


def _trial(
    trial: FrozenTrial,
    row: LeaderboardRow,
    folder: Path,
    records: Sequence[Record],
    drivers: Sequence[DriverSession],
    *,
    objective: str,
    is_alive: bool,
) -> TrialRecord:
    is_repeated = DUPLICATE_OF in trial.user_attrs
    fate = CONFIRMING if CONFIRMS in trial.user_attrs else _FATES[trial.state]
    resources = _resources(trial_folder(folder, trial.number))
    history = trial_history(records, trial, drivers, objective=objective, is_alive=is_alive)
    return TrialRecord(
        row=row,
        fate=REPEATED if is_repeated else fate,
        reports=dict(sorted(trial.intermediate_values.items())),
        history=TrialHistory() if is_repeated else history,
        cpus=float(resources.get("cpus", 1.0)),
        gpus=float(resources.get("gpus", 0.0)),
        trial=trial,
    )


def _resources(folder: Path) -> Mapping[str, Any]:
    """Return the cores and GPUs that a trial held; empty if its plan does not say."""
    plan = _json_object(_text(folder / PLAN))
    try:
        return dict(plan["experiment"]["search"]["resources"])
    except (KeyError, TypeError, ValueError):  # a plan that an older tauopt wrote
        return {}


def _dataset_counts(folder: Path, trials: Sequence[FrozenTrial]) -> DatasetCounts | None:
    for trial in trials:
        plan = _json_object(_text(trial_folder(folder, trial.number) / PLAN))
        if "dataset" in plan:
            try:
                manifest = read_manifest(Path(str(plan["dataset"])))
            except (TauoptError, OSError):
                return None
            return DatasetCounts(
                manifest.name, {name: split.counts for name, split in manifest.splits.items()}
            )
    return None


def _text(path: Path) -> str:
    """Return the text of a file; empty if it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; empty if the text is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
