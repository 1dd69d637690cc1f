"""Racing: a pruner that stops a trial only if it is behind beyond the errors of the comparison.

All trials are measured on the same validation candidates, so two values share most of their noise,
and their difference is known far better than either. Trials that are tied go on.

Source:
    O. Maron and A. Moore, Artificial Intelligence Review 11 (1997) 193, for racing; L. Li et al.,
    arXiv:1810.05934, for asynchronous successive halving, whose rungs it uses.
"""

from __future__ import annotations

from statistics import NormalDist

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from tauopt.metrics.influence import PairedValue

_KEY = "racing:{}"
"""System attribute of a trial: its `PairedValue` at a report."""


class RacingPruner(BasePruner):
    """Asynchronous successive halving that keeps what is tied with the last trial that passes.

    At each rung, one in `reduction_factor` of the trials that came so far passes by rank. A trial
    of lower rank is stopped only if a paired test says, at the stated level, that it is behind the
    last of those.
    """

    def __init__(self, *, min_reports: int, reduction_factor: int, level: float) -> None:
        """Take the first rung, the factor between rungs, and the level of the test, one-sided."""
        self._min_reports = min_reports
        self._reduction_factor = reduction_factor
        self._deviations = NormalDist().inv_cdf(1.0 - level)

    def is_rung(self, step: int) -> bool:
        """Return whether trials are compared at a report of this number."""
        rung = self._min_reports
        while rung < step:
            rung *= self._reduction_factor
        return rung == step

    def keep(self, storage: BaseStorage, trial_id: int, *, step: int, text: str) -> None:
        """Store the paired value of a report at a rung, as text, for `prune`."""
        if self.is_rung(step):
            storage.set_trial_system_attr(trial_id, _KEY.format(step), text)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether the trial is behind at its last report."""
        key = _KEY.format(trial.last_step)
        if key not in trial.system_attrs:
            return False
        trials = study.get_trials(deepcopy=False)
        others = [t.system_attrs[key] for t in trials if key in t.system_attrs]
        values = [PairedValue.parse(text) for text in others]
        return self.is_behind(
            PairedValue.parse(trial.system_attrs[key]),
            values,
            larger=study.direction is StudyDirection.MAXIMIZE,
        )

    def is_behind(self, value: PairedValue, rung: list[PairedValue], *, larger: bool) -> bool:
        """Return whether a value is behind the last that passes by rank among all of a rung.

        Args:
            value: of the trial that is judged.
            rung: values of all trials that came to the rung so far, with this one.
            larger: whether larger is better.
        """
        passing = max(1, len(rung) // self._reduction_factor)
        ranked = sorted(rung, key=lambda other: other.value, reverse=larger)
        difference, error = ranked[passing - 1].ahead_of(value)
        return (difference if larger else -difference) > self._deviations * error
