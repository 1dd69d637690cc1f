"""The driver of a search: study, Ray and MLflow together, from the lock to the last word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.cluster.start_ray import ADDRESS
from tauopt.config.settings.experiment import Search
from tauopt.config.settings.networks.hypermodel import short_type
from tauopt.durable import check_space, locked, write_json
from tauopt.errors import Interrupted, SearchError, ServiceError
from tauopt.search import ray_resources
from tauopt.search.node_checks import NodeWatch
from tauopt.study import mlflow_notes
from tauopt.study.budget import BudgetClock
from tauopt.study.control_requests import ControlRequests
from tauopt.study.leaderboard_rows import LEADERBOARD, LeaderboardRow, rows
from tauopt.study.open_study import PARENT_RUN, TRIALS, UID
from tauopt.study.reseeded_points import OF
from tauopt.study.samplers import check_sampler
from tauopt.study.search_events import OnEvent, SearchEvent, ignore
from tauopt.study.search_setup import LOCK, SearchSetup, own_space, study_of
from tauopt.study.study_storage import DATABASE_ERRORS
from tauopt.study.trial_queue import REASON, TRACEBACK, Proposal, TrialQueue
from tauopt.study.trial_runs import ENVIRONMENT, EXPERIMENT, RUN_ID, RunNames, TrialRuns
from tauopt.study.warm_trials import OF as WARM_OF
from tauopt.study.warm_trials import frozen, read_warm
from tauopt.tracking.client import artifact_folder, connect, store_uri
from tauopt.tracking.environment import environment
from tauopt.tracking.mlflow_pages import save_view
from tauopt.tracking.runs import RunState, open_parent
from tauopt.training.interrupts import Interrupts, interrupts
from tauopt.training.trial_plan import (
    PLAN,
    TrialPlan,
    trial_folder,
    trial_seed,
    write_plan,
)

_SCRATCH = ".ray"
_DELIVERY_S = 10.0
_ROOM_BYTES = 100e6
"""Least that a search is begun with: the files of a few small trials."""


@dataclass(frozen=True)
class SearchOutcome:
    """How a search ended."""

    why: str
    """`complete`, `exhausted` or `budget`."""
    trials: tuple[FrozenTrial, ...] = field(repr=False)
    undelivered: str = ""
    """What has not reached MLflow yet, in words; empty if all has."""


DrawSearch = Callable[
    [optuna.Study, SearchSetup, Sequence[LeaderboardRow], OnEvent], Iterable[tuple[Path, str]]
]
"""Draws a search that ends; gives files, each with its folder in the search's run."""


def run_search(
    order: SearchSetup,
    *,
    draw: DrawSearch | None = None,
    on_event: OnEvent = ignore,
    worker: Any = None,
) -> SearchOutcome:
    """Run a search, or go on with it, until no trial is left.

    Args:
        order: what to search.
        draw: is asked for the figures and the report in the end; None makes none.
        on_event: is told every event, in this thread.
        worker: trainable class that trains a trial; None is the one of `search.trainable`.
    Raises:
        UsageError: the name exists, something changed, or a sampler's package is missing.
        ServiceError: the study's database, MLflow or Ray can't be used.
        LockedError: another driver runs this search.
        SearchError: all trials failed, or too many in a row.
        Interrupted: Ctrl-C or SIGTERM; carries the command that goes on.
    """
    check_sampler(order.file.base.search.sampler)
    order.folder.mkdir(parents=True, exist_ok=True)
    check_space(order.folder, _ROOM_BYTES, what="a search's trials", remedy="choose another -o")
    with locked(order.folder / LOCK, what=f"search {order.name!r}"):
        try:
            return _Drive(order, draw, on_event).run(worker)
        except DATABASE_ERRORS as error:
            raise ServiceError(f"the study storage failed: {error}") from error


class _Drive:
    """One driver's life, inside the lock."""

    def __init__(self, order: SearchSetup, draw: DrawSearch | None, on_event: OnEvent) -> None:
        self._order = order
        self._draw = draw
        self._settings: Search = order.file.base.search
        self._on_event = on_event
        self._own = own_space(order)
        self._study = study_of(order, self._own)
        if order.repeats is not None:
            every = len(self._study.get_trials(deepcopy=False))
            self._settings = self._settings.model_copy(update={"trials": every})
        warm = read_warm(order.folder)
        self._history = frozen(warm, order.file.space) if warm else []
        self._warm_of = warm.of if warm else ""
        self._wishes = ControlRequests(self._study, self._settings)
        self._noted: set[int] = set()
        self._stopping = False
        self._clock = BudgetClock(self._study)
        self._trials = TrialQueue(
            self._study,
            self._wishes.settings,
            space=self._order.file.space,
            own=self._own,
            repeats=self._order.repeats is not None,
            history=self._history,
            on_event=self._tell,
        )
        self._allow()

    def _allow(self) -> None:
        """Go by the limits that the search has by now."""
        self._settings = self._wishes.settings
        self._trials.allow(self._settings)
        if self._study.user_attrs.get(TRIALS) != self._settings.trials:
            self._study.set_user_attr(TRIALS, self._settings.trials)

    def _tell(self, event: SearchEvent) -> None:
        if event.kind == "report" and event.number not in self._noted:
            self._note_run(event.number)
        self._on_event(event)

    def _note_run(self, number: int) -> None:
        """Write a trial's run id to the study as soon as MLflow gave it."""
        run_id = self._runs.run_id(number)
        if run_id:
            trial = self._trials.trial(number)
            trial.set_user_attr(RUN_ID, run_id)
            self._noted.add(number)

    def run(self, worker: Any) -> SearchOutcome:
        with interrupts() as signals:
            outcome, reason, left = self._train_and_record(signals, worker)
        if signals.number:
            raise Interrupted(
                f"search {self._order.name!r} stopped by {signals.why}",
                resume=self._order.resume_command,
                exit_code=signals.exit_code,
            )
        if outcome == "FAIL":
            raise SearchError(f"{reason}; the first one:\n{self._first_failure()}")
        return SearchOutcome(reason, tuple(self._study.get_trials(deepcopy=False)), left)

    def _train_and_record(self, signals: Interrupts, worker: Any) -> tuple[RunState, str, str]:
        """Train to the end; returns state, reason and what MLflow has not got yet."""
        self._runs = self._open_runs()
        outcome: RunState = "KILLED"
        reason = "the driver failed"
        try:
            why = self._train_all(signals, worker)
            outcome, reason = self._verdict(signals, why)
        except (KeyboardInterrupt, SystemExit):
            signals.number = signals.number or 2
            outcome, reason = "STOPPED", "stopped by a signal"
        finally:
            self._clock.note(now=True)
            left = self._close_runs(outcome, reason)
        return outcome, reason, left

    def _open_runs(self) -> TrialRuns:
        order, study = self._order, self._study
        client = connect(None, output=order.output)
        tags = {
            "tauopt.study": order.name,
            "tauopt.dataset_digest": order.origin.dataset,
            "tauopt.code": order.origin.code,
            "mlflow.source.git.commit": order.origin.commit,
        }
        if order.repeats is not None:
            tags[OF] = order.repeats.of
        if self._warm_of:
            tags[WARM_OF] = self._warm_of
        experiment = order.file.base
        kind = short_type(experiment.model.type)
        names = RunNames(order.name, study.user_attrs[UID], kind, tags)
        parent = open_parent(
            client,
            experiment=experiment.tracking.experiment,
            name=order.name,
            uid=names.uid,
            tags=tags,
            artifacts=artifact_folder(store_uri(None, output=order.output)),
        )
        goals = experiment.objective.goals
        save_view(client, parent, [goal.name for goal in goals], params=list(order.file.space))
        if study.user_attrs.get(PARENT_RUN) != parent:
            study.set_user_attr(PARENT_RUN, parent)
        runs = TrialRuns(client, order.folder, names, parent_id=parent, dataset=order.shown)
        runs.catch_up(study.get_trials(deepcopy=False))
        write_json(order.folder / ENVIRONMENT, environment())
        runs.describe(
            mlflow_notes.params_of(order.file),
            note=mlflow_notes.note_of_search(order.name, order.file, resume=order.resume_command),
            files=[order.folder / EXPERIMENT, order.folder / ENVIRONMENT],
        )
        return runs

    def _close_runs(self, state: RunState, reason: str) -> str:
        order = self._order
        goals = order.file.base.objective.goals
        trials = self._study.get_trials(deepcopy=False)
        board = rows(trials, order.folder, goals=goals, is_alive=False)
        write_json(order.folder / LEADERBOARD, [row.as_json() for row in board])
        table = mlflow_notes.write_table(order.folder, board, goals)
        resume = order.resume_command if state in ("KILLED", "STOPPED") else ""
        return self._runs.close(
            state,
            reason=reason,
            note=mlflow_notes.note_of_search(order.name, order.file, board, resume=resume),
            files={order.folder / LEADERBOARD: False, table: True},
            drawn=self._draw(self._study, order, board, self._on_event) if self._draw else (),
            timeout_s=_DELIVERY_S,
        )

    def _train_all(self, signals: Interrupts, worker: Any) -> str:
        """Train until nothing is left, also of what the search is given meanwhile."""
        while True:
            why = self._train(signals, worker)
            self._wishes.look()
            self._allow()
            if why or self._trials.gives_up() or not self._trials.is_left():
                return why

    def _train(self, signals: Interrupts, worker: Any) -> str:
        """Let Ray train until nothing is left or there is a reason to stop; returns it."""
        from tauopt.search.execution import execute

        why = self._halt(signals)
        if why or not self._trials.is_left():
            return why
        with (
            ray_resources.environment(),
            ray_resources.running_ray(self._settings.resources) as concurrent,
        ):
            signals.listen()  # Ray takes SIGTERM for itself when it starts
            nodes = self._nodes() if os.environ.get(ADDRESS) else None
            why = execute(
                self._trials,
                resources=self._settings.resources,
                concurrent=concurrent,
                scratch=self._order.folder / _SCRATCH,
                begin=self._begin,
                end=self._end,
                halt=lambda: self._halt(signals) or (nodes.watch() if nodes else ""),
                worker=worker,
            )
        if nodes and nodes.fault and not signals.number:
            raise ServiceError(f"{nodes.fault}; then: {self._order.resume_command}")
        return why

    def _nodes(self) -> NodeWatch:
        """Check the nodes of the cluster that we joined; returns what watches for more."""
        nodes = NodeWatch(
            shared=self._order.folder,
            dataset=self._order.dataset,
            say=lambda message: self._on_event(SearchEvent("note", message=message)),
        )
        nodes.check()
        return nodes

    def _begin(self, proposal: Proposal) -> Path:
        """Make a proposal ready to be trained: its plan in its folder, and its run."""
        order, number = self._order, proposal.number
        folder = trial_folder(order.folder, number)
        if not (folder / PLAN).exists():
            experiment = order.file.resolve(proposal.params)
            if self._own is not None:
                experiment = self._own.sealed(experiment)
            plan = TrialPlan(
                experiment=experiment,
                dataset=order.dataset,
                folder=folder,
                name=self._runs.names.trial(number, proposal.params),
                seed=trial_seed(self._settings.sampler.seed, number),
                tags=dict(self._runs.names.tags),
                params=proposal.params,
                number=number,
            )
            write_plan(plan)
        note = mlflow_notes.note_of_trial(number, proposal.params, search=order.name)
        self._runs.begin(number, proposal.params, note=note)
        return folder

    def _end(self, number: int) -> None:
        trial = self._trials.frozen(number)
        self._runs.end(trial)
        if trial.state is TrialState.COMPLETE:
            complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            best = max(t.values[0] for t in complete)
            objective = self._order.file.base.objective.first
            self._runs.measure({f"best_{objective}": best}, trials=number + 1)

    def _halt(self, signals: Interrupts) -> str:
        """Say why the search is to stop now; empty to go on."""
        self._clock.note(gpus=len(self._trials.live) * self._settings.resources.gpus)
        if self._wishes.now() == "stop":
            signals.ask("tauopt stop")
        if self._wishes.settings != self._settings:
            self._allow()
        if signals.number:
            if not self._stopping:
                self._stopping = True
                message = f"{signals.why}: trials write their checkpoints and stop"
                self._on_event(SearchEvent("note", message=message))
            return f"stopped by {signals.why}"
        if self._trials.gives_up():
            return f"{self._trials.failures_in_a_row} trials in a row failed"
        return self._clock.beyond(self._settings.budget)

    def _verdict(self, signals: Interrupts, why: str) -> tuple[RunState, str]:
        """Return the state of the search's run, and why it has it."""
        if signals.number:
            return "STOPPED", f"stopped by {signals.why}"
        if self._trials.gives_up():
            return "FAIL", why
        ended = [t for t in self._study.get_trials(deepcopy=False) if t.state.is_finished()]
        if ended and all(t.state is TrialState.FAIL for t in ended):
            return "FAIL", f"every trial failed ({len(ended)})"
        return "COMPLETE", why or ("all points tried" if self._trials.exhausted else "complete")

    def _first_failure(self) -> str:
        if self._trials.first_failure:
            return self._trials.first_failure
        trials = self._study.get_trials(deepcopy=False)
        failed = [t.user_attrs for t in trials if t.state is TrialState.FAIL]
        return str(failed[0].get(TRACEBACK) or failed[0].get(REASON, "unknown"))
