"""What is to be searched, where, and the study of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel, group_lengths
from tauopt.dataset.network_inputs import input_spec
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.durable import write_bytes
from tauopt.study.first_trials import starting_points
from tauopt.study.open_study import start_study
from tauopt.study.provenance import Provenance
from tauopt.study.pruners import make_pruner
from tauopt.study.reseeded_points import OF, RepeatedPoints, enqueue_missing
from tauopt.study.study_storage import open_storage
from tauopt.study.trial_runs import EXPERIMENT
from tauopt.study.warm_trials import WarmStart, write_warm
from tauopt.tracking.dataset_input import DatasetInput

if TYPE_CHECKING:
    from tauopt.study.hypermodel_space import HyperModelSpace

LOCK = "lock"
"""File of a search's folder that its driver holds."""


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
    """Reports of a trial that is never stopped."""
    resume: bool = False
    accept_changes: bool = False
    resume_command: str = ""
    shown: DatasetInput | None = None
    """The dataset as MLflow shows it."""
    repeats: RepeatedPoints | None = None
    """Points to be trained again, instead of a search for new ones."""
    warm: WarmStart | None = None
    """What it takes over from an earlier search."""

    @property
    def folder(self) -> Path:
        """The search's folder."""
        return search_folder(self.output, self.name)


def search_folder(output: Path, name: str) -> Path:
    """Return the folder of a search."""
    return output / "searches" / name


def own_space(order: SearchSetup) -> HyperModelSpace | None:
    """Return what asks for the hyperparameters of a model of the user's own; None for ours."""
    if not isinstance(order.file.base.model, OwnModel):
        return None
    from tauopt.study.hypermodel_space import HyperModelSpace

    manifest = open_dataset(order.dataset).manifest

    def spec_of(experiment: Experiment) -> InputSpec:
        return input_spec(manifest, experiment.task, group_lengths(experiment.model))

    return HyperModelSpace(order.file, spec_of)


def study_of(order: SearchSetup, own: HyperModelSpace | None) -> optuna.Study:
    """Open or create the study of an order, and keep its experiment in the search's folder.

    Args:
        order: what to search.
        own: from `own_space`; learns what was tried before.
    Raises:
        UsageError: the name exists, or something changed; see `start_study`.
        ServiceError: the study's database can't be used.
    """
    search = order.file.base.search
    study = start_study(
        open_storage(order.output),
        order.name,
        origin=order.origin,
        folder=order.folder,
        objective=order.file.base.objective,
        starts=[] if order.repeats else starting_points(order.file, own, order.warm),
        space=order.file.space,
        resume=order.resume,
        accept_changes=order.accept_changes,
    )
    if order.repeats is not None:
        study.set_user_attr(OF, order.repeats.of)
        enqueue_missing(study, order.repeats.points)
    if own is not None:
        own.learn(study)
    if order.warm is not None:
        write_warm(order.folder, order.warm)
    study.pruner = make_pruner(search.pruner, reports=order.reports)
    write_bytes(order.folder / EXPERIMENT, order.file.text.encode())
    return study
