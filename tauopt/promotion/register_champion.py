"""Promote: judge a trial on the sealed test split, register it, make it the champion.

What is checked comes first, then what is recorded with the run, then the version, and the alias
last: a promotion that is cut short leaves the champion as it was, and the next one completes it.
"""

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
from tauopt.evaluation.model_inputs import READING
from tauopt.evaluation.model_working_points import FOLDER, ModelWorkingPoints, ship, write_points
from tauopt.evaluation.recorded_trial import Trial
from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.trial_figure_set import write_figures
from tauopt.metrics.working_points.working_point_set import FILE
from tauopt.progress import Progress
from tauopt.promotion.champion import Challenger, challenge
from tauopt.promotion.decision import decide
from tauopt.promotion.judge import JudgedTrial, judge
from tauopt.promotion.model_card import model_card
from tauopt.promotion.promotion_gate import costs_of
from tauopt.promotion.verdict import RefusedByVerdict, Verdict
from tauopt.tracking import registry
from tauopt.tracking.retries import again
from tauopt.tracking.runs import log_file, log_json, log_points

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
        gate: what it must do to become the champion.
        rng: for the comparison with the champion.
        force: promote a trial that the gate refuses, that is worse than the champion or can't be
            compared with it; recorded. Nothing else can be forced.
        progress: told of every step.
    Returns:
        the verdict, with `promoted` true.
    Raises:
        PromotionRefused: see `judge`; or the gate refuses the trial, or it is clearly worse than
            the champion (then a `RefusedByVerdict`).
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
    """Compare with the champion and take its place; once more if there is another one by then."""
    trial = judged.trial
    own = rng.spawn(1)[0]
    shipped = ship(trial, validation=judged.on_validation, test=judged.test, rng=own)
    if shipped.reason:
        progress.say(f"no working points: {shipped.reason}")
    challenger = Challenger(
        judged.what, judged.test, trial.objective, dataset=judged.dataset, split=judged.split
    )
    place, allowed = folder / "champion", gate.regressions.get(str(trial.objective), 0.0)
    registered = ""
    while True:
        progress.say("comparing with the champion")
        found = challenge(
            client, trial.registered_model, challenger, folder=place, rng=rng, allowed=allowed
        )
        verdict = decide(judged, found, gate=gate, rng=rng, force=force)
        _record(client, judged, verdict, shipped=shipped, folder=folder / FOLDER)
        if not verdict.promoted:
            if registered:
                _describe(client, judged, replace(verdict, version=registered), shipped)
            raise RefusedByVerdict(verdict)
        progress.say(f"registering {verdict.model}")
        verdict = _register(client, judged, verdict, shipped)
        registered = verdict.version
        moved = registry.move_alias(client, verdict.model, verdict.version, expected=found.version)
        if moved:
            return verdict
        progress.say("there is another champion by now")


def _record(
    client: MlflowClient,
    judged: JudgedTrial,
    verdict: Verdict,
    *,
    shipped: ModelWorkingPoints,
    folder: Path,
) -> None:
    """Keep with the run what the test split said, whatever follows from it.

    Points have the time at which the run ended, so that recording them twice adds nothing.
    """
    run_id = verdict.run_id
    sample = SampleLabel.from_dataset(judged.trial.experiment.data, "test split")
    files = write_figures(judged.test, folder, sample=sample)
    for path in (*files, *write_points(shipped, folder, sample=sample)):
        again(partial(log_file, client, run_id, path, folder=FOLDER))
    again(partial(log_json, client, run_id, verdict.as_json(), f"{FOLDER}/verdict.json"))
    values = {f"test_{name.replace('/', '_')}": v for name, (v, _, _) in verdict.test.items()}
    again(partial(log_points, client, run_id, values, at_ms=judged.trial.ended_ms))


def _register(
    client: MlflowClient, judged: JudgedTrial, verdict: Verdict, shipped: ModelWorkingPoints
) -> Verdict:
    """Make the version, or complete the one that an earlier promotion of the same file made."""
    entry = registry.VersionEntry(
        run_id=verdict.run_id,
        model=judged.trial.model,
        sha256=verdict.model_sha256,
        example=judged.example,
        output=judged.test.probabilities[: len(next(iter(judged.example.values())))],
        card=model_card(judged.trial, judged.what, verdict, shipped=shipped),
        verdict=verdict.for_tag(),
        tags=_tags(judged, verdict),
        loader="tauopt.export.pyfunc_loader",
        beside={FILE: shipped.text} if shipped.points else {},
    )
    version = str(registry.register(client, verdict.model, entry).version)
    verdict = replace(verdict, version=version)
    _describe(client, judged, verdict, shipped)
    return verdict


def _describe(
    client: MlflowClient, judged: JudgedTrial, verdict: Verdict, shipped: ModelWorkingPoints
) -> None:
    """Let a version say what the last verdict on it was."""
    tags = {**_tags(judged, verdict), registry.VERDICT: json.dumps(verdict.for_tag())}
    for key, text in tags.items():
        again(partial(client.set_model_version_tag, verdict.model, verdict.version, key, text))
    card = model_card(judged.trial, judged.what, verdict, shipped=shipped)
    again(partial(client.update_model_version, verdict.model, verdict.version, card))


def _tags(judged: JudgedTrial, verdict: Verdict) -> dict[str, str]:
    return {
        READING: judged.what.model_dump_json(),
        "tauopt.dataset_digest": verdict.dataset_digest,
        "tauopt.forced": str(verdict.forced).lower(),
    }
