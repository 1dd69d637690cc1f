"""Ray Tune executes what the study asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune

from tauopt.cluster.start_ray import ADDRESS
from tauopt.config.settings.experiment import Resources
from tauopt.search.trainable import AFTER, CODE, CPUS, FOLDER, GPUS, STOP, TrialWorker
from tauopt.search.tune_adapters import EndTrial, StopSearch, StudyScheduler, StudySearcher
from tauopt.study.provenance import code_version
from tauopt.study.trial_queue import Proposal, TrialQueue

_MOST = 100_000


def execute(
    trials: TrialQueue,
    *,
    resources: Resources,
    concurrent: Callable[[], int],
    scratch: Path,
    begin: Callable[[Proposal], Path],
    end: EndTrial,
    halt: Callable[[], str],
    worker: type[tune.Trainable] | None = None,
) -> str:
    """Train the study's trials until none is left, or `halt` says why to stop.

    Each call is a new Tuner: what was there before a crash is in the study, not in Ray's files.

    Args:
        trials: the study's bookkeeping.
        resources: what a trial takes.
        concurrent: says how many trials may run now; nodes come and go.
        scratch: folder for Ray's own files, which nobody reads; removed in the end.
        begin: makes a proposal ready and returns its trial's folder.
        end: is told of each trial that ended.
        halt: asked many times a second; a reason stops all trials, which stay RUNNING in the
            study.
        worker: trainable class; None is `TrialWorker`.
    Returns:
        The reason, empty if none was left.
    Raises:
        Exception: what went wrong in the bookkeeping, `begin` or `end`.
    """
    stop = scratch / STOP
    # On this machine alone, somebody who edits the code does not stop the search that runs.
    code = code_version() if os.environ.get(ADDRESS) else ""

    def configured(proposal: Proposal) -> dict[str, Any]:
        return {
            FOLDER: str(begin(proposal)),
            AFTER: trials.last_report(proposal.number),
            STOP: str(stop),
            CPUS: resources.cpus,
            GPUS: resources.gpus,
            CODE: code,
        }

    def reason() -> str:
        why = "an error" if searcher.error is not None else halt()
        if why:
            stop.touch()
        return why

    searcher = StudySearcher(trials, begin=configured, end=end, concurrent=concurrent)
    halting = StopSearch(reason)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        _tuner(searcher, halting, resources, scratch, worker or TrialWorker).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        trials.settle()
    if searcher.error is not None:
        raise searcher.error
    return halting.why or halt()


def _tuner(
    searcher: StudySearcher,
    halting: StopSearch,
    resources: Resources,
    scratch: Path,
    worker: type[tune.Trainable],
) -> tune.Tuner:
    return tune.Tuner(
        tune.with_resources(worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=StudyScheduler(searcher),
            # The searcher says when one more may begin. Without it Ray holds one pending trial:
            # the search would run one after another.
            max_concurrent_trials=_MOST,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(scratch.resolve()),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=0),  # the searcher's `died` decides
            stop=halting,
            verbose=0,
        ),
    )
