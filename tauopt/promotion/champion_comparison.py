"""Compare a judged trial with the present champion on the same candidates, and decide."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tauopt
from tauopt.config.settings.gate import Gate
from tauopt.errors import DataError
from tauopt.evaluation.predict import READING, LoadedModel, parse_model_inputs, predict
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.standard_metrics import summary
from tauopt.models.model_file import load_model
from tauopt.promotion.promotion_gate import floors, limits, regressions, stated_data
from tauopt.promotion.run_on_test_split import JudgedTrial, tolerance
from tauopt.promotion.verdict import REFUSED, ChampionComparison, GateCheck, Verdict, compare
from tauopt.tracking.registry import VERDICT, champion, fetch_model

if TYPE_CHECKING:
    from mlflow import MlflowClient


def compare_with_champion(
    client: MlflowClient,
    judged: JudgedTrial,
    *,
    folder: Path,
    rng: np.random.Generator,
    allowed: float = 0.0,
) -> ChampionComparison:
    """Compare a trial with the champion of its registered model.

    Both are judged on the candidates that both tasks keep. A champion that can't be run there (its
    file was altered, it reads other features, it means other classes by signal) is
    `not comparable`.

    Args:
        client: from `tracking.client.connect`.
        judged: the trial on the test split.
        folder: destination of the champion's file.
        rng: of the bootstrap.
        allowed: fraction of the champion's objective that may be lost.
    Raises:
        ServiceError: the registry does not answer.
    """
    present = champion(client, judged.trial.registered_model)
    if present is None:
        return ChampionComparison(*compare(None))
    try:
        mine, theirs = _predictions_of_both(client, present, judged, folder=folder)
        difference = paired_bootstrap(
            judged.trial.objective, mine, theirs, rng=rng, allowed=allowed
        )
        comparison = ChampionComparison(
            *compare(difference, allowed=allowed),
            test={name: value.triple for name, value in summary(theirs).items()},
            difference=difference,
            pair=(mine, theirs),
        )
    except DataError as error:
        reason = f"can't be compared with the champion, version {present.version}: {error}"
        comparison = ChampionComparison("not comparable", reason)
    return replace(
        comparison,
        version=str(present.version),
        run_id=str(present.run_id),
        data=_dataset_of(present.tags),
    )


def _dataset_of(tags: Mapping[str, str]) -> dict[str, str]:
    try:
        verdict = json.loads(tags[VERDICT])
        return {"name": str(verdict["dataset"]), "digest": str(verdict["dataset_digest"])}
    except (KeyError, ValueError, TypeError):
        return {}  # the version was registered by another program


def _predictions_of_both(
    client: MlflowClient, present: Any, judged: JudgedTrial, *, folder: Path
) -> tuple[Predictions, Predictions]:
    """Return predictions of the trial and of the champion on the candidates that both keep."""
    path, sha256 = fetch_model(client, present, folder=folder)
    inputs, candidates = parse_model_inputs(present.tags.get(READING, "")), judged.candidates
    by_accuracy = not judged.trial.objective.needs_background
    if by_accuracy and inputs.task.classes != judged.inputs.task.classes:
        raise DataError(
            "accuracies of different tasks can't be compared: expected the classes "
            f"{', '.join(judged.inputs.task.classes)}, got {', '.join(inputs.task.classes)}"
        )
    theirs = predict(LoadedModel(load_model(path, sha256=sha256), inputs), candidates)
    kept, kept_by_champion = candidates.kept(judged.inputs), candidates.kept(inputs)
    return judged.test.where(kept_by_champion[kept]), theirs.where(kept[kept_by_champion])


def decide(
    judged: JudgedTrial,
    comparison: ChampionComparison,
    *,
    gate: Gate,
    rng: np.random.Generator,
    force: bool,
) -> Verdict:
    """Return the verdict that follows from the gate and the comparison with the champion.

    Args:
        judged: the trial on the test split.
        comparison: of the trial with the champion.
        gate: requirements on a champion.
        rng: of the bootstraps.
        force: promote the trial even if it is refused.
    """
    checks = tuple(_checks(gate, judged, comparison, rng))
    outcome, reason = comparison.outcome, comparison.reason
    failed = [str(check) for check in checks if not check.passed]
    if failed and outcome not in REFUSED:
        outcome, reason = "refused by the gate", "; ".join(failed)
    refused = outcome in REFUSED
    trial, signal = judged.trial, int(np.count_nonzero(judged.test.is_signal))
    numbers = summary(judged.test)
    if str(trial.objective) not in numbers:
        numbers[str(trial.objective)] = measure(trial.objective, judged.test)
    return Verdict(
        run_id=trial.run_id,
        run_name=trial.name,
        model=trial.registered_model,
        version="",
        model_sha256=trial.sha256,
        dataset=judged.dataset.manifest.name,
        dataset_digest=judged.dataset.digest,
        objective=str(trial.objective),
        validation={
            "recorded": trial.value,
            "found": judged.validation.value,
            "low": judged.validation.low,
            "high": judged.validation.high,
            "tolerance": tolerance(trial.value, judged.validation),
        },
        candidates={"signal": signal, "background": len(judged.test) - signal},
        test={name: value.triple for name, value in numbers.items()},
        latencies={
            name: value.triple for name, value in judged.costs.items() if name != "parameters"
        },
        outcome=outcome,
        reason=reason,
        forced=refused and force,
        promoted=force or not refused,
        champion=(
            {"version": comparison.version, "run_id": comparison.run_id}
            if comparison.version
            else {}
        ),
        champion_test=comparison.test,
        difference=asdict(comparison.difference) if comparison.difference else {},
        checks=checks,
        gate=gate.model_dump(mode="json", exclude_defaults=True),
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tauopt_version=tauopt.__version__,
    )


def _checks(
    gate: Gate, judged: JudgedTrial, comparison: ChampionComparison, rng: np.random.Generator
) -> Iterator[GateCheck]:
    manifest, digest = judged.dataset.manifest, judged.dataset.digest
    yield from stated_data(gate, name=manifest.name, digest=digest, comparison=comparison)
    if comparison.pair is not None and comparison.difference is not None:
        yield from regressions(
            gate,
            *comparison.pair,
            difference=comparison.difference,
            objective=judged.trial.objective,
            rng=rng,
        )
    yield from floors(gate, judged.test)
    yield from limits(gate, judged.costs)
