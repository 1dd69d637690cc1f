"""Permutation importance: the loss of AUC when a feature is permuted among candidates.

A correlated feature, or a copy, that the network can use instead hides the loss: the loss without a
group says more than the sum over its features.

L. Breiman, Machine Learning 45 (2001) 5; A. Fisher, C. Rudin, F. Dominici, JMLR 20 (2019) 177.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE, mask_name
from tauopt.config.settings.objective import ObjectiveName
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions

InputArrays = Mapping[str, NDArray[Any]]
"""Arrays by input name, as `config.settings.inputs.InputSpec` has them; all of N candidates."""
Predict = Callable[[InputArrays], NDArray[np.float32]]
"""A network: inputs -> probabilities, (N, class)."""

REPEATS = 5
"""Permutations of each feature."""
REPLICAS = 60
"""Fewer than `bootstrap.REPLICAS`: they give an error bar for each of many features, no p-value."""


@dataclass(frozen=True)
class PermutationImportance:
    """Permutation importance of a feature or a group."""

    name: str
    """`tracks.d0` of a feature, `tracks` of a group."""
    lost: Estimate
    """The metric before less that after the permutation."""
    whole: bool
    """Whether it is a group."""


@dataclass(frozen=True)
class PermutedCandidates:
    """Candidates as inputs of the network, with their truth and unpermuted predictions."""

    inputs: InputArrays
    predictions: Predictions
    features: Mapping[str, Sequence[str]]
    """Group, or `candidate` -> names of its features in order."""


def importances(
    predict: Predict,
    candidates: PermutedCandidates,
    *,
    rng: np.random.Generator,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[PermutationImportance]:
    """Permute each group and each feature, and yield the loss of AUC.

    Without background in the task it is the loss of accuracy. The value is the mean of five
    permutations; its error combines their scatter and, by a paired bootstrap, that from the finite
    number of candidates.

    Args:
        predict: the network.
        candidates: of a split on which it was not trained.
        rng: generator for permutations and bootstrap.
        advance: is called after each group or feature.
    Raises:
        DataError: there is one class only.
    """
    for group, names in candidates.features.items():
        yield _lost(predict, candidates, group, column=None, name=group, rng=rng)
        advance()
        for column, name in enumerate(names):
            label = f"{group}.{name}"
            yield _lost(predict, candidates, group, column=column, name=label, rng=rng)
            advance()


def metric_of(predictions: Predictions) -> ObjectiveName:
    """Return the metric whose loss is the importance."""
    return ObjectiveName("auc" if predictions.has_background else "accuracy")


def _lost(
    predict: Predict,
    candidates: PermutedCandidates,
    group: str,
    *,
    column: int | None,
    name: str,
    rng: np.random.Generator,
) -> PermutationImportance:
    before, metric = candidates.predictions, metric_of(candidates.predictions)
    unpermuted = measure(metric, before).value
    losses, after = np.empty(REPEATS), before
    for repeat in range(REPEATS):
        inputs = permuted(candidates.inputs, group, column, rng=rng)
        after = replace(before, probabilities=predict(inputs))
        losses[repeat] = unpermuted - measure(metric, after).value
    bootstrap = paired_bootstrap(metric, before, after, rng=rng, replicas=REPLICAS)
    # Candidates are resampled with the values permuted into them, so the bootstrap contains the
    # variance of one permutation; the mean of REPEATS permutations has 1 / REPEATS of it.
    permutation_variance = float(losses.var(ddof=1))
    total_variance = ((bootstrap.high - bootstrap.low) / 2) ** 2
    error = np.sqrt(
        max(
            total_variance - permutation_variance * (1 - 1 / REPEATS),
            permutation_variance / REPEATS,
        )
    )
    value = float(losses.mean())
    lost = Estimate(value, float(value - error), float(value + error))
    return PermutationImportance(name, lost, column is None)


def permuted(
    inputs: InputArrays, group: str, column: int | None, *, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return the inputs with a feature, or a whole group, permuted among candidates.

    Args:
        inputs: by name; not changed.
        group: the group (or `candidate`) that is permuted or holds the feature.
        column: index of the feature; None permutes the whole group with its mask.
        rng: generator for the permutation.
    """
    changed = dict(inputs)
    candidates = len(inputs[CANDIDATE])
    mask = mask_name(group)
    if column is None:  # with the mask, among all candidates: the multiplicity is lost too
        order = rng.permutation(candidates)
        for name in (group, mask) if group != CANDIDATE else (group,):
            changed[name] = inputs[name][order]
        return changed
    values = inputs[group].copy()
    if group == CANDIDATE:
        order = rng.permutation(candidates)
    else:
        # All objects together, among candidates with as many: masks stay valid, and the feature
        # keeps its distribution, its order among objects and its multiplicity.
        order = permute_within(inputs[mask].sum(axis=1), rng=rng)
    values[..., column] = inputs[group][order][..., column]
    changed[group] = values
    return changed


def permute_within(kinds: NDArray[Any], *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a permutation of candidates that replaces each by one of its own kind.

    Args:
        kinds: (N,) whole numbers.
        rng: generator for the permutation, uniform among those that are possible.
    Returns:
        (N,) index of the candidate that takes each place.
    """
    places = np.argsort(kinds, kind="stable")
    order = np.empty(len(kinds), np.int64)
    order[places] = np.lexsort((rng.random(len(kinds)), kinds))
    return order
