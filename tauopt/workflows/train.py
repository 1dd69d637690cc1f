"""Train one trial without Ray, recorded like any other; the same command resumes it."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.dataset.experiment_check import check_fits
from tauopt.durable import check_name, locked, write_bytes
from tauopt.errors import Interrupted, SearchError, TrialFailed, UsageError
from tauopt.progress import Progress, Silent
from tauopt.study.hypermodel_check import has_hypermodel, settled
from tauopt.study.own_objective_check import check_own_objectives
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.prepare import prepare

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.experiment import Experiment
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.tracking.runs import RunState
    from tauopt.training.trial_plan import TrialPlan
    from tauopt.training.trial_report import TrialReport

EXPERIMENT = "experiment.yaml"
_UID = "uid"
_DELIVERY_S = 10.0
_NUMBER = 0
"""Number of the trial for its seed: network and seed are those of a search's first trial."""


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


def train(
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    defaults: bool = False,
    name: str | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    on_report: Callable[[TrialReport], None] | None = None,
) -> TrainResult:
    """Train one experiment, or resume it.

    Args:
        path: experiment file without ranges.
        overrides: `path=value` each, applied to the file in order.
        defaults: fix every range at its default, as a search's first trial does.
        name: of the run; None means the experiment's name.
        output: output folder; None means `tauopt-output`.
        progress: receives the progress of simulation, preparation and training.
        on_report: called with each new report.
    Raises:
        ConfigError: the file is wrong.
        UsageError: the file has ranges, or the run of that name has other settings.
        DataError: the ntuples or the prepared dataset are wrong.
        ServiceError: MLflow can't be used, or another process trains this run.
        SearchError: the training failed.
        Interrupted: by Ctrl-C or SIGTERM; names the command that resumes the training.
    """
    from tauopt.config.load import read_experiment
    from tauopt.training.trial_identity import check_folder

    file = read_experiment(path, overrides=overrides)
    if (ranges := _ranges(file)) and not defaults:
        raise UsageError(
            f"{path} has ranges ({', '.join(ranges)}): tauopt search {path}, "
            "or take their defaults with --defaults, or fix them with --set"
        )
    name = check_name(name or file.name, what="name of the run")
    command = _command(path, overrides=overrides, defaults=defaults, name=name, output=output)
    folder = make_folder(output_folder(output), option="-o").absolute() / "runs" / name
    progress = progress or Silent()
    try:
        _settle(file)  # refuses a wrong model before preparation, which takes long
        check_own_objectives(file)
        dataset = prepare(file.base.data, progress=progress)
        check_fits(file, dataset)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock", what=f"run {name!r}"):
            plan = _plan(file, dataset, folder=folder, name=name)
            check_folder(plan, dataset_digest=dataset.digest)
            write_bytes(folder / EXPERIMENT, file.text.encode())
            return _Training(plan, output_folder(output).absolute(), progress, on_report).run()
    except KeyboardInterrupt:
        raise Interrupted("stopped by Ctrl-C", resume=command) from None
    except Interrupted as stopped:
        raise Interrupted(str(stopped), resume=command, exit_code=stopped.exit_code) from None


def _ranges(file: ExperimentFile) -> list[str]:
    """Return the paths of all ranges, including those of a user's own model."""
    model = file.without_ranges.model
    narrowed = model.narrowed if isinstance(model, OwnModel) else {}
    return [*file.space, *(HYPERPARAMETERS + name for name in narrowed)]


def _settle(file: ExperimentFile, dataset: PreparedDataset | None = None) -> Experiment:
    """Return the experiment with a value of every hyperparameter, also of a user's own model.

    Args:
        file: the experiment file.
        dataset: gives the user's model its inputs; None means inputs without fitted constants.
    """
    if not has_hypermodel(file):
        return file.base
    from tauopt.config.settings.networks import group_lengths
    from tauopt.dataset.network_inputs import input_spec
    from tauopt.models.devices import limit_devices

    limit_devices()  # before the user's code starts TensorFlow in the process that will train
    if dataset is None:
        return settled(file)
    lengths = group_lengths(file.base.model)
    return settled(file, input_spec(dataset.manifest, file.base.task, lengths))


def _command(
    path: Path | str,
    *,
    overrides: Sequence[str],
    defaults: bool,
    name: str,
    output: Path | None,
) -> str:
    """Return the command line that resumes a training."""
    words = ["tauopt", "train", str(path), "--name", name]
    words += [word for override in overrides for word in ("--set", override)]
    words += ["--defaults"] if defaults else []
    return shlex.join([*words, *(["-o", str(output)] if output is not None else [])])


def _plan(file: ExperimentFile, dataset: PreparedDataset, *, folder: Path, name: str) -> TrialPlan:
    from tauopt.study.provenance import code_version
    from tauopt.tracking.environment import git_commit
    from tauopt.training.trial_plan import TrialPlan, trial_seed

    experiment = _settle(file, dataset)
    return TrialPlan(
        experiment=experiment,
        dataset=dataset.folder.absolute(),
        folder=folder,
        name=name,
        seed=trial_seed(file.base.search.sampler.seed, _NUMBER),
        params=params_of(experiment),
        tags={
            "tauopt.dataset_digest": dataset.digest,
            "tauopt.code": code_version(),
            "mlflow.source.git.commit": git_commit(file.path.absolute().parent),
        },
    )


def params_of(experiment: Experiment) -> dict[str, bool | int | float | str]:
    """Return every setting of the network and its training by path, without unset ones."""
    from tauopt.config.settings.dotted_paths import flat

    params: dict[str, bool | int | float | str] = {}
    for section in ("model", "training"):
        values = flat(getattr(experiment, section).model_dump(mode="json"), section)
        params |= {path: value for path, value in values.items() if value is not None}
    return params


class _Training:
    """A training in this process, which holds the run's lock, and its MLflow run."""

    def __init__(
        self,
        plan: TrialPlan,
        output: Path,
        progress: Progress,
        on_report: Callable[[TrialReport], None] | None,
    ) -> None:
        from tauopt.tracking.client import connect
        from tauopt.tracking.shipper import Shipper

        self._plan = plan
        self._progress = progress
        self._on_report = on_report
        self._client = connect(None, output=output)
        self._uid = self._unique_id()
        self._run_id = self._open_run(output)
        self._shipper = Shipper(self._client)
        self._shipper.watch(self._uid, plan.folder, self._run_id)

    def _unique_id(self) -> str:
        """Return the uid of the run, the same after every resume."""
        file = self._plan.folder / _UID
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
            note=f"One training of `{plan.experiment.name}`, outside any search.",
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
