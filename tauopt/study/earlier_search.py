"""What a new search takes over from an earlier one (warm start)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.load import read_experiment
from tauopt.errors import UsageError
from tauopt.study.open_study import FOLDER
from tauopt.study.provenance import from_attributes
from tauopt.study.trial_runs import EXPERIMENT
from tauopt.study.warm_trials import WarmStart, warm_start
from tauopt.training.trial_identity import METHOD


def warm_start_from(earlier: optuna.Study, file: ExperimentFile, *, dataset: str) -> WarmStart:
    """Return what a search takes over from an earlier one.

    Args:
        earlier: study of the earlier search.
        file: the new experiment.
        dataset: digest of the new experiment's prepared dataset; empty if it is not known yet: the
            dataset is then assumed to be that of the earlier search, and a note says so.
    Raises:
        UsageError: the record of the earlier search is missing, or nothing can be taken over.
    """
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
    if not warm.points:
        reason = "; ".join(warm.notes) or "no trial of it has completed"
        raise UsageError(f"nothing of {name} can be taken over: {reason}")
    if not dataset:
        note = (
            f"this dataset is prepared first: if it is another than that of {name}, points are "
            "tried and nothing is learned from"
        )
        warm = replace(warm, notes=(*warm.notes, note))
    return warm
