"""One search played from recorded curves: the real queue, sampler and pruner, but no training."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import optuna

from tauopt.config.settings.experiment import Search
from tauopt.config.settings.objective import parse_objective
from tauopt.config.source.yaml_source import Scalar
from tauopt.metrics.influence import raw_value
from tauopt.replay.choose import Complete, confirmed, tied
from tauopt.replay.curve_table import Curve, CurveTable
from tauopt.replay.rules import Rules
from tauopt.study.pruners import make_pruner
from tauopt.study.suggest import key
from tauopt.study.trial_queue import Proposal, TrialQueue
from tauopt.training.best_report import best_report

CurveOf = Callable[[Mapping[str, Scalar]], Curve]
"""Returns the curve of a point on the validation sample of the search."""


@dataclass(frozen=True)
class Choice:
    """What a search would have chosen had it ended after some trial."""

    candidates: float
    """Candidates trained on by then, in all trials."""
    trials: int
    """Trials that had ended by then."""
    trial: Complete


@dataclass
class _Running:
    """A trial of the played search."""

    proposal: Proposal
    curve: Curve
    report: int = 0


def recorded(table: CurveTable, *, sample: int) -> CurveOf:
    """Return the curves of a table's own points, each of its first training."""
    training = {key(p): table.trainings_of(i)[0] for i, p in enumerate(table.points)}
    return lambda params: table.curve(training[key(params)], sample=sample)


def play(
    table: CurveTable,
    rules: Rules,
    curve_of: CurveOf,
    *,
    judge: str,
    sample: int = 0,
    seed: int,
    trials: int,
    workers: int = 2,
) -> list[Choice]:
    """Play a search; return what it would have chosen after each trial that ended.

    With a confirmation, the last choice is that after it.

    Args:
        table: the recorded curves.
        rules: how it is searched and chosen.
        curve_of: gives the curve of a point: `recorded`, or a surrogate's.
        judge: metric of the table by which choices are judged.
        sample: index of its validation sample.
        seed: of the order of the points and of the sampler.
        trials: number of trials.
        workers: trials at a time; each takes as long as it sees candidates.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    played = _Play(table, rules, curve_of, judge=judge, seed=seed, trials=trials)
    choices = list(played.run(workers))
    if rules.top and choices:
        trial, cost = played.confirm(sample)
        spent = choices[-1].candidates + cost
        choices.append(Choice(spent, choices[-1].trials, trial))
    return choices


class _Play:
    def __init__(
        self,
        table: CurveTable,
        rules: Rules,
        curve_of: CurveOf,
        *,
        judge: str,
        seed: int,
        trials: int,
    ) -> None:
        self._objective = parse_objective(rules.objective)
        self._metric = table.metrics.index(rules.objective)
        self._judge = table.metrics.index(judge)
        self._table, self._metrics = table, table.metrics
        self._points = {key(point): index for index, point in enumerate(table.points)}
        self._rules, self._curve_of = rules, curve_of
        # Hyperband draws a trial's bracket from the study's name.
        study = optuna.create_study(study_name=f"replay-{seed}", direction="maximize")
        study.pruner = make_pruner(rules.pruner, reports=table.truth.shape[-1])
        sampler = rules.sampler.model_copy(update={"seed": seed})
        search = Search(trials=trials, sampler=sampler, pruner=rules.pruner)
        if rules.sampler.type == "random":  # the table's own points, whose curves are exact
            order = np.random.default_rng(seed).permutation(len(table.points))
            for index in order[:trials]:
                study.enqueue_trial(dict(table.points[index]))
        self._queue = TrialQueue(study, search, space=table.space)
        self._spent, self._ended = 0.0, 0
        self.complete: list[Complete] = []

    def run(self, workers: int) -> Iterator[Choice]:
        """Play to the end, trial after trial."""
        events: list[tuple[float, int, _Running]] = []
        turns = itertools.count()
        now = 0.0

        def push(trial: _Running, since: float) -> None:
            seen = trial.curve.candidates
            took = seen[trial.report] - (seen[trial.report - 1] if trial.report else 0.0)
            heapq.heappush(events, (since + took, next(turns), trial))

        for _ in range(workers):
            if (trial := self._next()) is not None:
                push(trial, 0.0)
        while events:
            now, _, trial = heapq.heappop(events)
            if self._goes_on(trial):
                trial.report += 1
                push(trial, now)
                continue
            if self.complete:
                yield self._choice()
            if (following := self._next()) is not None:
                push(following, now)

    def _next(self) -> _Running | None:
        proposal = self._queue.next_trial()
        return None if proposal is None else _Running(proposal, self._curve_of(proposal.params))

    def _goes_on(self, trial: _Running) -> bool:
        """Take a trial's report; return whether it trains on."""
        curve, report, number = trial.curve, trial.report, trial.proposal.number
        seen = curve.candidates
        self._spent += seen[report] - (seen[report - 1] if report else 0.0)
        paired = curve.paired_value(self._metric, report)
        value = raw_value(self._objective, paired.value)
        if report + 1 < len(seen):
            if not self._queue.report(number, report + 1, value, paired_value=str(paired)):
                return True
            self._queue.prune(number)
        else:
            self._complete(trial, value)
        self._ended += 1
        return False

    def _complete(self, trial: _Running, last: float) -> None:
        number = trial.proposal.number
        point = self._points.get(key(trial.proposal.params), -1)
        complete, best = self._at_best_report(trial.curve, number=number, point=point)
        value = raw_value(self._objective, complete.told.value)
        self._queue.complete(
            number, len(trial.curve.candidates), last, best=value, best_report=best + 1
        )
        self.complete.append(complete)

    def _at_best_report(self, curve: Curve, *, number: int, point: int) -> tuple[Complete, int]:
        """Return a complete training as it counts, and the index of its best report."""
        best = self._best_report(curve)
        truth, judged = curve.truth[[self._metric, self._judge], best].tolist()
        told, loss = curve.paired_value(self._metric, best), float(curve.loss[best])
        return Complete(number, point, told, loss, truth, judged), best

    def confirm(self, sample: int) -> tuple[Complete, float]:
        """Train the tied trials again; return what is chosen then, and the cost in candidates.

        Raises:
            ValueError: the table has no further trainings of a point.
        """
        again, cost = [], 0.0
        first = tied(self.complete, errors=self._rules.tied)[: self._rules.top]
        for trial in first:
            trainings = self._table.trainings_of(trial.point)[1 : 1 + self._rules.seeds]
            if not trainings:
                raise ValueError(f"point {trial.point} of {self._table.name} was trained once only")
            curves = [self._table.curve(training, sample=sample) for training in trainings]
            again.append(
                [
                    self._at_best_report(curve, number=trial.number, point=trial.point)[0]
                    for curve in curves
                ]
            )
            cost += sum(float(curve.candidates[-1]) for curve in curves)
        return confirmed(first, again), cost

    def _choice(self) -> Choice:
        """Return what would be chosen now."""
        best = tied(self.complete, errors=self._rules.tied)[0]
        return Choice(self._spent, self._ended, best)

    def _best_report(self, curve: Curve) -> int:
        reports = [
            {
                "val_loss": float(curve.loss[index]),
                **{m: float(curve.values[i, index]) for i, m in enumerate(self._metrics)},
            }
            for index in range(len(curve.candidates))
        ]
        return best_report(reports, self._rules.monitor, self._objective)
