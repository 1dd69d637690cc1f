"""Curves of a finished search, from the checkpoints of its trials.

There is no independent sample, so the values themselves stand for the truth: such a replay compares
pruners and samplers, but not rules that choose among noisy values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings.ranges import Range
from tauopt.errors import CorruptError, DataError
from tauopt.metrics.influence import PairedValue
from tauopt.replay.curve_table import CurveTable
from tauopt.study.suggest import key
from tauopt.study.trial_attributes import is_of_search, values_of
from tauopt.training.checkpoints import load_checkpoint
from tauopt.training.trial_plan import trial_folder

FEWEST = 8
"""Trainings to the last report that a replay needs."""


def recorded_search(
    study: optuna.Study, folder: Path, *, space: Mapping[str, Range], metric: str
) -> CurveTable:
    """Return the curves of the trials of a search that trained to their end.

    Args:
        study: of the search.
        folder: of the search, with the trials' checkpoints.
        space: its search space.
        metric: its first objective.
    Raises:
        DataError: fewer than `FEWEST` trials trained to the same last report and have a checkpoint.
    """
    states = {t.number: state for t in _complete(study) if (state := _state(folder, t)) is not None}
    longest = max((len(state["history"]) for state in states.values()), default=0)
    full = {n: state for n, state in states.items() if len(state["history"]) == longest}
    if len(full) < FEWEST:
        raise DataError(
            f"{study.study_name}: {len(full)} trials trained to report {longest} and have a "
            f"checkpoint here, expected at least {FEWEST}: play a search without pruner and early "
            "stopping (--set search.pruner=null --set training.early_stopping=null), in whose "
            "folder `tauopt gc` removed nothing"
        )
    trials = {t.number: t for t in _complete(study)}
    keys = [key(values_of(trials[number])) for number in full]
    points = {key_: dict(values_of(trials[n])) for key_, n in zip(keys, full, strict=True)}
    order = list(points)
    curves = [_curve(state) for state in full.values()]
    values = np.stack([curve["values"] for curve in curves])[None, None]
    return CurveTable(
        name=study.study_name,
        space=space,
        metrics=(metric,),
        samples=("validation",),
        points=tuple(points.values()),
        point=np.array([order.index(key_) for key_ in keys]),
        seed=np.array([keys[:index].count(key_) for index, key_ in enumerate(keys)]),
        candidates=np.stack([curve["candidates"] for curve in curves]),
        loss=np.stack([curve["loss"] for curve in curves])[None],
        values=values,
        influences=np.stack([curve["influences"] for curve in curves])[None, None],
        truth=values[0],
        has_truth=False,
    )


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if is_of_search(trial)]


def _state(folder: Path, trial: FrozenTrial) -> Mapping[str, Any] | None:
    """Return the training state of a trial's last checkpoint; None if there is none."""
    try:
        checkpoint = load_checkpoint(trial_folder(folder, trial.number))
    except CorruptError:
        return None
    return None if checkpoint is None else checkpoint.state["training"]


def _curve(state: Mapping[str, Any]) -> dict[str, Any]:
    paired = [PairedValue.parse(text) for text in state["paired_values"]]
    return {
        "candidates": np.array([report["candidates_seen"] for report in state["history"]], float),
        "loss": np.array([report["val_loss"] for report in state["history"]]),
        "values": np.array([value.value for value in paired]),
        "influences": np.array([value.influence for value in paired]),
    }
