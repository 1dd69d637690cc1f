"""Train one trial without Ray, recorded like any other; the same command resumes it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.dataset.experiment_check import check_fits
from tauopt.durable import check_name, locked, write_bytes
from tauopt.errors import Interrupted, UsageError
from tauopt.progress import Progress, Silent
from tauopt.study.hypermodel_check import has_hypermodel, settled
from tauopt.study.own_objective_check import check_own_objectives
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.prepare import prepare
from tauopt.workflows.single_training import (
    EXPERIMENT,
    SingleTraining,
    TrainResult,
    params_of,
    text_of,
)

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.experiment import Experiment
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.evaluation.trial_origin import TrialOrigin
    from tauopt.training.trial_plan import TrialPlan
    from tauopt.training.trial_report import TrialReport

LIKE = "tauopt.like"
"""Tag of a run whose settings are those of another: that run's id."""
_NUMBER = 0
"""Number of the trial for its seed: network and seed are those of a search's first trial."""


def train(
    path: Path | str | None = None,
    *,
    like: str | None = None,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    defaults: bool = False,
    name: str | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    on_report: Callable[[TrialReport], None] | None = None,
) -> TrainResult:
    """Train one experiment, or resume it.

    Args:
        path: experiment file without ranges; None with `like`.
        like: id of a run or its first letters, `models:/NAME@champion`, or a trial's folder, whose
            settings and seed are taken in place of a file's.
        data: dataset file in place of the experiment's own.
        overrides: `path=value` each, applied to the file in order.
        defaults: fix every range at its default, as a search's first trial does.
        name: of the run; None means the experiment's name, or with `like` one made of the trial's
            and the dataset's.
        output: output folder; None means `tauopt-output`.
        progress: receives the progress of simulation, preparation and training.
        on_report: called with each new report.
    Raises:
        ConfigError: the file is wrong.
        UsageError: the file has ranges, there is no trial `like`, or the run of that name has
            other settings.
        DataError: the ntuples or the prepared dataset are wrong.
        ServiceError: MLflow can't be used, or another process trains this run.
        SearchError: the training failed.
        Interrupted: by Ctrl-C or SIGTERM; names the command that resumes the training.
    """
    from tauopt.config.load import read_experiment
    from tauopt.training.trial_identity import check_folder

    progress = progress or Silent()
    all_overrides = _with_data(overrides, data)
    origin: TrialOrigin | None = None
    if path is not None and like is None:
        file = read_experiment(path, overrides=all_overrides)
    elif like is not None and path is None:
        origin = _origin(like, output=output)
        file = _file_like(origin, overrides=all_overrides)
    else:
        raise UsageError("expected either an experiment file or --like RUN")
    if (ranges := _ranges(file)) and not defaults:
        raise UsageError(
            f"{path} has ranges ({', '.join(ranges)}): tauopt search {path}, "
            "or take their defaults with --defaults, or fix them with --set"
        )
    name = check_name(name or _name(file, origin, other_data=bool(data)), what="name of the run")
    options = {"--like": like, "--data": data, "--name": name, "-o": output}
    command = _command(path, overrides=overrides, defaults=defaults, options=options)
    folder = make_folder(output_folder(output), option="-o").absolute() / "runs" / name
    if origin:
        progress.say(_note(origin))
    try:
        _settle(file)  # refuses a wrong model before preparation, which takes long
        check_own_objectives(file)
        dataset = prepare(file.base.data, progress=progress)
        check_fits(file, dataset)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock", what=f"run {name!r}"):
            plan = _plan(file, dataset, folder=folder, name=name, origin=origin)
            check_folder(plan, dataset_digest=dataset.digest)
            write_bytes(folder / EXPERIMENT, file.text.encode())
            note = _note(origin) if origin else ""
            return SingleTraining(
                plan, output_folder(output).absolute(), progress, on_report, note=note
            ).run()
    except KeyboardInterrupt:
        raise Interrupted("stopped by Ctrl-C", resume=command) from None
    except Interrupted as stopped:
        raise Interrupted(str(stopped), resume=command, exit_code=stopped.exit_code) from None


def _origin(like: str, *, output: Path | None) -> TrialOrigin:
    from tauopt.evaluation.trial_origin import find_origin
    from tauopt.tracking.client import connect

    output = output_folder(output)
    return find_origin(connect(None, output=output), like, output=output)


def _note(origin: TrialOrigin) -> str:
    """Return where settings and seed of a run are from, for messages and the run's description."""
    of = f" (run {origin.run_id})" if origin.run_id else ""
    return f"Settings and seed are those of {origin.label}{of}."


def _with_data(overrides: Sequence[str], data: Path | None) -> list[str]:
    from tauopt.config.source.yaml_text import scalar_text

    # First, so that --set reaches into the dataset file.
    chosen = [] if data is None else [f"data={scalar_text(str(data.absolute()))}"]
    return [*chosen, *overrides]


def _file_like(origin: TrialOrigin, *, overrides: Sequence[str]) -> ExperimentFile:
    """Return the experiment file that a recorded trial's settings would be read from."""
    from tauopt.config.load import read_experiment

    with tempfile.TemporaryDirectory(prefix="tauopt-like-") as folder:
        written = Path(folder) / EXPERIMENT
        written.write_text(text_of(origin.experiment))
        return read_experiment(written, overrides=overrides)


def _name(file: ExperimentFile, origin: TrialOrigin | None, *, other_data: bool) -> str:
    """Return the name of a run that the user has not named."""
    if origin is None:
        return file.name
    return f"{origin.label}-on-{file.base.data.name}" if other_data else f"{origin.label}-again"


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
    path: Path | str | None,
    *,
    overrides: Sequence[str],
    defaults: bool,
    options: Mapping[str, Path | str | None],
) -> str:
    """Return the command line that resumes a training."""
    words = ["tauopt", "train", *([str(path)] if path is not None else [])]
    for option, value in options.items():
        words += [option, str(value)] if value is not None else []
    words += [word for override in overrides for word in ("--set", override)]
    return shlex.join([*words, *(["--defaults"] if defaults else [])])


def _plan(
    file: ExperimentFile,
    dataset: PreparedDataset,
    *,
    folder: Path,
    name: str,
    origin: TrialOrigin | None,
) -> TrialPlan:
    from tauopt.study.provenance import code_version
    from tauopt.tracking.environment import git_commit
    from tauopt.training.trial_plan import TrialPlan, trial_seed

    experiment = _settle(file, dataset)
    return TrialPlan(
        experiment=experiment,
        dataset=dataset.folder.absolute(),
        folder=folder,
        name=name,
        seed=origin.seed if origin else trial_seed(file.base.search.sampler.seed, _NUMBER),
        params=params_of(experiment),
        tags={
            "tauopt.dataset_digest": dataset.digest,
            "tauopt.code": code_version(),
            "mlflow.source.git.commit": git_commit(
                Path.cwd() if origin else file.path.absolute().parent
            ),
            **({LIKE: origin.run_id or origin.label} if origin else {}),
        },
    )
