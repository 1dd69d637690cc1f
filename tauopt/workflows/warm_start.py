"""What a new search takes over from an earlier one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import UsageError
from tauopt.workflows.leaderboard import find_study

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.study.warm_trials import WarmStart

_UNKNOWN = (
    "this dataset is prepared first: if it is another than that of {of}, points are tried and "
    "nothing is learned from"
)


def taken_over(earlier: str, file: ExperimentFile, *, output: Path, dataset: str) -> WarmStart:
    """Return what a search takes over from an earlier one.

    Args:
        earlier: name of the earlier search.
        file: the new experiment.
        output: output folder, absolute.
        dataset: digest of the new experiment's prepared dataset; empty if it is not known yet,
            which is then said, and it is taken for the same.
    Raises:
        UsageError: there is no such search, or nothing of it can be taken over.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.config.load import read_experiment
    from tauopt.study.open_study import FOLDER
    from tauopt.study.provenance import from_attributes
    from tauopt.study.trial_runs import EXPERIMENT
    from tauopt.study.warm_trials import warm_start
    from tauopt.training.trial_identity import METHOD

    study = find_study(earlier, output=output)
    record = Path(str(study.user_attrs.get(FOLDER, ""))) / EXPERIMENT
    if not record.is_file():
        raise UsageError(f"{record} is gone, which said what {earlier} searched")
    before = from_attributes(study.user_attrs)
    warm = warm_start(
        earlier,
        study.get_trials(deepcopy=False),
        read_experiment(record),
        file,
        same_data=not dataset or before.dataset == dataset,
        same_method=before.method == str(METHOD),
    )
    if not warm.points:
        why = "; ".join(warm.notes) or "no trial of it has completed"
        raise UsageError(f"nothing of {earlier} can be taken over: {why}")
    if not dataset:
        warm = replace(warm, notes=(*warm.notes, _UNKNOWN.format(of=earlier)))
    return warm
