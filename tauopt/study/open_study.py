"""Open or create the study of a search; refuse to resume it with other file, data or code."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tauopt.config.settings.experiment import Objective
from tauopt.config.settings.objective import Goal
from tauopt.durable import check_name
from tauopt.errors import UsageError, nearest
from tauopt.study._optuna_internals import study_id_of_summary
from tauopt.study.provenance import Provenance, differences, from_attributes
from tauopt.study.study_storage import is_shared
from tauopt.study.suggest import Space, distribution

UID = "tauopt.uid"
SECONDS = "tauopt.seconds"
GPU_SECONDS = "tauopt.gpu_seconds"
FOLDER = "tauopt.folder"
PARENT_RUN = "tauopt.run_id"
TRIALS = "tauopt.trials"
OBJECTIVES = "tauopt.objectives"
"""Attribute of a study: the names of its objectives, in the order of its directions."""


def open_study(storage: BaseStorage, name: str) -> optuna.Study:
    """Open an existing study.

    Raises:
        UsageError: there is no study of that name; lists the existing ones.
    """
    names = optuna.get_all_study_names(storage)
    if name not in names:
        known = ", ".join(sorted(names)[:20]) or "none yet"
        raise UsageError(f"no search {name!r}{nearest(name, names)}; there are: {known}")
    return optuna.load_study(study_name=name, storage=storage)


def has_study(storage: BaseStorage, name: str) -> bool:
    """Return whether there is a study of that name."""
    return name in optuna.get_all_study_names(storage)


def latest_study(storage: BaseStorage) -> str | None:
    """Return the name of the study whose first trial began last; None if there is no study."""
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    dated = [
        (s.datetime_start or datetime.min, study_id_of_summary(s), s.study_name) for s in summaries
    ]
    return max(dated)[2] if dated else None


def check_name_is_free(storage: BaseStorage, name: str) -> None:
    """Check that no search of that name has begun a trial.

    Raises:
        UsageError: a search has that name; the message says how to go on with it.
        InvalidNameError: the name can't be a file name.
    """
    check_name(name, what="search name")
    if name not in optuna.get_all_study_names(storage):
        return
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    if any(trial.state is not TrialState.WAITING for trial in trials):
        raise UsageError(
            f"a search {name!r} exists already: go on with it (--resume), or give this one "
            "another name (--name)"
        )


def start_study(
    storage: BaseStorage,
    name: str,
    *,
    origin: Provenance,
    folder: Path,
    objective: Objective,
    space: Space,
    resume: bool,
    accept_changes: bool = False,
) -> optuna.Study:
    """Create a study, or with `resume` open it to go on.

    Args:
        storage: the database.
        name: name of the search.
        origin: provenance of the search as it is now.
        folder: the search's folder.
        objective: metrics to maximise and costs to minimise.
        space: the search space as it is now.
        resume: go on with a study of this name if there is one.
        accept_changes: go on although the file, the code or the data changed.
    Raises:
        UsageError: the name exists already, or (with `resume`) something changed; the message
            says what to do.
        InvalidNameError: the name can't be a file name.
    """
    if not resume:
        check_name_is_free(storage, name)
        if name in optuna.get_all_study_names(storage):  # it stopped before its first trial
            optuna.delete_study(study_name=name, storage=storage)
    check_name(name, what="search name")
    if name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage)
        _check_unchanged(study, origin, folder, accept_changes=accept_changes)
        _check_space(study, space)
        _check_objectives(study, objective)
    else:
        directions = [goal.direction for goal in objective.goals]
        study = optuna.create_study(study_name=name, storage=storage, directions=directions)
    _write_attributes(study, origin, folder, objective)
    return study


def goals_of(study: optuna.Study) -> list[Goal]:
    """Return a study's objectives, the first one first."""
    names = study.user_attrs.get(OBJECTIVES) or [f"objective {d.name}" for d in study.directions]
    return [
        Goal(str(name), "maximize" if direction is StudyDirection.MAXIMIZE else "minimize")
        for name, direction in zip(names, study.directions, strict=True)
    ]


def _write_attributes(
    study: optuna.Study, origin: Provenance, folder: Path, objective: Objective
) -> None:
    """Write provenance, folder, objectives and unique id where they are missing or changed."""
    present = study.user_attrs
    attributes: dict[str, object] = {
        **origin.attributes(),
        FOLDER: str(folder),
        OBJECTIVES: [goal.name for goal in objective.goals],
        # Last: a study with this id has its other attributes, even if the driver was killed here.
        UID: present.get(UID) or uuid.uuid4().hex[:16],
    }
    for name, value in attributes.items():
        if present.get(name) != value:
            study.set_user_attr(name, value)


def _check_unchanged(
    study: optuna.Study, origin: Provenance, folder: Path, *, accept_changes: bool
) -> None:
    attributes = study.user_attrs
    if accept_changes or UID not in attributes:
        return
    lines = differences(from_attributes(attributes), origin)
    if is_shared() and attributes.get(FOLDER) != str(folder):
        lines.append(f"its folder is {attributes.get(FOLDER)}, not {folder} (-o/--output)")
    if lines:
        raise UsageError(
            f"search {study.study_name!r} was begun with something else:\n"
            + "\n".join(lines)
            + "\nput it back as it was, give this search another --name, or go on all the same "
            "with --accept-changes"
        )


def _check_objectives(study: optuna.Study, objective: Objective) -> None:
    """Check that the study's values and those of new trials are of the same objectives."""
    before, now = goals_of(study), list(objective.goals)
    same_directions = [goal.direction for goal in before] == [goal.direction for goal in now]
    is_named = UID in study.user_attrs  # else its driver died before it wrote the names
    if not same_directions or (is_named and before != now):
        raise UsageError(
            f"search {study.study_name!r} is to {_in_words(before)}, now the file says "
            f"{_in_words(now)}, which one study can't hold: give the search another --name"
        )


def _in_words(goals: Sequence[Goal]) -> str:
    return ", ".join(f"{goal.direction} {goal.name}" for goal in goals)


def _check_space(study: optuna.Study, space: Space) -> None:
    """Check that the study's trials and the present ranges fit into one study."""
    for trial in study.get_trials(deepcopy=False):
        for path in trial.distributions.keys() & space.keys():
            try:
                check_distribution_compatibility(
                    trial.distributions[path], distribution(space[path])
                )
            except ValueError:
                raise UsageError(
                    f"{path} changed its kind or its choices, which one study can't hold: "
                    "give the search another --name"
                ) from None
