"""Paired bootstrap: is one network worse than another on the same candidates?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.objective import ObjectiveName
from tauopt.errors import DataError
from tauopt.metrics.log_loss import candidate_losses
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.own_metric import own_value
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.roc import area, at_signal_efficiency, cumulated, tie_ends

Floats = NDArray[np.float64]

REPLICAS = 1000
"""Replicas of a bootstrap: a chance of 0.05 is then known within 0.007."""
SEED = 1
"""Seed of the bootstraps of a command: the same comparison has the same errors and verdict."""


@dataclass(frozen=True)
class Difference:
    """The metric of network a less that of network b, with its 68 % interval.

    `p_worse` is the probability that a is not worse than b (by more than was allowed), so small
    values mean that a is worse; `p_better` is the probability that a is not better than b.
    """

    value: float
    low: float
    high: float
    p_worse: float
    p_better: float
    least: float = 0.0
    """Smallest probability that the replicas can resolve; one equal to it is an upper bound."""

    @property
    def worse_is_bound(self) -> bool:
        """Whether a is worse in every replica, so that `p_worse` is an upper bound."""
        return self.p_worse <= self.least

    @property
    def better_is_bound(self) -> bool:
        """Whether a is better in every replica, so that `p_better` is an upper bound."""
        return self.p_better <= self.least


def paired_bootstrap(
    objective: ObjectiveName,
    a: Predictions,
    b: Predictions,
    *,
    rng: np.random.Generator,
    replicas: int = REPLICAS,
    allowed: float = 0.0,
) -> Difference:
    """Compare two networks on the same candidates by a paired bootstrap.

    Every replica counts each candidate a Poisson(1) number of times, the same for both networks,
    so fluctuations that they share cancel. Both are sorted once; replicas only change the weights.
    The interval is from the 16th to the 84th percentile of the differences. The probabilities are
    (k + 1) / (replicas + 1), k the replicas on the other side: never zero.

    Args:
        objective: the metric that is compared.
        a, b: the two networks' predictions of the same candidates.
        rng: generator for the replicas.
        replicas: number of replicas.
        allowed: part of b's value that a may lose before it is worse; `p_worse` alone uses it.
    Raises:
        DataError: the candidates of the two differ, or the metric is undefined (see `measure`).
    Source:
        B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 16.
    """
    if objective.prongs is not None:
        a, b = a.with_prongs(objective.prongs), b.with_prongs(objective.prongs)
    check_same(a, b)
    value = measure(objective, a).value - measure(objective, b).value
    resampled = _resampled(objective, a), _resampled(objective, b)
    replica_values = np.empty((replicas, 2))
    for replica in range(replicas):
        times = rng.poisson(1.0, len(a)).astype(np.float64)
        replica_values[replica] = resampled[0](times), resampled[1](times)
    return difference_of(
        value,
        replica_values[:, 0] - replica_values[:, 1],
        spare=allowed * np.abs(replica_values[:, 1]),
    )


def difference_of(value: float, differences: Floats, *, spare: Floats | float = 0.0) -> Difference:
    """Return a difference with the interval and the probabilities of its bootstrap replicas.

    Args:
        value: as measured.
        differences: (replica,); those that are not finite, for lack of candidates, are left out.
        spare: (replica,) how much less a may have before it counts as worse.
    Raises:
        DataError: no replica is finite.
    """
    finite = np.isfinite(differences)
    kept, spared = differences[finite], (differences + spare)[finite]
    if not len(kept):
        raise DataError(
            "too few candidates: the metric is undefined in each of the "
            f"{len(differences)} bootstrap replicas; compare on a larger sample"
        )
    low, high = np.percentile(kept, [15.865, 84.135])
    return Difference(
        value=value,
        low=float(min(low, value)),
        high=float(max(high, value)),
        p_worse=float((spared >= 0).sum() + 1) / (len(kept) + 1),
        p_better=float((kept <= 0).sum() + 1) / (len(kept) + 1),
        least=1.0 / (len(kept) + 1),
    )


def check_same(a: Predictions, b: Predictions) -> None:
    """Check that two networks were applied to the same candidates.

    Raises:
        DataError: number, truth, weights, event numbers or prongs of the candidates differ.
    """
    same = (
        len(a) == len(b)
        and np.array_equal(a.is_signal, b.is_signal)
        and np.allclose(a.weights, b.weights, rtol=1e-5)
    )
    for name in ("event_numbers", "prongs"):
        if same and name in a.columns and name in b.columns:
            same = np.array_equal(a.columns[name], b.columns[name])
    if not same:
        raise DataError(
            "a paired comparison needs the same candidates in the same order for both networks; "
            f"got {len(a)} and {len(b)} candidates with different truth, weights or events"
        )


def _resampled(objective: ObjectiveName, predictions: Predictions) -> Callable[[Floats], float]:
    """Return the objective as a function of how many times each candidate counts, (N,)."""
    if objective.metric == "accuracy":
        right = predictions.probabilities.argmax(axis=1) == predictions.labels
        return _resampled_mean(right, predictions.weights)
    if objective.metric == "neg_log_loss":
        return _resampled_mean(-candidate_losses(predictions), predictions.weights)
    if objective.metric == "balanced_accuracy":
        return _resampled_balanced(predictions)
    if objective.metric == "own":
        return lambda times: own_value(objective, predictions, weights=predictions.weights * times)
    numbers = curve_numbers(predictions, objective.efficiencies)
    if not isinstance(objective.at, tuple):
        return lambda times: float(numbers(times)[-1])
    if objective.metric == "auc":
        return lambda times: float(1.0 - np.mean(1.0 / numbers(times)[1:]))
    return lambda times: float(np.exp(np.mean(np.log(numbers(times)[1:]))))


def curve_numbers(predictions: Predictions, at: Floats) -> Callable[[Floats], Floats]:
    """Return AUC and rejections as a function of how many times each candidate counts.

    Args:
        predictions: sorted by score once, when this is called.
        at: (A,) signal efficiencies at which the background rejection is wanted.
    Returns:
        a function from times (N,) to (1 + A,): the area, then the rejections. Where no background
        passes, the rejection is the finite limit n + 1 of `roc.rejections`; all are NaN where
        signal or background have no positive sum of weights.
    """
    order = np.argsort(-predictions.score, kind="stable")
    ends = tie_ends(predictions.score[order])
    weights, is_signal = predictions.weights[order], predictions.is_signal[order]
    signal_weights = np.where(is_signal, weights, 0.0)
    background_weights = np.where(is_signal, 0.0, weights)

    def numbers(times: Floats) -> Floats:
        times = times[order]
        signal = cumulated(signal_weights * times, ends)
        background = cumulated(background_weights * times, ends)
        results, total = np.full(1 + len(at), np.nan), background[-1]
        if not (signal[-1] > 0.0 and total > 0.0):
            return results
        signal = signal / signal[-1]
        results[0] = area(signal, background / total)
        if len(at):
            passed = at_signal_efficiency(signal, background, at)
            limit = float(total**2 / np.sum(background_weights**2 * times)) + 1.0
            results[1:] = np.where(passed > 0.0, total / np.where(passed > 0.0, passed, 1.0), limit)
        return results

    return numbers


def _resampled_mean(
    values: NDArray[np.bool_] | Floats, weights: Floats
) -> Callable[[Floats], float]:
    weighted = weights * values
    return lambda times: float(np.sum(weighted * times) / np.sum(weights * times))


def _resampled_balanced(predictions: Predictions) -> Callable[[Floats], float]:
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    labels, weights, classes = predictions.labels, predictions.weights, len(predictions.classes)

    def resampled(times: Floats) -> float:
        totals = np.bincount(labels, weights * times, minlength=classes)
        passed = np.bincount(labels, weights * times * right, minlength=classes)
        present = totals > 0
        return float(np.mean(passed[present] / totals[present]))

    return resampled
