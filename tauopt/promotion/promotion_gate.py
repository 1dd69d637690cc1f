"""Checks of a promotion gate: floors, limits, stated data, and losses against the champion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tauopt.config.settings.gate import BinnedRegressions, Gate
from tauopt.config.settings.objective import CostName, ObjectiveName, parse_cost, parse_objective
from tauopt.errors import DataError
from tauopt.metrics.bootstrap import Difference, paired_bootstrap
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.variable_axes import VariableAxis, axis_with, choose_axis
from tauopt.promotion.verdict import WORSE_BELOW, ChampionComparison, GateCheck

LETTERS = 8
"""First characters of a digest that a gate has to state, at least."""


def costs_of(gate: Gate) -> tuple[CostName, ...]:
    """Return the costs that a gate limits."""
    return tuple(parse_cost(name) for name in gate.limits)


def floors(gate: Gate, test: Predictions) -> Iterator[GateCheck]:
    """Check least values: the lower end of each 68 % interval must reach its floor.

    Args:
        gate: of the experiment, or of a file of its own.
        test: the model's predictions on the test split.
    """
    for metric, floor in gate.floors.items():
        name, asked = f"floor of {metric}", f"lower end at least {floor:g}"
        try:
            value = measure(parse_objective(metric), test)
        except DataError as error:
            yield GateCheck(name, f"can't be measured: {error}", asked, passed=False)
            continue
        passed, triple = bool(value.low >= floor), tuple(value.triple)
        yield GateCheck(name, str(value), asked, passed, value=triple, limit=floor)


def limits(gate: Gate, costs: Mapping[str, Estimate]) -> Iterator[GateCheck]:
    """Check largest values of the costs of running the model.

    Args:
        gate: as in `floors`.
        costs: by name, at least those that `costs_of` returns.
    """
    for name, limit in gate.limits.items():
        cost = costs[name]
        text = str(cost) if cost.low < cost.high else f"{cost.value:,.0f}"
        asked, passed = f"at most {limit:,g}", bool(cost.value <= limit)
        triple = tuple(cost.triple)
        yield GateCheck(f"limit of {name}", text, asked, passed, value=triple, limit=limit)


def stated_data(
    gate: Gate, *, name: str, digest: str, comparison: ChampionComparison
) -> Iterator[GateCheck]:
    """Check that a model was judged on the dataset that the gate states, and on the champion's.

    Args:
        gate: as in `floors`.
        name, digest: of the prepared dataset that the model was judged on.
        comparison: of the model with the champion.
    """
    dataset = {"name": name, "digest": digest}
    if gate.dataset:
        by_digest = len(gate.dataset) >= LETTERS and digest.startswith(gate.dataset)
        passed = by_digest or gate.dataset == name
        yield GateCheck("dataset", _dataset_text(dataset), gate.dataset, passed)
    if gate.same_data != "any" and comparison.version:
        asked = f"the {gate.same_data} of the champion's, {_dataset_text(comparison.data)}"
        passed = dataset[gate.same_data] == comparison.data.get(gate.same_data)
        yield GateCheck("the champion's dataset", _dataset_text(dataset), asked, passed)


def _dataset_text(data: Mapping[str, str]) -> str:
    return f"{data['name']} ({data['digest'][:16]})" if data else "which no record names"


def regressions(
    gate: Gate,
    mine: Predictions,
    theirs: Predictions,
    *,
    difference: Difference,
    objective: ObjectiveName,
    rng: np.random.Generator,
) -> Iterator[GateCheck]:
    """Check losses against the champion: of the objective, of other metrics, then in bins.

    A loss is refused if it is larger than allowed beyond errors: p < 0.05 in a paired bootstrap,
    p multiplied by the number of bins (Bonferroni). Bins without enough candidates to measure
    refuse nothing, and say so.

    Args:
        gate: as in `floors`.
        mine, theirs: predictions of the model and of the champion on the same candidates.
        difference: of the two in the objective, from the paired bootstrap.
        objective: of the model's trial; always checked, with no loss allowed by default.
        rng: of the bootstraps.
    """
    allowed = gate.regressions
    pair = measure(objective, mine), measure(objective, theirs)
    yield _check(str(objective), pair, difference, allowed=allowed.get(str(objective), 0.0))
    for metric, loss in allowed.items():
        if metric != str(objective):
            yield _compared(metric, mine, theirs, loss=loss, name=metric, bins=1, rng=rng)
    for variable, binned in gate.bins.items():
        yield from _in_bins(variable, binned, mine, theirs, rng=rng)


def _in_bins(
    variable: str,
    binned: BinnedRegressions,
    mine: Predictions,
    theirs: Predictions,
    *,
    rng: np.random.Generator,
) -> Iterator[GateCheck]:
    """Yield a check for each bin of a variable and each metric."""
    axis = _axis(variable, binned, mine)
    if axis is None:
        for metric in binned.regressions:
            reason = f"the test split has no values of {variable} to make bins of"
            yield GateCheck(f"{metric} in {variable}", reason, "bins", passed=False)
        return
    index = axis.index(mine.columns[variable])
    for number, bin_text in enumerate(axis.describe()):
        inside = index == number
        for metric, loss in binned.regressions.items():
            yield _compared(
                metric,
                mine.where(inside),
                theirs.where(inside),
                loss=loss,
                name=f"{metric} in {variable} {bin_text}",
                bins=axis.bins,
                rng=rng,
            )


def _axis(variable: str, binned: BinnedRegressions, mine: Predictions) -> VariableAxis | None:
    if variable not in mine.columns:
        return None
    if binned.edges is not None:
        return axis_with(variable, binned.edges)
    of = mine.is_signal if mine.has_background else np.ones(len(mine), np.bool_)
    return choose_axis(variable, mine.columns[variable], among=of, weights=mine.weights)


def _compared(
    metric: str,
    mine: Predictions,
    theirs: Predictions,
    *,
    loss: float,
    name: str,
    bins: int,
    rng: np.random.Generator,
) -> GateCheck:
    objective = parse_objective(metric)
    try:
        pair = measure(objective, mine), measure(objective, theirs)
        difference = paired_bootstrap(objective, mine, theirs, rng=rng, allowed=loss)
    except DataError as error:
        reason = f"too few candidates to tell: {error}"
        return GateCheck(name, reason, _asked(loss), passed=True, limit=loss)
    return _check(name, pair, difference, allowed=loss, bins=bins)


def _check(
    name: str,
    pair: tuple[Estimate, Estimate],
    difference: Difference,
    *,
    allowed: float,
    bins: int = 1,
) -> GateCheck:
    mine, theirs = pair
    p = min(1.0, difference.p_worse * bins)
    return GateCheck(
        name,
        str(mine),
        _asked(allowed),
        passed=p >= WORSE_BELOW,
        against=str(theirs),
        change=_change(difference, theirs.value),
        value=tuple(mine.triple),
        champion=tuple(theirs.triple),
        limit=allowed,
        p=p,
        p_limit=difference.worse_is_bound and p < 1.0,
    )


def _change(difference: Difference, reference: float) -> str:
    value, low, high = difference.value, difference.low, difference.high
    if reference == 0:
        return f"difference {value:+.3g} [{low:+.3g}, {high:+.3g}]"
    value, low, high = (100 * amount / reference for amount in (value, low, high))
    return f"{value:+.3g} % [{low:+.3g}, {high:+.3g}]"


def _asked(loss: float) -> str:
    return f"at most {100 * loss:g} % lost" if loss else "no loss"
