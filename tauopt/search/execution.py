"""Execution of a study's trials by Ray Tune."""

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

_UNLIMITED = 100_000


def execute(
    queue: TrialQueue,
    *,
    resources: Resources,
    concurrent: Callable[[], int],
    scratch: Path,
    begin: Callable[[Proposal], Path],
    end: EndTrial,
    halt: Callable[[], str],
    worker: type[tune.Trainable] | None = None,
) -> str:
    """Train the study's trials until none is left, or `halt` returns a reason to stop.

    Each call is a new Tuner: the state from before a crash is in the study, not in Ray's files.

    Args:
        queue: trials of the study.
        resources: CPUs and GPUs of a trial.
        concurrent: returns how many trials may run now; it changes as nodes join and leave.
        scratch: folder for Ray's own files, which are never read; removed in the end.
        begin: prepares a proposal for training and returns its trial's folder.
        end: called with the number of each trial that ended.
        halt: called many times a second; returns a reason to stop all trials, which stay RUNNING in
            the study, or an empty text.
        worker: Ray trainable class; None is `TrialWorker`.
    Returns:
        the reason to stop; empty if no trial was left.
    Raises:
        Exception: raised by the queue, `begin` or `end`.
    """
    stop = scratch / STOP
    # Workers compare code versions only on a cluster. On one machine, editing the source while a
    # search runs must not stop it.
    code = code_version() if os.environ.get(ADDRESS) else ""

    def configured(proposal: Proposal) -> dict[str, Any]:
        return {
            FOLDER: str(begin(proposal)),
            AFTER: queue.last_report(proposal.number),
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

    searcher = StudySearcher(queue, begin=configured, end=end, concurrent=concurrent)
    halting = StopSearch(reason)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        _tuner(searcher, halting, resources, scratch, worker or TrialWorker).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        queue.settle()
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
            # The searcher limits the concurrency. Without a number here, Ray keeps only one pending
            # trial, and trials would run one after another.
            max_concurrent_trials=_UNLIMITED,
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
