"""What a model has lost against the champion: over all candidates, and bin by bin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tauopt.config.settings.gate import BinnedRegressions, Gate
from tauopt.config.settings.objective import ObjectiveName, parse_objective
from tauopt.errors import DataError
from tauopt.metrics.bootstrap import Difference, paired_bootstrap
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.variable_axes import VariableAxis, axis_with, choose_axis
from tauopt.promotion.gate_check import GateCheck
from tauopt.promotion.verdict import REPLICAS, WORSE_BELOW


def regressions(
    gate: Gate,
    mine: Predictions,
    theirs: Predictions,
    *,
    objective: Difference,
    named: ObjectiveName,
    rng: np.random.Generator,
) -> Iterator[GateCheck]:
    """Check every loss that a gate limits, the objective's first, then those in bins.

    A loss is refused if it is larger than allowed beyond errors: p < 0.05 in a paired bootstrap,
    p multiplied by the number of bins (Bonferroni). Bins without enough candidates to measure
    refuse nothing, and say so.

    Args:
        gate: of the experiment, or of a file of its own.
        mine, theirs: predictions of the model and of the champion, of the same candidates.
        objective: how the two compare in the objective, found already.
        named: that objective.
        rng: of the bootstraps.
    """
    allowed = gate.regressions
    pair = measure(named, mine), measure(named, theirs)
    yield _check(str(named), pair, objective, allowed=allowed.get(str(named), 0.0))
    for name, loss in allowed.items():
        if name != str(named):
            yield _compared(name, mine, theirs, loss=loss, where=name, trials=1, rng=rng)
    for variable, asked in gate.bins.items():
        yield from _in_bins(variable, asked, mine, theirs, rng=rng)


def _in_bins(
    variable: str,
    asked: BinnedRegressions,
    mine: Predictions,
    theirs: Predictions,
    *,
    rng: np.random.Generator,
) -> Iterator[GateCheck]:
    """Yield a check for each bin of a variable and each metric."""
    axis = _axis(variable, asked, mine)
    if axis is None:
        for name in asked.regressions:
            reason = f"the test split has no values of {variable} to make bins of"
            yield GateCheck(f"{name} in {variable}", reason, "bins", passed=False)
        return
    index = axis.index(mine.columns[variable])
    for number, words in enumerate(axis.describe()):
        inside = index == number
        for name, loss in asked.regressions.items():
            yield _compared(
                name,
                mine.where(inside),
                theirs.where(inside),
                loss=loss,
                where=f"{name} in {variable} {words}",
                trials=axis.bins,
                rng=rng,
            )


def _axis(variable: str, asked: BinnedRegressions, mine: Predictions) -> VariableAxis | None:
    if variable not in mine.columns:
        return None
    if asked.edges is not None:
        return axis_with(variable, asked.edges)
    of = mine.is_signal if mine.has_background else np.ones(len(mine), np.bool_)
    return choose_axis(variable, mine.columns[variable], among=of, weights=mine.weights)


def _compared(
    name: str,
    mine: Predictions,
    theirs: Predictions,
    *,
    loss: float,
    where: str,
    trials: int,
    rng: np.random.Generator,
) -> GateCheck:
    objective = parse_objective(name)
    try:
        pair = measure(objective, mine), measure(objective, theirs)
        found = paired_bootstrap(objective, mine, theirs, rng=rng, replicas=REPLICAS, allowed=loss)
    except DataError as error:
        found_words = f"too few candidates to tell: {error}"
        return GateCheck(where, found_words, _asked(loss), passed=True, limit=loss)
    return _check(where, pair, found, allowed=loss, trials=trials)


def _check(
    where: str,
    pair: tuple[Estimate, Estimate],
    found: Difference,
    *,
    allowed: float,
    trials: int = 1,
) -> GateCheck:
    mine, theirs = pair
    p = min(1.0, found.p_worse * trials)
    return GateCheck(
        where,
        str(mine),
        _asked(allowed),
        passed=p >= WORSE_BELOW,
        against=str(theirs),
        change=_change(found, theirs.value),
        value=tuple(mine.triple),
        champion=tuple(theirs.triple),
        limit=allowed,
        p=p,
        p_limit=found.worse_is_bound and p < 1.0,
    )


def _change(found: Difference, of: float) -> str:
    if of == 0:
        return f"difference {found.value:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"
    value, low, high = (100 * amount / of for amount in (found.value, found.low, found.high))
    return f"{value:+.3g} % [{low:+.3g}, {high:+.3g}]"


def _asked(loss: float) -> str:
    return f"at most {100 * loss:g} % lost" if loss else "no loss"
