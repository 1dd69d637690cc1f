"""What is searched and where: the setup of a search, and its study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.experiment import Confirm, Experiment
from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel, group_lengths
from tauopt.dataset.network_inputs import input_spec
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.durable import lock_holder, write_bytes
from tauopt.study.control_requests import request_confirmation
from tauopt.study.open_study import start_study
from tauopt.study.provenance import Provenance
from tauopt.study.pruners import make_pruner
from tauopt.study.study_storage import open_storage
from tauopt.study.trial_runs import EXPERIMENT
from tauopt.study.warm_start_record import WarmStart, read_warm, write_warm
from tauopt.tracking.dataset_input import DatasetInput

if TYPE_CHECKING:
    from tauopt.study.hypermodel_space import HyperModelSpace

LOCK = "lock"
"""Name of the lock file that a driver holds, in the search's folder."""


@dataclass(frozen=True)
class SearchSetup:
    """What is to be searched, and where."""

    name: str
    output: Path
    """Output folder, absolute."""
    file: ExperimentFile
    dataset: Path
    """Folder of the prepared dataset, absolute."""
    origin: Provenance
    reports: int
    """Number of reports of a trial that is never stopped."""
    resume: bool = False
    accept_changes: bool = False
    resume_command: str = ""
    dataset_input: DatasetInput | None = None
    """The dataset as MLflow shows it."""
    warm: WarmStart | None = None
    """Points and outcomes taken over from earlier searches, when the search begins."""
    confirm: Confirm | None = None
    """Request to confirm the best points; None leaves it at what the study has."""

    @property
    def folder(self) -> Path:
        """Folder of the search."""
        return search_folder(self.output, self.name)


def search_folder(output: Path, name: str) -> Path:
    """Return the folder of a search."""
    return output / "searches" / name


def is_at_rest(folder: Path) -> bool:
    """Return whether no trial of a search can be running; False if its folder is not here."""
    return folder.is_dir() and not lock_holder(folder / LOCK)


def warm_start_of(setup: SearchSetup) -> WarmStart | None:
    """Return what a search takes over, or took over when it began; None if it is nothing.

    Raises:
        CorruptError: the record of it is damaged.
    """
    return setup.warm or (read_warm(setup.folder) if setup.resume else None)


def hypermodel_space(setup: SearchSetup) -> HyperModelSpace | None:
    """Return the space of a user's HyperModel; None for tauopt's networks."""
    if not isinstance(setup.file.base.model, OwnModel):
        return None
    from tauopt.study.hypermodel_space import HyperModelSpace

    manifest = open_dataset(setup.dataset).manifest

    def spec_of(experiment: Experiment) -> InputSpec:
        return input_spec(manifest, experiment.task, group_lengths(experiment.model))

    return HyperModelSpace(setup.file, spec_of)


def open_search_study(setup: SearchSetup, hypermodel: HyperModelSpace | None) -> optuna.Study:
    """Open or create the study of a search, and keep the experiment file in the search's folder.

    Args:
        setup: what to search.
        hypermodel: from `hypermodel_space`; learns the parameter names of earlier trials.
    Raises:
        UsageError: the name exists, or something changed; see `start_study`.
        ServiceError: the study's database can't be used.
    """
    search = setup.file.base.search
    study = start_study(
        open_storage(setup.output),
        setup.name,
        origin=setup.origin,
        folder=setup.folder,
        objective=setup.file.base.objective,
        space=setup.file.space,
        resume=setup.resume,
        accept_changes=setup.accept_changes,
    )
    if hypermodel is not None:
        hypermodel.learn_names(study)
    if setup.warm is not None:
        write_warm(setup.folder, setup.warm)
    if setup.confirm is not None:
        request_confirmation(study, setup.confirm)
    study.pruner = make_pruner(search.pruner, reports=setup.reports)
    write_bytes(setup.folder / EXPERIMENT, setup.file.text.encode())
    return study
