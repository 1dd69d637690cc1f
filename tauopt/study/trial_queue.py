"""The bookkeeping between whoever executes trials and the study, which is the truth.

No Ray in here: `next_trial`, `report` and the ends of a trial are all that an executor needs.
Trials that an earlier driver left RUNNING are given out first, with their numbers and
parameters. They stay RUNNING in the study until they end, whether the driver was stopped by a
signal or killed; who really runs is told by the lock on the search's folder.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from tauopt.config.settings.experiment import Search
from tauopt.config.settings.ranges import is_active
from tauopt.config.source.yaml_source import Scalar
from tauopt.study._optuna_internals import trial_id_of
from tauopt.study.cached_storage import CachedStorage
from tauopt.study.decision_records import complete_decisions
from tauopt.study.samplers import make_sampler
from tauopt.study.search_events import OnEvent, SearchEvent, ignore
from tauopt.study.storage_views import for_pruners, for_samplers
from tauopt.study.study_storage import DATABASE_ERRORS, patient
from tauopt.study.suggest import Space, all_points, is_finite, key, random_point, suggest

if TYPE_CHECKING:
    from tauopt.study.hypermodel_space import HyperModelSpace

DUPLICATE_OF = "duplicate_of"
REASON = "reason"
TRACEBACK = "traceback"
INTERVALS = "tauopt.intervals"
"""Attribute of a complete trial: ends of the 68 % interval of each objective that has one."""
VALUES = "tauopt.values"
"""Attribute of a trial of a model of the user's own: real values by path."""
_DUPLICATES_IN_A_ROW = 10
_DRAWS = 1000
_OWN_DRAWS = 50
"""Each of them builds the model."""
_TEXT_LIMIT = 8000


@dataclass(frozen=True)
class Proposal:
    """A trial to train: its number, its parameters, and whether it was begun before."""

    number: int
    params: Mapping[str, Scalar]
    resumed: bool


class TrialQueue:
    """Gives out trials and takes their reports, by number."""

    def __init__(
        self,
        study: optuna.Study,
        settings: Search,
        *,
        space: Space,
        own: HyperModelSpace | None = None,
        repeats: bool = False,
        history: Sequence[FrozenTrial] = (),
        on_event: OnEvent = ignore,
    ) -> None:
        """Take the study and its settings.

        Args:
            study: with what was tried before.
            settings: how many trials, and how they are proposed.
            space: the file's ranges.
            own: asks for the hyperparameters of a model of the user's own.
            repeats: train equal points again, each with its own seed.
            history: trials of an earlier search that the sampler learns from.
            on_event: is told of everything.
        """
        self._mirror = CachedStorage(study)
        self.study = study = self._mirror.study
        self._proposing = for_samplers(study, history)
        self._judging = for_pruners(study)
        self._settings = settings
        self._space = space
        self._own = own
        self._repeats = repeats
        self._on_event = on_event
        for stopped in complete_decisions(study):
            self._tell_pruned(stopped)
        frozen = study.get_trials(deepcopy=False)
        self._orphans = {t.number: trial_id_of(t) for t in frozen if t.state is TrialState.RUNNING}
        self._known = _first_of_each(frozen, self._is_whole)
        self._asked = sum(DUPLICATE_OF not in t.user_attrs for t in frozen)
        self._asked -= sum(t.state is TrialState.WAITING for t in frozen)
        self._live: dict[int, Trial] = {}
        self._followers: dict[int, list[Trial]] = {}
        self._duplicates_in_a_row = 0
        self.failures_in_a_row = 0
        self.first_failure = ""
        self.exhausted = False

    @property
    def live(self) -> tuple[int, ...]:
        """Numbers of the trials given out and not ended."""
        return tuple(self._live)

    def is_left(self) -> bool:
        """Say whether there may be trials to train."""
        more = self._asked < self._settings.trials and not self.exhausted
        return bool(self._orphans) or more

    def allow(self, settings: Search) -> None:
        """Go on with other limits."""
        self._settings = settings

    def settle(self) -> None:
        """Wait until the database has all that was reported."""
        self._mirror.settle()

    def trial(self, number: int) -> Trial:
        """Return the study's trial of one that was given out and has not ended."""
        return self._live[number]

    def last_report(self, number: int) -> int:
        """Return the number of a trial's last report in the study; 0 if there is none."""
        return max(self._reports(self._live[number]), default=0)

    def _reports(self, trial: Trial) -> Mapping[int, float]:
        known = patient(lambda: trial.storage.get_trial(trial_id_of(trial)))
        reports: Mapping[int, float] = known.intermediate_values
        return reports

    def _write(self, trial: Trial, step: int, value: float) -> None:
        """Report as Optuna's `report` does, which refuses several objectives; each step once."""
        if step not in self._reports(trial):
            set_value = trial.storage.set_trial_intermediate_value
            patient(lambda: set_value(trial_id_of(trial), step, float(value)))

    def next_trial(self) -> Proposal | None:
        """Return the next trial to train, or None when none is left.

        A proposal equal to an earlier trial is not given out: it takes that trial's outcome, is
        marked `duplicate_of`, does not count as asked for, and another is proposed instead. Not so
        where points are to be repeated.
        """
        while True:
            orphan = self._orphan()
            trial = orphan or self._ask()
            if trial is None:
                return None
            self._live[trial.number] = trial
            params = self._chosen(trial)
            if params is None:
                if self.gives_up():
                    return None
                continue
            first = self._known.setdefault(key(params), trial.number)
            if first == trial.number or self._repeats:
                self._duplicates_in_a_row = 0
                self._on_event(
                    SearchEvent("resumed" if orphan else "started", trial.number, params)
                )
                return Proposal(trial.number, params, resumed=orphan is not None)
            self._follow(trial, first)

    def _chosen(self, trial: Trial) -> dict[str, Scalar] | None:
        """Have all values of a trial suggested; None if the user's own model failed over it."""
        params = suggest(trial, self._space)
        if self._own is None:
            return params
        try:
            params |= self._own.suggest(trial, params)
        except DATABASE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - the user's bug ends the trial that meets it
            reason = f"{type(error).__name__}: {error}"
            self.fail(trial.number, reason, traceback=traceback.format_exc())
            return None
        if trial.user_attrs.get(VALUES) != params:
            trial.set_user_attr(VALUES, params)
        return params

    def _is_whole(self, trial: FrozenTrial) -> bool:
        """Say whether all parameters of a trial are chosen."""
        if self._own is not None:
            return VALUES in trial.user_attrs
        return all(
            path in trial.params
            for path, range_ in self._space.items()
            if is_active(range_, trial.params)
        )

    def _orphan(self) -> Trial | None:
        if not self._orphans:
            return None
        return Trial(self._proposing, self._orphans.pop(min(self._orphans)))

    def _ask(self) -> Trial | None:
        if self._asked >= self._settings.trials or self._is_exhausted():
            return None
        if self._duplicates_in_a_row >= _DUPLICATES_IN_A_ROW:
            self._enqueue_untried()
            if self.exhausted:
                return None
        number = len(self.study.get_trials(deepcopy=False))
        self._proposing.sampler = make_sampler(
            self._settings.sampler, pruner=self._settings.pruner.type, number=number
        )
        self._asked += 1
        return self._proposing.ask()

    def _is_exhausted(self) -> bool:
        if self._repeats:
            return False
        if not self.exhausted and is_finite(self._space) and self._untried() is None:
            self.exhausted = True
            message = f"all {len(self._known)} points of the space are tried: nothing is left"
            self._on_event(SearchEvent("note", message=message))
        return self.exhausted

    def _untried(self) -> dict[str, Scalar] | None:
        return next((p for p in all_points(self._space) if key(p) not in self._known), None)

    def _enqueue_untried(self) -> None:
        """Have a point proposed that was never tried, when the sampler repeats itself."""
        rng = np.random.default_rng((self._settings.sampler.seed, len(self._known)))
        if self._own is not None:
            self._enqueue_own(self._own, rng)
            return
        drawn = (random_point(self._space, rng) for _ in range(_DRAWS))
        point = next((p for p in drawn if key(p) not in self._known), None) or self._untried()
        if point is not None:
            self.study.enqueue_trial(point)

    def _enqueue_own(self, own: HyperModelSpace, rng: np.random.Generator) -> None:
        drawn = (own.drawn(rng) for _ in range(_OWN_DRAWS))
        point = next((study for real, study in drawn if key(real) not in self._known), None)
        if point is not None:
            self.study.enqueue_trial(point)
        else:
            self.exhausted = True
            message = f"the last {_OWN_DRAWS} random points were tried before: nothing is left"
            self._on_event(SearchEvent("note", message=message))

    def _follow(self, trial: Trial, first: int) -> None:
        """Let `trial` end as the equal trial `first` ended, or will."""
        if DUPLICATE_OF not in trial.user_attrs:
            trial.set_user_attr(DUPLICATE_OF, first)
            self._asked -= 1
        self._duplicates_in_a_row += 1
        self._on_event(SearchEvent("duplicate", trial.number, message=f"equal to t{first:03d}"))
        if first in self._live or first in self._orphans:
            self._followers.setdefault(first, []).append(trial)
        else:
            self._end_like(trial, self.frozen(first))

    def frozen(self, number: int) -> FrozenTrial:
        """Return what the study knows of a trial."""
        return next(t for t in self.study.get_trials(deepcopy=False) if t.number == number)

    def _end_like(self, trial: Trial, first: FrozenTrial) -> None:
        for step, value in first.intermediate_values.items():
            self._write(trial, step, value)
        if INTERVALS in first.user_attrs:
            trial.set_user_attr(INTERVALS, first.user_attrs[INTERVALS])
        self._tell(trial, first.state, first.values if first.state is TrialState.COMPLETE else None)

    def _tell(self, trial: Trial, state: TrialState, values: Sequence[float] | None = None) -> None:
        # Told twice is told once: the answer to the first may have been lost.
        patient(lambda: self.study.tell(trial, values, state=state, skip_if_finished=True))
        self._live.pop(trial.number, None)

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        self._tell(self._live[number], state, values)
        followers = self._followers.pop(number, [])
        if followers:
            first = self.frozen(number)
            for follower in followers:
                self._end_like(follower, first)

    def report(self, number: int, step: int, value: float, *, candidates_seen: int = 0) -> bool:
        """Take a trial's report and say whether it is to be stopped.

        Args:
            number: of the trial.
            step: of the report, from 1; one that is known already is not taken twice.
            value: the first objective, finite.
            candidates_seen: how far the trial has come.
        """
        trial = self._live[number]
        judge = partial(self._falls_behind, trial)
        stop = patient(lambda: self._mirror.decide(trial_id_of(trial), step, float(value), judge))
        self._tell_report(number, step, value, candidates_seen)
        return stop

    def _falls_behind(self, trial: Trial) -> bool:
        """Ask the pruner as Optuna's `should_prune` does, which refuses several objectives."""
        frozen = trial.storage.get_trial(trial_id_of(trial))
        return bool(self._judging.pruner.prune(self._judging, frozen))

    def _tell_report(self, number: int, step: int, value: float, candidates_seen: int) -> None:
        event = SearchEvent(
            "report", number, value=value, report=step, candidates_seen=candidates_seen
        )
        self._on_event(event)

    def complete(
        self,
        number: int,
        step: int,
        value: float,
        *,
        best: float,
        others: Sequence[float] = (),
        intervals: Mapping[str, Sequence[float]] | None = None,
        candidates_seen: int = 0,
    ) -> None:
        """End a trial that trained to its end.

        Args:
            number: of the trial.
            step: of its last report.
            value: the first objective at its last report.
            best: the first objective at its best.
            others: the other objectives of its best network, in the study's order.
            intervals: ends of the 68 % interval of each objective that has one, by its name.
            candidates_seen: how far it came.
        """
        if not all(map(math.isfinite, (value, best, *others))):
            also = "".join(f", {other}" for other in others)
            self.fail(number, f"an objective is not finite: {value} (best {best}{also})")
            return
        self._write(self._live[number], step, value)
        self._tell_report(number, step, value, candidates_seen)
        if intervals is not None:
            ends = {name: list(interval) for name, interval in intervals.items()}
            self._live[number].set_user_attr(INTERVALS, ends)
        self._end(number, TrialState.COMPLETE, (best, *others))
        self.failures_in_a_row = 0
        self._on_event(
            SearchEvent("complete", number, value=best, report=step, others=tuple(others))
        )

    def prune(self, number: int) -> None:
        """End a trial that was stopped because it fell behind."""
        self._end(number, TrialState.PRUNED)
        self.failures_in_a_row = 0
        self._tell_pruned(self.frozen(number))

    def _tell_pruned(self, trial: FrozenTrial) -> None:
        reports = trial.intermediate_values
        value, last = max(reports.values()), max(reports)
        self._on_event(SearchEvent("pruned", trial.number, value=value, report=last))

    def fail(self, number: int, reason: str, *, traceback: str = "") -> None:
        """End a trial that failed; it is never best, and the sampler does not learn from it."""
        trial = self._live[number]
        trial.set_user_attr(REASON, reason[:_TEXT_LIMIT])
        if traceback:
            trial.set_user_attr(TRACEBACK, traceback[-_TEXT_LIMIT:])
        self._end(number, TrialState.FAIL)
        self.failures_in_a_row += 1
        self.first_failure = self.first_failure or traceback or reason
        self._on_event(SearchEvent("failed", number, message=reason))

    def retry(self, number: int, reason: str) -> None:
        """Take a trial back whose worker died; it is the next to be given out."""
        self._orphans[number] = trial_id_of(self._live.pop(number))
        self._on_event(SearchEvent("retried", number, message=reason))

    def gives_up(self) -> bool:
        """Say whether so many trials failed in a row that the search ends."""
        return self.failures_in_a_row >= self._settings.max_failures


def values_of(trial: FrozenTrial) -> Mapping[str, Scalar]:
    """Return the real values of a trial, by path."""
    values: Mapping[str, Scalar] = trial.user_attrs.get(VALUES, trial.params)
    return values


def _first_of_each(
    frozen: list[FrozenTrial], is_whole: Callable[[FrozenTrial], bool]
) -> dict[str, int]:
    """Return, for each point tried so far, the number of the trial that trained it.

    Trials cut short before all their parameters were chosen do not count: they complete them
    when they are taken up again.
    """
    known: dict[str, int] = {}
    for trial in sorted(frozen, key=lambda t: t.number):
        if DUPLICATE_OF in trial.user_attrs or trial.state is TrialState.WAITING:
            continue
        if trial.state is TrialState.RUNNING and not is_whole(trial):
            continue
        known.setdefault(key(values_of(trial)), trial.number)
    return known
