"""What preparation doubts of the features of a training split, and says: each kind once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tauopt.config.settings.inputs import CANDIDATE
from tauopt.physics.separation import Separation, separations
from tauopt.prepare.constants import Constants, Summary

FAR = 30.0
"""Values that networks see beyond this are doubted: they want the order of one. An exponential tail
reaches 20 standard deviations in a billion candidates, the demo sample's longest 12."""
LEAK = 0.99
"""Area under the ROC curve beyond which a feature by itself is doubted, by three errors. The best
networks reach 0.99 with all features together, the best single variables 0.9 to 0.95."""
_SAMPLE, _FEWEST = 10_000, 100
"""Candidates of which separations are measured, half of them to fit; and the fewest of a class and
of the rest in the other half."""
_TOLD = 5
"""Features that are named for one doubt."""


def doubts(
    constants: Mapping[str, Constants],
    summaries: Mapping[str, Sequence[Summary]],
    *,
    classes: Sequence[str],
) -> Iterator[str]:
    """Yield a sentence for each kind of doubt, with the features and what to do.

    Args:
        constants: group -> what was seen of its features in the training split.
        summaries: group -> those of its features.
        classes: names of the classes.
    """
    for name, group in constants.items():
        if name != CANDIDATE and group.is_empty:
            yield (
                f"groups.{name}: no candidate of the training split has an object; look at its "
                "branches and its `select`"
            )
    features = [summary for group in summaries.values() for summary in group]
    if constant := [one.plan.label for one in features if one.constant]:
        yield f"constant in the training split, so that they teach nothing: {_few(constant)}"
    features = [one for one in features if not one.constant]
    if equal := [one.plan.label for one in features if _lacks_robust_spread(one)]:
        yield (
            "half of all values are equal, so that there is no robust spread, but mean and "
            f"standard deviation: {_few(equal)}"
        )
    far = sorted(((reach(one), one) for one in features), key=lambda pair: -abs(pair[0]))
    if beyond := [_far(value, one) for value, one in far if abs(value) > FAR]:
        yield (
            f"networks will see values far from the order of one: {_few(beyond)}; give them "
            "`scale: standard`, `log10: true` where they span orders of magnitude, and bounds "
            "(`min`, `max` or `clip_quantiles: [0.001, 0.999]`) where a few lie far out"
        )
    if leaks := [text for group in constants.values() for text in _leaks(group, classes)]:
        yield (
            f"one feature alone tells classes apart almost perfectly: {_few(leaks)}; is it truth, "
            "or something in which only the samples differ? Then take it out"
        )


def reach(summary: Summary) -> float:
    """Return what networks see farthest from zero; of `minmax`, in standard deviations."""
    fitted, ends = summary.fitted, np.array([summary.min, summary.max])
    if fitted.clip is not None:
        ends = np.clip(ends, *fitted.clip)
    seen = (ends - fitted.shift) / fitted.spread
    if fitted.transform.scale == "minmax" and fitted.clip is None:
        seen = (ends - summary.mean) / summary.deviation
    return float(seen[np.argmax(np.abs(seen))])


def _far(value: float, summary: Summary) -> str:
    fitted, tail = summary.fitted, summary.quantiles[-1 if value > 0 else 0]
    tail = tail if fitted.clip is None else np.clip(tail, *fitted.clip)
    shift, spread = fitted.shift, fitted.spread
    if fitted.transform.scale == "minmax":
        shift, spread = summary.mean, summary.deviation
    side = "below" if value > 0 else "above"
    deviations = "" if fitted.transform.scale == "none" else " deviations"
    return (
        f"{summary.plan.label} to {value:.3g}{deviations} (99.9 % are {side} "
        f"{(tail - shift) / spread:.3g})"
    )


def _lacks_robust_spread(summary: Summary) -> bool:
    low, high = summary.quantiles[3], summary.quantiles[5]
    if summary.fitted.clip is not None:
        low, high = np.clip((low, high), *summary.fitted.clip)
    return summary.fitted.transform.scale == "robust" and not high > low


def _leaks(group: Constants, classes: Sequence[str]) -> Iterator[str]:
    values, labels = group.labelled(_SAMPLE)
    for column, label in enumerate(group.labels):
        measured = separations(values[:, column], labels, classes=len(classes))
        named = zip(measured, classes, strict=True)
        telling = [(one, name) for one, name in named if one and _is_leak(one)]
        if telling:
            one, name = max(telling)
            rest = "the rest" if len(classes) > 2 else next(c for c in classes if c != name)
            yield (
                f"{label} ({name} against {rest}: AUC {one.auc:.4f} ± {one.error:.4f}, of "
                f"{one.of_class} and {one.rest} candidates)"
            )


def _is_leak(one: Separation) -> bool:
    enough = min(one.of_class, one.rest) >= _FEWEST
    return enough and one.auc - 3 * one.error > LEAK


def _few(named: Sequence[str]) -> str:
    more = f", and {len(named) - _TOLD} more" if len(named) > _TOLD else ""
    return ", ".join(named[:_TOLD]) + more
