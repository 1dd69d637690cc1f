"""MLflow runs of a search: one parent run, and under it one run for each trial number.

Nothing here waits for MLflow: records are on disk first, and the shipper's thread delivers them
when MLflow answers. Records that an earlier driver left undelivered are delivered on resume.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from tauopt.config.space.any_architecture import TYPE
from tauopt.study.trial_attributes import CONFIRMS, DUPLICATE_OF, REASON
from tauopt.tracking.dataset_input import DatasetInput
from tauopt.tracking.markdown_notes import table_tag
from tauopt.tracking.replay import SHIPPED, ChildRun, read_wanted
from tauopt.tracking.runs import NOTE, RunState
from tauopt.tracking.shipper import Shipper
from tauopt.tracking.spool import SpoolTracker
from tauopt.training.trial_plan import trial_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT = "run"
"""Folder in the search's folder for the records of the search's own run."""
EXPERIMENT, ENVIRONMENT = "experiment.yaml", "environment.json"
"""Files of a search's folder: the experiment as YAML; the machine and versions that it ran on."""
RUN_ID = "mlflow_run_id"
FIGURES = "figures"
"""Folder of a search's figures, in its own folder and in its run."""
REPORT = "report"
"""Folder of a search's report, in its own folder and in its run."""
_STATES: Mapping[TrialState, Any] = {
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.FAIL: "FAIL",
}


@dataclass(frozen=True)
class RunNames:
    """Names, ids and tags of a search's runs."""

    search: str
    uid: str
    """Unique id of the study."""
    model: str
    """Type of the network, for the names of trials whose parameters have none."""
    tags: Mapping[str, str]
    """Tags of every run: digests, commit, version, study."""

    def trial(self, number: int, params: Mapping[str, Any]) -> str:
        """Return a trial's name, for instance `t007-rnn`."""
        return f"t{number:03d}-{params.get(TYPE, self.model)}"

    def trial_uid(self, number: int) -> str:
        """Return the unique id of a trial's run, the same after every resume."""
        return f"{self.uid}-t{number:03d}"


def delivered_run_id(folder: Path) -> str:
    """Return the MLflow run id in a trial's folder; empty if it has none yet."""
    try:
        return str(json.loads((folder / SHIPPED).read_text()).get("run_id", ""))
    except (OSError, ValueError, AttributeError):
        return ""


class TrialRuns:
    """The MLflow runs of one search."""

    def __init__(
        self,
        client: MlflowClient,
        folder: Path,
        names: RunNames,
        *,
        parent_id: str,
        dataset: DatasetInput | None = None,
    ) -> None:
        self.parent_id = parent_id
        self.names = names
        self._dataset = dataset
        self._folder = folder
        self._shipper = Shipper(client)
        self._parent = SpoolTracker(folder / PARENT)
        self._shipper.watch(names.uid, folder / PARENT, parent_id)
        self._running: set[int] = set()

    def describe(self, params: Mapping[str, Any], *, note: str, files: Iterable[Path]) -> None:
        """Record the search itself: settings, a note, and files such as the experiment."""
        self._parent.start(params=params, tags={**self.names.tags, NOTE: note})
        for file in files:
            self._parent.artifact(file)

    def measure(self, values: Mapping[str, float], *, trials: int) -> None:
        """Record metrics of the search's progress after `trials` trials."""
        self._parent.metrics(values, step=trials)

    def begin(
        self,
        number: int,
        params: Mapping[str, Any],
        *,
        note: str = "",
        confirms: int | None = None,
    ) -> None:
        """Open the run of a trial with these parameters, or take it up again.

        Args:
            number: number of the trial.
            params: its parameters.
            note: markdown that describes it.
            confirms: number of the trial whose point it trains again; None for one of its own.
        """
        tags = {**self.names.tags, "tauopt.trial": str(number)}
        if confirms is not None:
            tags[CONFIRMS] = str(confirms)
        child = ChildRun(
            parent=self.parent_id,
            name=self.names.trial(number, params),
            uid=self.names.trial_uid(number),
            tags=tags,
            note=note,
            dataset=self._dataset,
        )
        self._shipper.watch(child.uid, trial_folder(self._folder, number), child)
        self._running.add(number)

    def run_id(self, number: int) -> str:
        """Return a trial's run id; empty until MLflow has created the run."""
        return self._shipper.run_id(self.names.trial_uid(number)) or ""

    def end(self, trial: FrozenTrial) -> None:
        """End a trial's run in the state that the trial has in the study."""
        if trial.number in self._running:
            self._running.discard(trial.number)
            reason = str(trial.user_attrs.get(REASON, ""))
            self._shipper.finish(self.names.trial_uid(trial.number), _STATES[trial.state], reason)

    def catch_up(self, trials: Iterable[FrozenTrial]) -> None:
        """Deliver records that an earlier driver left, and end the runs of ended trials."""
        for trial in trials:
            folder = trial_folder(self._folder, trial.number)
            wanted = read_wanted(folder) if DUPLICATE_OF not in trial.user_attrs else None
            if wanted is None or trial.state not in _STATES:
                continue
            if wanted.state != _STATES[trial.state]:
                confirms = trial.user_attrs.get(CONFIRMS)
                self.begin(trial.number, trial.params, confirms=confirms)
                self.end(trial)
            else:
                self._shipper.deliver(folder)

    def close(
        self,
        state: RunState,
        *,
        reason: str,
        note: str,
        files: Mapping[Path, bool],
        drawn: Iterable[tuple[Path, str]] = (),
        timeout_s: float,
    ) -> str:
        """End all runs that still run and wait for MLflow, `timeout_s` at most.

        Args:
            state: COMPLETE, FAIL, KILLED or STOPPED: the state of the search's own run.
            reason: why the search ended.
            note: markdown that describes the search and its result.
            files: result files of the search; True for a table of MLflow's UI.
            drawn: figures and reports, each with its folder in the run; an iterator is consumed
                after all other records.
            timeout_s: seconds to wait for MLflow.
        Returns:
            which records could not be delivered yet, in words; empty if none.
        """
        unfinished: RunState = "KILLED" if state in ("FAIL", "KILLED") else "STOPPED"
        for number in sorted(self._running):
            self._shipper.finish(self.names.trial_uid(number), unfinished, reason)
        for file in files:
            self._parent.artifact(file)
        tables = table_tag(*(file.name for file, is_table in files.items() if is_table))
        self._parent.tags({NOTE: note, **tables})
        for file, folder in drawn:
            self._parent.artifact(file, folder=folder)
        self._shipper.finish(self.names.uid, state, reason)
        undelivered = self._shipper.close(timeout_s)
        return str(undelivered) if undelivered else ""
