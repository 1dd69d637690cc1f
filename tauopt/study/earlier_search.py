"""What a new search takes over from earlier ones (warm start)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.load import read_experiment
from tauopt.errors import UsageError
from tauopt.study.open_study import FOLDER
from tauopt.study.provenance import from_attributes
from tauopt.study.trial_runs import EXPERIMENT
from tauopt.study.warm_start_record import WarmStart, joined
from tauopt.study.warm_trials import warm_start
from tauopt.training.trial_identity import METHOD


def warm_start_from(
    earlier: Sequence[optuna.Study], file: ExperimentFile, *, dataset: str
) -> WarmStart:
    """Return what a search takes over from earlier ones, the most alike first.

    Alike are first of all searches with the same prepared dataset and the same objectives, then
    those of which most settings are ranges in both, and equal ones: see `Alikeness`.

    Args:
        earlier: studies of the earlier searches, at least one.
        file: the new experiment.
        dataset: digest of the new experiment's prepared dataset; empty if it is not known yet: the
            dataset is then assumed to be that of the earlier search, and a note says so.
    Raises:
        UsageError: the record of an earlier search is missing, or nothing can be taken over.
    """
    warm = joined([_from_one(study, file, dataset=dataset) for study in earlier])
    if not warm.points:
        reasons = [
            f"nothing of {search.name} can be taken over: "
            + ("; ".join(search.notes) or "no trial of it has completed")
            for search in warm.searches
        ]
        raise UsageError("\n".join(reasons))
    return warm


def _from_one(earlier: optuna.Study, file: ExperimentFile, *, dataset: str) -> WarmStart:
    name = earlier.study_name
    record = Path(str(earlier.user_attrs.get(FOLDER, ""))) / EXPERIMENT
    if not record.is_file():
        raise UsageError(
            f"{record} is missing, the record of what {name} searched: no warm start from it"
        )
    before = from_attributes(earlier.user_attrs)
    warm = warm_start(
        name,
        earlier.get_trials(deepcopy=False),
        read_experiment(record),
        file,
        same_data=not dataset or before.dataset == dataset,
        same_method=before.method == str(METHOD),
    )
    if not dataset and warm.points:
        note = (
            f"this dataset is prepared first: if it is another than that of {name}, points are "
            "tried and nothing is learned from"
        )
        (search,) = warm.searches
        warm = replace(warm, searches=(replace(search, notes=(*search.notes, note)),))
    return warm
