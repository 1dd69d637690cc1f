"""Permutation importance: what is lost where a feature says nothing any more.

A feature of the candidate is exchanged among candidates. A feature of objects is exchanged as a
whole, all its objects with it, among candidates with the same number of objects: so masks stay
true, and so do each feature's own distribution, its order among objects and its multiplicity. A
group is exchanged whole, with its mask, among all candidates; then its multiplicity is lost too.

What the network can read elsewhere (a copy of the feature, or one that goes with it) hides the
loss: groups say more than the sum of their features.

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
"""Arrays by input name, as `config.inputs.InputSpec` has them; all of N candidates."""
Predict = Callable[[InputArrays], NDArray[np.float32]]
"""From inputs to probabilities, (N, class)."""

REPEATS = 5
"""Permutations of each feature."""
REPLICAS = 60
"""Fewer than `bootstrap.REPLICAS`: they give an error bar for each of many features, no p-value."""


@dataclass(frozen=True)
class PermutationImportance:
    """What is lost without a feature or a group."""

    name: str
    """`tracks.d0`; of a group its name."""
    lost: Estimate
    whole: bool
    """Whether it is a group."""


@dataclass(frozen=True)
class PermutedCandidates:
    """Candidates as the network takes them, with their truth."""

    inputs: InputArrays
    predictions: Predictions
    features: Mapping[str, Sequence[str]]
    """Group, or `candidate` -> names of its features in order."""


def importances(
    predict: Predict,
    material: PermutedCandidates,
    *,
    rng: np.random.Generator,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[PermutationImportance]:
    """Permute each group and each feature, and yield what is lost of the AUC.

    Without background in the task it is the accuracy. The value is the mean of five permutations;
    its error is of these and, by a paired bootstrap, of the candidates.

    Args:
        predict: the network.
        material: candidates of a split that it was not trained on.
        rng: of permutations and bootstrap.
        advance: is called after each group or feature.
    Raises:
        DataError: one class only.
    """
    for group, names in material.features.items():
        yield _lost(predict, material, group, column=None, name=group, rng=rng)
        advance()
        for column, name in enumerate(names):
            label = f"{group}.{name}"
            yield _lost(predict, material, group, column=column, name=label, rng=rng)
            advance()


def metric_of(predictions: Predictions) -> ObjectiveName:
    """Return the number whose loss is looked at."""
    return ObjectiveName("auc" if predictions.has_background else "accuracy")


def _lost(
    predict: Predict,
    material: PermutedCandidates,
    group: str,
    *,
    column: int | None,
    name: str,
    rng: np.random.Generator,
) -> PermutationImportance:
    before, metric = material.predictions, metric_of(material.predictions)
    whole = measure(metric, before).value
    found, after = np.empty(REPEATS), before
    for repeat in range(REPEATS):
        inputs = permuted(material.inputs, group, column, rng=rng)
        after = replace(before, probabilities=predict(inputs))
        found[repeat] = whole - measure(metric, after).value
    spread = paired_bootstrap(metric, before, after, rng=rng, replicas=REPLICAS)
    # Resampling candidates with what was permuted into them scatters the permutation too: once
    # the whole of it, where the mean has a fifth.
    permutation = float(found.var(ddof=1))
    both = ((spread.high - spread.low) / 2) ** 2
    error = np.sqrt(max(both - permutation * (1 - 1 / REPEATS), permutation / REPEATS))
    value = float(found.mean())
    lost = Estimate(value, float(value - error), float(value + error))
    return PermutationImportance(name, lost, column is None)


def permuted(
    inputs: InputArrays, group: str, column: int | None, *, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return the inputs with a feature, or a whole group, exchanged among candidates.

    Args:
        inputs: by name; not changed.
        group: whose.
        column: of the feature; None is the whole group with its mask.
        rng: of the exchange.
    """
    changed = dict(inputs)
    candidates = len(inputs[CANDIDATE])
    mask = mask_name(group)
    if column is None:
        order = rng.permutation(candidates)
        for name in (group, mask) if group != CANDIDATE else (group,):
            changed[name] = inputs[name][order]
        return changed
    values = inputs[group].copy()
    if group == CANDIDATE:
        order = rng.permutation(candidates)
    else:
        order = exchanged_within(inputs[mask].sum(axis=1), rng=rng)
    values[..., column] = inputs[group][order][..., column]
    changed[group] = values
    return changed


def exchanged_within(kinds: NDArray[Any], *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a permutation of candidates that gives each one of its own kind.

    Args:
        kinds: (N,) whole numbers.
        rng: of the permutation, uniform among those there are.
    """
    places = np.argsort(kinds, kind="stable")
    order = np.empty(len(kinds), np.int64)
    order[places] = np.lexsort((rng.random(len(kinds)), kinds))
    return order
