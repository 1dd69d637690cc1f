"""Driver of a search: study, Ray and MLflow together, from the lock to the leaderboard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tauopt.cluster.start_ray import ADDRESS
from tauopt.config.settings.experiment import Confirm, Search
from tauopt.config.settings.networks.hypermodel import short_type
from tauopt.durable import check_space, locked, write_json
from tauopt.errors import Interrupted, SearchError, ServiceError
from tauopt.search import ray_resources
from tauopt.search.node_checks import NodeWatch
from tauopt.search.notify_command import EndState, SearchEnd, notify, variables_of
from tauopt.study import mlflow_notes
from tauopt.study.best_first import best_first
from tauopt.study.budget import BudgetClock
from tauopt.study.confirm_stage import enqueue_confirmations
from tauopt.study.control_requests import ControlRequests
from tauopt.study.leaderboard_rows import LEADERBOARD, LeaderboardRow, board_of, recommended
from tauopt.study.open_study import PARENT_RUN, TRIALS, UID
from tauopt.study.points_by_hand import enqueue_by_hand
from tauopt.study.samplers import check_sampler
from tauopt.study.search_events import OnEvent, SearchEvent, ignore
from tauopt.study.search_setup import (
    LOCK,
    SearchSetup,
    hypermodel_space,
    open_search_study,
    warm_start_of,
)
from tauopt.study.starting_points import enqueue_missing, starting_points
from tauopt.study.study_storage import DATABASE_ERRORS
from tauopt.study.trial_attributes import CONFIRMS, REASON, TRACEBACK
from tauopt.study.trial_queue import Proposal, TrialQueue
from tauopt.study.trial_runs import ENVIRONMENT, EXPERIMENT, RUN_ID, RunNames, TrialRuns
from tauopt.study.warm_start_record import WARM_START_TAG, frozen_history
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
"""How long to wait in the end for MLflow to take undelivered records."""
_ROOM_BYTES = 100e6
"""Free disk space that a search needs to begin: the files of a few small trials."""


@dataclass(frozen=True)
class SearchOutcome:
    """How a search ended."""

    why: str
    """`complete`, `exhausted` or `budget`."""
    trials: tuple[FrozenTrial, ...] = field(repr=False)
    undelivered: str = ""
    """Records that have not reached MLflow yet, in words; empty if all have."""
    confirm: Confirm | None = None
    """How its best points are confirmed; None if they are not."""


DrawSearch = Callable[
    [optuna.Study, SearchSetup, Sequence[LeaderboardRow], OnEvent], Iterable[tuple[Path, str]]
]
"""Draws the figures and the report of a search; gives files, each with its folder in the run."""


def run_search(
    setup: SearchSetup,
    *,
    draw: DrawSearch | None = None,
    on_event: OnEvent = ignore,
    worker: Any = None,
) -> SearchOutcome:
    """Run a search, or go on with it, until no trial is left.

    Args:
        setup: what to search.
        draw: called in the end for the figures and the report; None makes none.
        on_event: called with every event, in this thread.
        worker: Ray trainable class that trains a trial; None is `search.trainable.TrialWorker`.
    Raises:
        UsageError: the name exists, something changed, or a sampler's package is missing.
        ServiceError: the study's database, MLflow or Ray can't be used.
        LockedError: another driver runs this search.
        SearchError: all trials failed, or too many in a row.
        Interrupted: Ctrl-C or SIGTERM; has the command that resumes the search.
    """
    check_sampler(setup.file.base.search.sampler)
    setup.folder.mkdir(parents=True, exist_ok=True)
    check_space(setup.folder, _ROOM_BYTES, what="a search's trials", remedy="choose another -o")
    driver: _Driver | None = None
    try:
        with locked(setup.folder / LOCK, what=f"search {setup.name!r}"):
            driver = _Driver(setup, draw, on_event)
            return driver.run(worker)
    except DATABASE_ERRORS as error:
        raise ServiceError(f"the study storage failed: {error}") from error
    finally:
        # Without the lock, so that `tauopt stop` does not wait for the command, and that the
        # command may resume the search.
        if driver is not None:
            _notify(setup, driver.end, on_event)


def _notify(setup: SearchSetup, end: SearchEnd, on_event: OnEvent) -> None:
    experiment = setup.file.base
    if command := experiment.search.notify.command:
        objective = experiment.objective.first
        variables = variables_of(end, name=setup.name, objective=objective, folder=setup.folder)
        notify(command, variables, folder=setup.folder, on_event=on_event)


class _Driver:
    """One run of a search, by the holder of its lock."""

    def __init__(self, setup: SearchSetup, draw: DrawSearch | None, on_event: OnEvent) -> None:
        self._setup = setup
        self._draw = draw
        self._settings: Search = setup.file.base.search
        self._on_event = on_event
        self._hypermodel = hypermodel_space(setup)
        self._study = open_search_study(setup, self._hypermodel)
        self._warm = warm_start_of(setup)
        self._starts = starting_points(setup.file, self._hypermodel, self._warm)
        self._requests = ControlRequests(self._study, self._settings)
        self._with_run_id: set[int] = set()
        self._stopping = False
        self.end = SearchEnd("failed", "the driver failed")
        self._clock = BudgetClock(self._study)
        self._queue = TrialQueue(
            self._study,
            self._requests.settings,
            space=setup.file.space,
            hypermodel=self._hypermodel,
            history=frozen_history(self._warm, setup.file.space) if self._warm else [],
            on_event=self._on_trial_event,
        )
        self._apply_limits()

    def _apply_limits(self) -> None:
        """Take over the limits and points that the search has now, after `tauopt extend`."""
        self._settings = self._requests.settings
        self._queue.set_limits(self._settings)
        # Those for which there were too few trials before; the others are in the study.
        starts = [point.params for point in self._starts[: self._settings.trials]]
        enqueue_missing(self._queue.study, starts)
        if enqueue_by_hand(self._queue.study, self._requests.points):
            self._queue.exhausted = False
        if self._study.user_attrs.get(TRIALS) != self._settings.trials:
            self._study.set_user_attr(TRIALS, self._settings.trials)

    def _on_trial_event(self, event: SearchEvent) -> None:
        number = event.number
        if (
            event.kind == "report"
            and number not in self._with_run_id
            # Empty until MLflow has created the run, which can be several reports later.
            and (run_id := self._runs.run_id(number))
        ):
            self._queue.trial(number).set_user_attr(RUN_ID, run_id)
            self._with_run_id.add(number)
        self._on_event(event)

    def run(self, worker: Any) -> SearchOutcome:
        try:
            with interrupts() as signals:
                outcome, reason, undelivered = self._train_and_record(signals, worker)
                while outcome == "COMPLETE" and not signals.number and self._is_asked_for_more():
                    outcome, reason, undelivered = self._train_and_record(signals, worker)
        except Exception as error:
            self.end = replace(self.end, state="failed", reason=f"{type(error).__name__}: {error}")
            raise
        if signals.number:
            raise Interrupted(
                f"search {self._setup.name!r} stopped by {signals.why}",
                resume=self._setup.resume_command,
                exit_code=signals.exit_code,
            )
        if outcome == "FAIL":
            raise SearchError(f"{reason}; the first one:\n{self._first_failure()}")
        trials = tuple(self._study.get_trials(deepcopy=False))
        return SearchOutcome(reason, trials, undelivered, self._settings.confirm)

    def _train_and_record(self, signals: Interrupts, worker: Any) -> tuple[RunState, str, str]:
        """Train to the end; return run state, reason, and records that MLflow has not got yet."""
        self._runs = self._open_runs()
        outcome: RunState = "KILLED"
        why, reason = "", "the driver failed"
        try:
            why = self._train_all(signals, worker)
            outcome, reason = self._verdict(signals, why)
        except (KeyboardInterrupt, SystemExit):
            signals.number = signals.number or 2
            outcome, reason = "STOPPED", "stopped by a signal"
        finally:
            self._clock.note(now=True)
            undelivered = self._close_runs(outcome, reason)
            self.end = replace(self.end, state=self._end_state(outcome, why), reason=reason)
        return outcome, reason, undelivered

    def _open_runs(self) -> TrialRuns:
        setup, study = self._setup, self._study
        client = connect(None, output=setup.output)
        tags = {
            "tauopt.study": setup.name,
            "tauopt.dataset_digest": setup.origin.dataset,
            "tauopt.code": setup.origin.code,
            "mlflow.source.git.commit": setup.origin.commit,
        }
        if self._warm:
            tags[WARM_START_TAG] = self._warm.names
        experiment = setup.file.base
        model = short_type(experiment.model.type)
        names = RunNames(setup.name, study.user_attrs[UID], model, tags)
        parent = open_parent(
            client,
            experiment=experiment.tracking.experiment,
            name=setup.name,
            uid=names.uid,
            tags=tags,
            artifacts=artifact_folder(store_uri(None, output=setup.output)),
        )
        goals = experiment.objective.goals
        save_view(client, parent, [goal.name for goal in goals], params=list(setup.file.space))
        if study.user_attrs.get(PARENT_RUN) != parent:
            study.set_user_attr(PARENT_RUN, parent)
        runs = TrialRuns(client, setup.folder, names, parent_id=parent, dataset=setup.dataset_input)
        runs.catch_up(study.get_trials(deepcopy=False))
        write_json(setup.folder / ENVIRONMENT, environment())
        runs.describe(
            mlflow_notes.params_of(setup.file),
            note=mlflow_notes.note_of_search(setup.name, setup.file, resume=setup.resume_command),
            files=[setup.folder / EXPERIMENT, setup.folder / ENVIRONMENT],
        )
        return runs

    def _close_runs(self, state: RunState, reason: str) -> str:
        setup = self._setup
        goals = setup.file.base.objective.goals
        board = board_of(self._study, setup.folder, is_alive=False)
        write_json(setup.folder / LEADERBOARD, [row.as_json() for row in board])
        table = mlflow_notes.write_table(setup.folder, board, goals)
        resume = setup.resume_command if state in ("KILLED", "STOPPED") else ""
        undelivered = self._runs.close(
            state,
            reason=reason,
            note=mlflow_notes.note_of_search(setup.name, setup.file, board, resume=resume),
            files={setup.folder / LEADERBOARD: False, table: True},
            drawn=self._draw(self._study, setup, board, self._on_event) if self._draw else (),
            timeout_s=_DELIVERY_S,
        )
        # Again, since MLflow may have created a run only now.
        board = board_of(self._study, setup.folder, is_alive=False)
        self.end = replace(self.end, best=recommended(board))
        return undelivered

    def _train_all(self, signals: Interrupts, worker: Any) -> str:
        """Train until no trial is left, or there is a reason to stop; return the reason."""
        # Again where `tauopt extend` came after the last trial had ended, and to confirm the best.
        while True:
            why = self._train(signals, worker)
            self._requests.refresh()
            self._apply_limits()
            if why or self._queue.gives_up():
                return why
            if not self._queue.is_left() and not self._confirm():
                return ""

    def _is_asked_for_more(self) -> bool:
        """Return whether a request for more came while the search was being closed."""
        self._requests.refresh()
        self._apply_limits()
        if self._clock.beyond(self._settings.budget):
            return False
        return self._queue.is_left() or self._confirm()

    def _confirm(self) -> bool:
        """Enqueue what is missing to confirm the best points; return whether there was any."""
        if self._settings.confirm is None:
            return False
        enqueued = enqueue_confirmations(self._queue.study, self._settings.confirm)
        if enqueued:
            points = ", ".join(f"t{number:03d}" for number in dict.fromkeys(enqueued))
            message = f"{len(enqueued)} trainings on other seeds confirm {points}"
            self._on_event(SearchEvent("note", message=message))
        return bool(enqueued)

    def _train(self, signals: Interrupts, worker: Any) -> str:
        """Have Ray train until no trial is left or there is a reason to stop; return the reason."""
        from tauopt.search.execution import execute

        why = self._stop_reason(signals)
        if why or not self._queue.is_left():
            return why
        with (
            ray_resources.environment(),
            ray_resources.running_ray(self._settings.resources) as concurrent,
        ):
            signals.listen()  # again, since Ray replaces the handler of SIGTERM when it starts
            nodes = self._nodes() if os.environ.get(ADDRESS) else None
            why = execute(
                self._queue,
                resources=self._settings.resources,
                concurrent=concurrent,
                scratch=self._setup.folder / _SCRATCH,
                begin=self._begin,
                end=self._end,
                halt=lambda: self._stop_reason(signals) or (nodes.watch() if nodes else ""),
                worker=worker,
            )
        if nodes and nodes.fault and not signals.number:
            raise ServiceError(f"{nodes.fault}; then: {self._setup.resume_command}")
        return why

    def _nodes(self) -> NodeWatch:
        """Check the nodes of the joined cluster; return the watch for nodes that join later."""
        nodes = NodeWatch(
            shared=self._setup.folder,
            dataset=self._setup.dataset,
            on_message=lambda message: self._on_event(SearchEvent("note", message=message)),
        )
        nodes.check()
        return nodes

    def _begin(self, proposal: Proposal) -> Path:
        """Write the plan of a proposal and open its MLflow run; return the trial's folder."""
        setup, number = self._setup, proposal.number
        folder = trial_folder(setup.folder, number)
        if not (folder / PLAN).exists():
            experiment = setup.file.resolve(proposal.params)
            if self._hypermodel is not None:
                experiment = self._hypermodel.with_digest(experiment)
            plan = TrialPlan(
                experiment=experiment,
                dataset=setup.dataset,
                folder=folder,
                name=self._runs.names.trial(number, proposal.params),
                seed=trial_seed(self._settings.sampler.seed, number),
                tags=dict(self._runs.names.tags),
                params=proposal.params,
                number=number,
            )
            write_plan(plan)
        note = mlflow_notes.note_of_trial(number, proposal.params, search=setup.name)
        confirms = self._queue.trial(number).user_attrs.get(CONFIRMS)
        self._runs.begin(number, proposal.params, note=note, confirms=confirms)
        return folder

    def _end(self, number: int) -> None:
        trial = self._queue.frozen(number)
        self._runs.end(trial)
        if trial.state is TrialState.COMPLETE:
            best = float(best_first(self._study.get_trials(deepcopy=False))[0].values[0])
            objective = self._setup.file.base.objective.first
            self._runs.measure({f"best_{objective}": best}, trials=number + 1)

    def _stop_reason(self, signals: Interrupts) -> str:
        """Return why the search must stop now; empty to go on."""
        self._clock.note(gpus=len(self._queue.live) * self._settings.resources.gpus)
        if self._requests.current() == "stop":
            signals.request_stop("tauopt stop")
        if self._requests.settings != self._settings:
            self._apply_limits()
        if signals.number:
            if not self._stopping:
                self._stopping = True
                message = f"{signals.why}: trials write their checkpoints and stop"
                self._on_event(SearchEvent("note", message=message))
            return f"stopped by {signals.why}"
        if self._queue.gives_up():
            return f"{self._queue.failures_in_a_row} trials in a row failed"
        return self._clock.beyond(self._settings.budget)

    def _verdict(self, signals: Interrupts, why: str) -> tuple[RunState, str]:
        """Return the state of the search's own run, and its reason."""
        if signals.number:
            return "STOPPED", f"stopped by {signals.why}"
        if self._queue.gives_up():
            return "FAIL", why
        ended = [t for t in self._study.get_trials(deepcopy=False) if t.state.is_finished()]
        if ended and all(t.state is TrialState.FAIL for t in ended):
            return "FAIL", f"every trial failed ({len(ended)})"
        return "COMPLETE", why or ("all points tried" if self._queue.exhausted else "complete")

    def _end_state(self, outcome: RunState, why: str) -> EndState:
        if outcome == "STOPPED":
            return "stopped"
        if outcome != "COMPLETE":
            return "failed"
        if why:
            return "budget"
        return "exhausted" if self._queue.exhausted else "complete"

    def _first_failure(self) -> str:
        if self._queue.first_failure:
            return self._queue.first_failure
        trials = self._study.get_trials(deepcopy=False)
        failed = [t.user_attrs for t in trials if t.state is TrialState.FAIL]
        return str(failed[0].get(TRACEBACK) or failed[0].get(REASON, "unknown"))
