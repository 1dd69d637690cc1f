"""The verdict on a judged trial: what the promotion gate and the champion make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

import tauopt
from tauopt.config.settings.gate import Gate
from tauopt.metrics.standard_metrics import summary
from tauopt.promotion.champion import Challenge
from tauopt.promotion.gate_check import GateCheck
from tauopt.promotion.judge import JudgedTrial
from tauopt.promotion.promotion_gate import floors, limits, stated_data
from tauopt.promotion.regressions import regressions
from tauopt.promotion.verdict import REFUSED, Outcome, Verdict, tolerance


def decide(
    judged: JudgedTrial, found: Challenge, *, gate: Gate, rng: np.random.Generator, force: bool
) -> Verdict:
    """Return the verdict that follows from the gate and the comparison with the champion.

    Args:
        judged: the trial on the test split.
        found: how it compares with the champion.
        gate: what it must do.
        rng: of the bootstraps.
        force: promote it all the same.
    """
    checks = tuple(_checks(gate, judged, found, rng))
    trial, signal = judged.trial, int(np.count_nonzero(judged.test.is_signal))
    outcome, reason = _outcome(found, checks)
    refused = outcome in REFUSED
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
            "tolerance": tolerance(trial.value, judged.validation),
        },
        candidates={"signal": signal, "background": len(judged.test) - signal},
        test={name: value.triple for name, value in summary(judged.test).items()},
        latencies={
            name: value.triple for name, value in judged.costs.items() if name != "parameters"
        },
        outcome=outcome,
        reason=reason,
        forced=refused and force,
        promoted=force or not refused,
        champion={"version": found.version, "run_id": found.run_id} if found.version else {},
        champion_test=found.test,
        difference=asdict(found.difference) if found.difference else {},
        checks=checks,
        gate=gate.model_dump(mode="json", exclude_defaults=True),
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tauopt_version=tauopt.__version__,
    )


def _outcome(found: Challenge, checks: Sequence[GateCheck]) -> tuple[Outcome, str]:
    """Return what follows from the comparison and the checks, in a word and a sentence."""
    failed = [str(check) for check in checks if not check.passed]
    if found.outcome in REFUSED or not failed:
        return found.outcome, found.reason
    return "refused by the gate", "; ".join(failed)


def _checks(
    gate: Gate, judged: JudgedTrial, found: Challenge, rng: np.random.Generator
) -> Iterator[GateCheck]:
    manifest, digest = judged.dataset.manifest, judged.dataset.digest
    yield from stated_data(gate, name=manifest.name, digest=digest, found=found)
    if found.pair is not None and found.difference is not None:
        yield from regressions(
            gate, *found.pair, objective=found.difference, named=judged.trial.objective, rng=rng
        )
    yield from floors(gate, judged.test)
    yield from limits(gate, judged.costs)
