"""What is searched and where: the setup of a search, its first points and its study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import OwnModel, group_lengths
from tauopt.config.source.yaml_source import Scalar
from tauopt.dataset.network_inputs import input_spec
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.durable import lock_holder, write_bytes
from tauopt.study.open_study import start_study
from tauopt.study.provenance import Provenance
from tauopt.study.pruners import make_pruner
from tauopt.study.reseeded_points import RESEEDED_SEARCH, RepeatedPoints, enqueue_missing
from tauopt.study.samplers import check_sampler
from tauopt.study.study_storage import open_storage
from tauopt.study.suggest import key
from tauopt.study.trial_queue import TrialQueue
from tauopt.study.trial_runs import EXPERIMENT
from tauopt.study.warm_trials import WarmStart, frozen_history, write_warm
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
    repeats: RepeatedPoints | None = None
    """Points to be trained again, instead of a search for new ones."""
    warm: WarmStart | None = None
    """Points and outcomes taken over from an earlier search."""

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


def first_trials(
    file: ExperimentFile,
    *,
    count: int,
    hypermodel: HyperModelSpace | None = None,
    warm: WarmStart | None = None,
) -> list[Mapping[str, Any]]:
    """Return the parameters of a search's starting points and of `count` sampled trials.

    The file's sampler proposes them in a study in memory; a model-based sampler begins at random.

    Args:
        file: the experiment.
        count: number of sampled trials.
        hypermodel: space of a user's HyperModel; None for tauopt's networks.
        warm: points and outcomes of an earlier search.
    """
    starts = starting_points(file, hypermodel, warm)
    settings = file.base.search.model_copy(update={"trials": len(starts) + count})
    check_sampler(settings.sampler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [goal.direction for goal in file.base.objective.goals]
    study = optuna.create_study(directions=directions)
    for point in starts:
        study.enqueue_trial(point)
    history = frozen_history(warm, file.space) if warm else []
    queue = TrialQueue(study, settings, space=file.space, hypermodel=hypermodel, history=history)
    proposals = (queue.next_trial() for _ in range(settings.trials))
    return [dict(proposal.params) for proposal in proposals if proposal is not None]


def starting_points(
    file: ExperimentFile, hypermodel: HyperModelSpace | None, warm: WarmStart | None
) -> list[dict[str, Scalar]]:
    """Return the points that are tried first: the defaults, then those of an earlier search."""
    defaults = hypermodel.default_point() if hypermodel else {}
    points = [*({**point, **defaults} for point in file.starts()), *(warm.points if warm else ())]
    different: dict[str, dict[str, Scalar]] = {}
    for point in points:
        different.setdefault(key(point), dict(point))
    return list(different.values())[: file.base.search.trials]


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
        starts=[] if setup.repeats else starting_points(setup.file, hypermodel, setup.warm),
        space=setup.file.space,
        resume=setup.resume,
        accept_changes=setup.accept_changes,
    )
    if setup.repeats is not None:
        study.set_user_attr(RESEEDED_SEARCH, setup.repeats.search)
        enqueue_missing(study, setup.repeats.points)
    if hypermodel is not None:
        hypermodel.learn_names(study)
    if setup.warm is not None:
        write_warm(setup.folder, setup.warm)
    study.pruner = make_pruner(search.pruner, reports=setup.reports)
    write_bytes(setup.folder / EXPERIMENT, setup.file.text.encode())
    return study
