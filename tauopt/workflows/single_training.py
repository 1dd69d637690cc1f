"""One training in this process, outside any search, and its MLflow run."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.durable import write_bytes
from tauopt.errors import Interrupted, SearchError, TrialFailed
from tauopt.progress import Progress

if TYPE_CHECKING:
    from tauopt.config.settings.experiment import Experiment
    from tauopt.tracking.runs import RunState
    from tauopt.training.trial_plan import TrialPlan
    from tauopt.training.trial_report import TrialReport

EXPERIMENT = "experiment.yaml"
"""File of the settings as YAML, in the training's folder."""
UID = "uid"
"""File of the run's unique id, in the training's folder."""
_DELIVERY_S = 10.0


@dataclass(frozen=True)
class TrainResult:
    """Result of a training."""

    name: str
    folder: Path
    run_id: str
    """Id of the MLflow run."""
    result: dict[str, Any] = field(repr=False)
    """Content of `result.json`: value, metrics with errors, digests, parameters."""
    undelivered: str = ""
    """Message about records that have not reached MLflow yet; empty if all have."""


def params_of(experiment: Experiment) -> dict[str, bool | int | float | str]:
    """Return every setting of the network and its training by path, without unset ones."""
    from tauopt.config.settings.dotted_paths import flat

    params: dict[str, bool | int | float | str] = {}
    for section in ("model", "training"):
        values = flat(getattr(experiment, section).model_dump(mode="json"), section)
        params |= {path: value for path, value in values.items() if value is not None}
    return params


def text_of(experiment: Experiment) -> str:
    """Return settings as the text of an experiment file that reads back as the same settings.

    Defaults are left out, since some may not be written down where they do not apply.
    """
    from tauopt.config.source.yaml_text import plain_text

    return plain_text(experiment.model_dump(mode="json", exclude_defaults=True))


class SingleTraining:
    """A training in this process, which holds the run's lock, and its MLflow run."""

    def __init__(
        self,
        plan: TrialPlan,
        output: Path,
        progress: Progress,
        on_report: Callable[[TrialReport], None] | None,
        *,
        note: str = "",
    ) -> None:
        """Write the plan, and open the run or take it up again.

        Args:
            plan: what is trained; its folder has the settings as `EXPERIMENT`.
            output: output folder.
            progress: receives a message for each report.
            on_report: called with each new report.
            note: markdown, shown as the run's description after what is trained.
        """
        from tauopt.tracking.client import connect
        from tauopt.tracking.shipper import Shipper
        from tauopt.training.trial_plan import write_plan

        write_plan(plan)
        self._plan = plan
        self._note = f"One training of `{plan.experiment.name}`, outside any search. {note}".strip()
        self._progress = progress
        self._on_report = on_report
        self._client = connect(None, output=output)
        self._uid = self._unique_id()
        self._run_id = self._open_run(output)
        self._shipper = Shipper(self._client)
        self._shipper.watch(self._uid, plan.folder, self._run_id)

    def _unique_id(self) -> str:
        """Return the uid of the run, the same after every resume."""
        file = self._plan.folder / UID
        if not file.exists():
            write_bytes(file, uuid.uuid4().hex.encode())
        return file.read_text()

    def _open_run(self, output: Path) -> str:
        """Create or reopen the MLflow run, log its dataset, and return its id."""
        from tauopt.prepare.direct_streaming import open_dataset
        from tauopt.study.mlflow_notes import dataset_input
        from tauopt.tracking.client import artifact_folder, store_uri
        from tauopt.tracking.dataset_input import log_dataset
        from tauopt.tracking.runs import open_parent

        plan = self._plan
        run_id = open_parent(
            self._client,
            experiment=plan.experiment.tracking.experiment,
            name=plan.name,
            uid=self._uid,
            tags=plan.tags,
            note=self._note,
            artifacts=artifact_folder(store_uri(None, output=output)),
        )
        log_dataset(self._client, run_id, dataset_input(open_dataset(plan.dataset)))
        return run_id

    def run(self) -> TrainResult:
        """Train, and end the MLflow run in the state of the training's end."""
        from tauopt.training import trial_results
        from tauopt.training.interrupts import interrupts

        state: RunState = "KILLED"
        reason = "the process failed"
        undelivered: Any = None
        with interrupts() as signals:
            try:
                self._train(stop=lambda: bool(signals.number))
                state, reason = "COMPLETE", ""
            except TrialFailed as error:
                state, reason = "FAIL", str(error)
                raise SearchError(f"{self._plan.name} failed: {error}") from error
            except (Interrupted, KeyboardInterrupt) as stopped:
                state, reason = "STOPPED", f"stopped by {signals.why or 'Ctrl-C'}"
                raise Interrupted(
                    f"{stopped} ({signals.why})", exit_code=signals.exit_code or 130
                ) from None
            finally:
                self._shipper.finish(self._uid, state, reason)
                undelivered = self._shipper.close(_DELIVERY_S)
        result = trial_results.read_result(self._plan.folder)
        if result is None:
            raise SearchError(f"{self._plan.folder}: results are missing; run the command again")
        return TrainResult(
            self._plan.name,
            folder=self._plan.folder,
            run_id=self._run_id,
            result=result,
            undelivered=str(undelivered) if undelivered else "",
        )

    def _train(self, *, stop: Callable[[], bool]) -> None:
        from tauopt.models.devices import limit_devices
        from tauopt.tracking.spool import SpoolTracker
        from tauopt.training.train_trial import run_trial

        limit_devices()
        tracker = SpoolTracker(self._plan.folder)
        tracker.artifact(self._plan.folder / EXPERIMENT)
        self._progress.say(f"training {self._plan.name}")
        for report in run_trial(self._plan, tracker=tracker, stop=stop):
            self._shipper.wake()
            self._progress.say(_report_line(report, self._plan.experiment.objective.first))
            if self._on_report is not None:
                self._on_report(report)


def _report_line(report: TrialReport, objective: str) -> str:
    metrics = report.metrics
    return (
        f"report {report.number}: {report.candidates_seen:,} candidates, "
        f"loss {metrics['loss']:.4f}, val_loss {metrics['val_loss']:.4f}, "
        f"{objective} {report.value:.4g} (best {report.best:.4g}), "
        f"{metrics['candidates_per_s']:,.0f} candidates/s"
    )
