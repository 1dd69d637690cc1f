"""Promote a trial: judge, record, register, make it the champion."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tauopt.config.settings.gate import Gate
from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.errors import DataError
from tauopt.evaluation.model_working_points import (
    FOLDER,
    ModelWorkingPoints,
    derive_with_closure,
    write_points,
)
from tauopt.evaluation.predict import READING
from tauopt.evaluation.recorded_trial import Trial
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.trial_figure_set import write_figures
from tauopt.metrics.working_points.working_point_set import FILE
from tauopt.progress import Progress
from tauopt.promotion.champion_comparison import compare_with_champion, decide
from tauopt.promotion.model_card import model_card
from tauopt.promotion.promotion_gate import costs_of
from tauopt.promotion.run_on_test_split import JudgedTrial, judge
from tauopt.promotion.verdict import RefusedByVerdict, Verdict
from tauopt.tracking import registry
from tauopt.tracking.retries import retry
from tauopt.tracking.run_artifacts import log_files
from tauopt.tracking.runs import log_json, log_points

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(
    client: MlflowClient,
    trial: Trial,
    *,
    dataset: PreparedDataset,
    gate: Gate,
    rng: np.random.Generator,
    force: bool,
    progress: Progress,
) -> Verdict:
    """Judge a trial and make it the champion of its registered model.

    Args:
        client: from `tracking.client.connect`.
        trial: from `fetch_trial`; `reigning` says whether it is the champion already.
        dataset: that the trial was trained on.
        gate: requirements on a champion.
        rng: of the bootstraps.
        force: promote a trial that the gate refuses, that is worse than the champion or can't be
            compared with it; recorded. Nothing else can be forced.
        progress: receives a message for each step.
    Returns:
        the verdict, with `promoted` true.
    Raises:
        PromotionRefused: see `judge`; or the gate refuses the trial, or it is clearly worse than
            the champion (then a `RefusedByVerdict`).
        DataError: the test split lacks signal or background.
        ServiceError: MLflow does not answer.
    """
    judged = judge(trial, dataset, progress=progress, costs=costs_of(gate))
    with tempfile.TemporaryDirectory(prefix="tauopt-promote-") as folder:
        return _contest(
            client, judged, gate, folder=Path(folder), rng=rng, force=force, progress=progress
        )


def _contest(
    client: MlflowClient,
    judged: JudgedTrial,
    gate: Gate,
    *,
    folder: Path,
    rng: np.random.Generator,
    force: bool,
    progress: Progress,
) -> Verdict:
    """Compare with the champion and take its place; again if another one took it meanwhile."""
    # Working points have random numbers of their own, so that they do not shift those of the
    # comparison.
    points = derive_with_closure(
        judged.trial, validation=judged.on_validation, test=judged.test, rng=rng.spawn(1)[0]
    )
    if points.reason:
        progress.say(f"no working points: {points.reason}")
    allowed = gate.regressions.get(str(judged.trial.objective), 0.0)
    registered = ""
    while True:
        progress.say("comparing with the champion")
        comparison = compare_with_champion(
            client, judged, folder=folder / "champion", rng=rng, allowed=allowed
        )
        verdict = decide(judged, comparison, gate=gate, rng=rng, force=force)
        # The run's record comes first, then the version, and the alias last: a promotion that is
        # cut short leaves the champion as it was, and the next one completes it.
        _record(client, judged, verdict, points=points, folder=folder / FOLDER)
        if not verdict.promoted:
            if registered:
                _describe(client, judged, replace(verdict, version=registered), points)
            raise RefusedByVerdict(verdict)
        progress.say(f"registering {verdict.model}")
        verdict = _register(client, judged, verdict, points)
        registered = verdict.version
        if registry.move_alias(client, verdict.model, verdict.version, expected=comparison.version):
            return verdict
        progress.say("another trial became the champion meanwhile")


def _record(
    client: MlflowClient,
    judged: JudgedTrial,
    verdict: Verdict,
    *,
    points: ModelWorkingPoints,
    folder: Path,
) -> None:
    """Record figures, working points, verdict and metrics of the test split with the run."""
    run_id = verdict.run_id
    sample = SampleLabel.from_dataset(judged.trial.experiment.data, "test split")
    files = write_figures(judged.test, folder, sample=sample)
    files = [*files, *write_points(points, folder, sample=sample)]
    log_files(client, run_id, files, folder=FOLDER)
    retry(partial(log_json, client, run_id, verdict.as_json(), f"{FOLDER}/verdict.json"))
    values = {f"test_{name.replace('/', '_')}": v for name, (v, _, _) in verdict.test.items()}
    # With the time of the run's end, MLflow keeps one point however often it is recorded.
    retry(partial(log_points, client, run_id, values, at_ms=judged.trial.ended_ms))


def _register(
    client: MlflowClient, judged: JudgedTrial, verdict: Verdict, points: ModelWorkingPoints
) -> Verdict:
    """Register a version, or complete the one that an earlier promotion of the file made."""
    entry = registry.VersionEntry(
        run_id=verdict.run_id,
        model=judged.trial.model,
        sha256=verdict.model_sha256,
        example=judged.example,
        output=judged.test.probabilities[: len(next(iter(judged.example.values())))],
        card=model_card(judged.trial, judged.inputs, verdict, points=points),
        verdict=verdict.for_tag(),
        tags=_tags(judged, verdict),
        loader="tauopt.export.pyfunc_loader",
        beside={FILE: points.text} if points.points else {},
    )
    version = str(registry.register(client, verdict.model, entry).version)
    verdict = replace(verdict, version=version)
    _describe(client, judged, verdict, points)
    return verdict


def _describe(
    client: MlflowClient, judged: JudgedTrial, verdict: Verdict, points: ModelWorkingPoints
) -> None:
    """Write a verdict into tags and card of its version."""
    registry.describe_version(
        client,
        verdict.model,
        verdict.version,
        card=model_card(judged.trial, judged.inputs, verdict, points=points),
        tags={**_tags(judged, verdict), registry.VERDICT: json.dumps(verdict.for_tag())},
    )


def _tags(judged: JudgedTrial, verdict: Verdict) -> dict[str, str]:
    return {
        READING: judged.inputs.model_dump_json(),
        "tauopt.dataset_digest": verdict.dataset_digest,
        "tauopt.forced": str(verdict.forced).lower(),
    }


def renew_points(
    client: MlflowClient,
    trial: Trial,
    earlier: Verdict,
    *,
    dataset: PreparedDataset,
    rng: np.random.Generator,
    progress: Progress,
) -> Verdict:
    """Derive new working points for the champion; its model and its verdict stay.

    They replace the earlier ones in the run, in the version and on its card.

    Args:
        client: from `tracking.client.connect`.
        trial: the champion's, with the settings of the new working points in its experiment.
        earlier: the verdict by which it is the champion.
        dataset: that it was trained on.
        rng: of the bootstraps of weighted candidates.
        progress: receives a message for each step.
    Returns:
        the verdict, whose reason names the new working points.
    Raises:
        DataError: no working points can be derived; nothing is changed then.
        PromotionRefused: see `judge`.
        ServiceError: MLflow does not answer.
    """
    judged = judge(trial, dataset, progress=progress)
    points = derive_with_closure(trial, validation=judged.on_validation, test=judged.test, rng=rng)
    if points.points is None:
        why = points.reason or "the task has no background"
        raise DataError(f"{earlier.model} keeps its working points: {why}")
    version = registry.version_of(client, earlier.model, earlier.version)
    if version is None:
        raise DataError(
            f"{earlier.model} has no version {earlier.version}, which was the champion: it was "
            "deleted meanwhile; run the command again"
        )
    progress.say(f"renewing the working points of {earlier.model} version {earlier.version}")
    sample = SampleLabel.from_dataset(trial.experiment.data, "test split")
    with tempfile.TemporaryDirectory(prefix="tauopt-points-") as folder:
        files = write_points(points, Path(folder), sample=sample)
        log_files(client, trial.run_id, files, folder=FOLDER)
    registry.renew_beside(client, version, {FILE: points.text})
    card = model_card(trial, judged.inputs, earlier, points=points)
    registry.describe_version(client, earlier.model, earlier.version, card=card, tags={})
    names = ", ".join(points.points.names)
    return replace(
        earlier,
        outcome="champion already",
        reason=f"its working points are {names} now; it became version {earlier.version} with the "
        f"verdict {earlier.outcome}: {earlier.reason}",
    )
