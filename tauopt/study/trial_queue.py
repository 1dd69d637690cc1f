"""Queue of trials between an executor and the study: propose, take reports, end.

Nothing here depends on Ray: `next_trial`, `report`, and the methods that end a trial are all that
an executor needs. Trials that an earlier driver left RUNNING are given out first, with their
numbers and parameters. They stay RUNNING in the study until they end, whether the driver was
stopped by a signal or killed: the lock on the search's folder shows whether a driver runs.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from tauopt.config.settings.experiment import Search
from tauopt.config.settings.ranges import is_active
from tauopt.config.source.yaml_source import Scalar
from tauopt.study._optuna_internals import trial_id_of
from tauopt.study.cached_storage import CachedStorage
from tauopt.study.decision_records import complete_decisions
from tauopt.study.racing import RacingPruner
from tauopt.study.samplers import make_sampler
from tauopt.study.search_events import EventKind, OnEvent, SearchEvent, ignore
from tauopt.study.storage_views import for_pruners, for_samplers
from tauopt.study.study_storage import DATABASE_ERRORS, with_retries
from tauopt.study.suggest import Space, all_points, is_finite, key, random_point, suggest
from tauopt.study.trial_attributes import (
    BEST_REPORT,
    CONFIRMS,
    CONSTRAINTS,
    DUPLICATE_OF,
    INTERVALS,
    LOG_LOSS,
    PAIRED_VALUE,
    PARAMETERS,
    REASON,
    TRACEBACK,
    VALUES,
    is_of_search,
    values_of,
)

if TYPE_CHECKING:
    from tauopt.study.hypermodel_space import HyperModelSpace

_DUPLICATES_IN_A_ROW = 10
"""After so many duplicates of a sampler that repeats itself, an untried point is enqueued."""
_DRAWS = 1000
"""Random points drawn to find an untried one."""
_HYPERMODEL_DRAWS = 50
"""The same for a HyperModel: fewer, since each draw builds the model."""
_TEXT_LIMIT = 8000
"""Characters kept of a reason or a traceback."""


@dataclass(frozen=True)
class Proposal:
    """A trial to train."""

    number: int
    params: Mapping[str, Scalar]
    resumed: bool
    """Whether it was begun before."""


class TrialQueue:
    """Trials to be trained: gives them out and takes their reports, by number."""

    def __init__(
        self,
        study: optuna.Study,
        settings: Search,
        *,
        space: Space,
        hypermodel: HyperModelSpace | None = None,
        history: Sequence[FrozenTrial] = (),
        on_event: OnEvent = ignore,
    ) -> None:
        """Take the study and its settings.

        Args:
            study: the study, with the trials so far.
            settings: number of trials, sampler, pruner and limits.
            space: the file's ranges.
            hypermodel: space of a user's HyperModel; None for tauopt's networks.
            history: trials of an earlier search that the sampler learns from.
            on_event: called with each event of the search.
        """
        self._cached = CachedStorage(study)
        self.study = study = self._cached.study
        self._sampler_view = for_samplers(study, history)
        self._pruner_view = for_pruners(study)
        self._settings = settings
        self._space = space
        self._hypermodel = hypermodel
        self._on_event = on_event
        for stopped in complete_decisions(study):
            self._emit_pruned(stopped)
        frozen = study.get_trials(deepcopy=False)
        # Trials that an earlier driver left RUNNING: number -> id.
        self._orphans = {t.number: trial_id_of(t) for t in frozen if t.state is TrialState.RUNNING}
        self._number_of_point = _trial_of_each_point(frozen, self._has_all_params)
        # Trials that count towards `settings.trials`.
        self._proposed_count = sum(
            is_of_search(t) and t.state is not TrialState.WAITING for t in frozen
        )
        self._live: dict[int, Trial] = {}
        self._followers: dict[int, list[Trial]] = {}  # duplicates that wait for a live trial's end
        self._duplicates_in_a_row = 0
        self.failures_in_a_row = 0
        self.first_failure = ""
        self.exhausted = False

    @property
    def live(self) -> tuple[int, ...]:
        """Numbers of the trials that were given out and have not ended."""
        return tuple(self._live)

    def is_left(self) -> bool:
        """Return whether there may be trials to train."""
        more = self._proposed_count < self._settings.trials and not self.exhausted
        return bool(self._orphans) or more or self._waits_to_confirm()

    def _waits_to_confirm(self) -> bool:
        """Return whether a point waits to be trained again on another seed."""
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return any(CONFIRMS in trial.user_attrs for trial in waiting)

    def set_limits(self, settings: Search) -> None:
        """Replace the settings, for instance by ones with more trials."""
        self._settings = settings

    def settle(self) -> None:
        """Wait until the database has all reports."""
        self._cached.settle()

    def trial(self, number: int) -> Trial:
        """Return the study's trial of a number that was given out and has not ended."""
        return self._live[number]

    def last_report(self, number: int) -> int:
        """Return the number of a trial's last report in the study; 0 if there is none."""
        return max(self._reports(self._live[number]), default=0)

    def _reports(self, trial: Trial) -> Mapping[int, float]:
        frozen = with_retries(lambda: trial.storage.get_trial(trial_id_of(trial)))
        reports: Mapping[int, float] = frozen.intermediate_values
        return reports

    def _write_report(self, trial: Trial, step: int, value: float) -> None:
        """Store a report once, as Optuna's `report` does, which refuses several objectives."""
        if step not in self._reports(trial):
            set_value = trial.storage.set_trial_intermediate_value
            with_retries(lambda: set_value(trial_id_of(trial), step, float(value)))

    def next_trial(self) -> Proposal | None:
        """Return the next trial to train, or None when none is left.

        A proposal equal to an earlier trial is not given out, unless it confirms that trial: it
        takes the trial's outcome, is marked `duplicate_of`, does not count towards the number of
        trials, and another is proposed instead.
        """
        while True:
            orphan = self._next_orphan()
            trial = orphan or self._propose()
            if trial is None:
                return None
            self._live[trial.number] = trial
            params = self._suggest_params(trial)
            if params is None:
                if self.gives_up():
                    return None
                continue
            first = self._number_of_point.setdefault(key(params), trial.number)
            confirms = trial.user_attrs.get(CONFIRMS)
            if first == trial.number or confirms is not None:
                self._duplicates_in_a_row = 0
                kind: EventKind = "resumed" if orphan else "started"
                why = "" if confirms is None else f"confirms t{confirms:03d}"
                self._on_event(SearchEvent(kind, trial.number, params, message=why))
                return Proposal(trial.number, params, resumed=orphan is not None)
            self._mark_duplicate(trial, first)

    def _suggest_params(self, trial: Trial) -> dict[str, Scalar] | None:
        """Return suggested values of all parameters of a trial; None if the user's model raised."""
        params = suggest(trial, self._space)
        if self._hypermodel is None:
            return params
        try:
            params |= self._hypermodel.suggest(trial, params)
        except DATABASE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - the user's bug ends the trial that meets it
            reason = f"{type(error).__name__}: {error}"
            self.fail(trial.number, reason, traceback=traceback.format_exc())
            return None
        if trial.user_attrs.get(VALUES) != params:
            trial.set_user_attr(VALUES, params)
        return params

    def _has_all_params(self, trial: FrozenTrial) -> bool:
        """Return whether all parameters of a trial have values."""
        if self._hypermodel is not None:
            return VALUES in trial.user_attrs
        return all(
            path in trial.params
            for path, range_ in self._space.items()
            if is_active(range_, trial.params)
        )

    def _next_orphan(self) -> Trial | None:
        if not self._orphans:
            return None
        return Trial(self._sampler_view, self._orphans.pop(min(self._orphans)))

    def _propose(self) -> Trial | None:
        if not self._waits_to_confirm():
            if self._proposed_count >= self._settings.trials or self._is_exhausted():
                return None
            if self._duplicates_in_a_row >= _DUPLICATES_IN_A_ROW:
                self._enqueue_untried()
                if self.exhausted:
                    return None
        number = len(self.study.get_trials(deepcopy=False))
        self._sampler_view.sampler = make_sampler(
            self._settings.sampler, pruner=self._settings.pruner.type, number=number
        )
        trial = self._sampler_view.ask()
        self._proposed_count += CONFIRMS not in trial.user_attrs
        return trial

    def _is_exhausted(self) -> bool:
        if not self.exhausted and is_finite(self._space) and self._untried_point() is None:
            self.exhausted = True
            points = len(self._number_of_point)
            message = f"all {points} points of the space are tried: nothing is left"
            self._on_event(SearchEvent("note", message=message))
        return self.exhausted

    def _untried_point(self) -> dict[str, Scalar] | None:
        return next(
            (p for p in all_points(self._space) if key(p) not in self._number_of_point), None
        )

    def _enqueue_untried(self) -> None:
        """Enqueue a point that was never tried, for a sampler that repeats itself."""
        rng = np.random.default_rng((self._settings.sampler.seed, len(self._number_of_point)))
        if self._hypermodel is not None:
            self._enqueue_hypermodel_point(self._hypermodel, rng)
            return
        drawn = (random_point(self._space, rng) for _ in range(_DRAWS))
        untried = (point for point in drawn if key(point) not in self._number_of_point)
        point = next(untried, None) or self._untried_point()
        if point is not None:
            self.study.enqueue_trial(point)

    def _enqueue_hypermodel_point(
        self, hypermodel: HyperModelSpace, rng: np.random.Generator
    ) -> None:
        for _ in range(_HYPERMODEL_DRAWS):
            real, encoded = hypermodel.draw_point(rng)
            if key(real) not in self._number_of_point:
                self.study.enqueue_trial(encoded)
                return
        # The size of a define-by-run space is unknown: it is taken to be exhausted.
        self.exhausted = True
        message = f"the last {_HYPERMODEL_DRAWS} random points were tried before: nothing is left"
        self._on_event(SearchEvent("note", message=message))

    def _mark_duplicate(self, trial: Trial, first: int) -> None:
        """Mark `trial` as a duplicate of `first`; it ends as `first` has ended, or will."""
        if DUPLICATE_OF not in trial.user_attrs:
            trial.set_user_attr(DUPLICATE_OF, first)
            self._proposed_count -= 1
        self._duplicates_in_a_row += 1
        self._on_event(SearchEvent("duplicate", trial.number, message=f"equal to t{first:03d}"))
        if first in self._live or first in self._orphans:
            self._followers.setdefault(first, []).append(trial)
        else:
            self._end_like(trial, self.frozen(first))

    def frozen(self, number: int) -> FrozenTrial:
        """Return a trial of the study, of any state, by number."""
        return next(t for t in self.study.get_trials(deepcopy=False) if t.number == number)

    def _end_like(self, trial: Trial, first: FrozenTrial) -> None:
        for step, value in first.intermediate_values.items():
            self._write_report(trial, step, value)
        for name in (INTERVALS, BEST_REPORT, PAIRED_VALUE, LOG_LOSS, PARAMETERS, CONSTRAINTS):
            if name in first.user_attrs:
                trial.set_user_attr(name, first.user_attrs[name])
        self._finish(
            trial, first.state, first.values if first.state is TrialState.COMPLETE else None
        )

    def _finish(
        self, trial: Trial, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        # A repeated call does no harm: the reply to the first one may have been lost.
        with_retries(lambda: self.study.tell(trial, values, state=state, skip_if_finished=True))
        self._live.pop(trial.number, None)

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        self._finish(self._live[number], state, values)
        followers = self._followers.pop(number, [])
        if followers:
            first = self.frozen(number)
            for follower in followers:
                self._end_like(follower, first)

    def report(
        self,
        number: int,
        step: int,
        value: float,
        *,
        paired_value: str = "",
        candidates_seen: int = 0,
    ) -> bool:
        """Take a trial's report and return whether the pruner stops the trial.

        Args:
            number: number of the trial.
            step: number of the report, from 1; a report that is known already is not taken twice.
            value: the first objective, finite.
            paired_value: the value as a `PairedValue`, as text; empty if it is unknown.
            candidates_seen: candidates that the trial has trained on so far.
        """
        trial = self._live[number]
        trial_id = trial_id_of(trial)
        confirms = CONFIRMS in trial.user_attrs
        judge = _stays if confirms else partial(self._falls_behind, trial, step, paired_value)
        stop = with_retries(lambda: self._cached.decide(trial_id, step, float(value), judge))
        self._emit_report(number, step, value, candidates_seen)
        return stop

    def _falls_behind(self, trial: Trial, step: int, paired_value: str) -> bool:
        """Call the pruner as Optuna's `should_prune` does, which refuses several objectives."""
        pruner = self._pruner_view.pruner
        if paired_value and isinstance(pruner, RacingPruner):
            pruner.keep(trial.storage, trial_id_of(trial), step=step, text=paired_value)
        frozen = trial.storage.get_trial(trial_id_of(trial))
        return bool(pruner.prune(self._pruner_view, frozen))

    def _emit_report(self, number: int, step: int, value: float, candidates_seen: int) -> None:
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
        best_report: int = 0,
        paired_value: str = "",
        log_loss: float | None = None,
        parameters: int | None = None,
        constraints: Sequence[Mapping[str, Any]] = (),
        others: Sequence[float] = (),
        intervals: Mapping[str, Sequence[float]] | None = None,
        candidates_seen: int = 0,
    ) -> None:
        """End a trial that trained to its end.

        Args:
            number: number of the trial.
            step: number of its last report.
            value: the first objective at the last report.
            best: the first objective at the best report, whose weights are kept.
            best_report: number of that report; 0 if it is unknown.
            paired_value: `best` as a `PairedValue`, as text; empty if it is unknown.
            log_loss: cross-entropy at that report; None if it is unknown.
            parameters: number of the network's parameters; None if it is unknown.
            constraints: its constrained quantities, as fields of `ConstraintValue`s.
            others: the other objectives of its best network, in the study's order.
            intervals: ends of the 68 % interval of each objective that has one, by its name.
            candidates_seen: candidates that the trial has trained on.
        """
        if not all(map(math.isfinite, (value, best, *others))):
            other_values = "".join(f", {other}" for other in others)
            self.fail(number, f"an objective is not finite: {value} (best {best}{other_values})")
            return
        self._write_report(self._live[number], step, value)
        self._emit_report(number, step, value, candidates_seen)
        known = {
            INTERVALS: intervals and {name: list(ends) for name, ends in intervals.items()},
            BEST_REPORT: best_report or None,
            PAIRED_VALUE: paired_value or None,
            LOG_LOSS: log_loss,
            PARAMETERS: parameters,
            CONSTRAINTS: [dict(each) for each in constraints] or None,
        }
        for name, content in known.items():
            if content is not None:
                self._live[number].set_user_attr(name, content)
        for each in constraints:
            if each["name"] not in self._live[number].constraints:  # else a repeated call
                self._live[number].set_constraint(each["name"], each["beyond"])
        self._end(number, TrialState.COMPLETE, (best, *others))
        self.failures_in_a_row = 0
        self._on_event(
            SearchEvent("complete", number, value=best, report=step, others=tuple(others))
        )

    def prune(self, number: int) -> None:
        """End a trial that was stopped because it fell behind."""
        self._end(number, TrialState.PRUNED)
        self.failures_in_a_row = 0
        self._emit_pruned(self.frozen(number))

    def _emit_pruned(self, trial: FrozenTrial) -> None:
        last = max(trial.intermediate_values)
        value = trial.intermediate_values[last]
        self._on_event(SearchEvent("pruned", trial.number, value=value, report=last))

    def fail(self, number: int, reason: str, *, traceback: str = "") -> None:
        """End a trial that failed; it is never best, and the sampler does not learn from it.

        A training that only confirms a point does not count among the failures that end a search.
        """
        trial = self._live[number]
        trial.set_user_attr(REASON, reason[:_TEXT_LIMIT])
        if traceback:
            trial.set_user_attr(TRACEBACK, traceback[-_TEXT_LIMIT:])
        self._end(number, TrialState.FAIL)
        self.failures_in_a_row += CONFIRMS not in trial.user_attrs
        self.first_failure = self.first_failure or traceback or reason
        self._on_event(SearchEvent("failed", number, message=reason))

    def retry(self, number: int, reason: str) -> None:
        """Take back a trial whose worker died; it is among the first to be given out again."""
        self._orphans[number] = trial_id_of(self._live.pop(number))
        self._on_event(SearchEvent("retried", number, message=reason))

    def gives_up(self) -> bool:
        """Return whether so many trials failed in a row that the search ends."""
        return self.failures_in_a_row >= self._settings.max_failures


def _stays() -> bool:
    """Stop no trial: what confirms a point is trained to its end."""
    return False


def _trial_of_each_point(
    frozen: list[FrozenTrial], has_all_params: Callable[[FrozenTrial], bool]
) -> dict[str, int]:
    """Return, for each point tried so far, the number of the first trial with it.

    Trials whose driver was killed before all their parameters had values do not count: the missing
    ones are suggested when the trial is given out again.
    """
    number_of_point: dict[str, int] = {}
    for trial in sorted(frozen, key=lambda t: t.number):
        if not is_of_search(trial) or trial.state is TrialState.WAITING:
            continue
        if trial.state is TrialState.RUNNING and not has_all_params(trial):
            continue
        number_of_point.setdefault(key(values_of(trial)), trial.number)
    return number_of_point
