"""Warnings of features of the training split that are empty, constant, far out or leaking truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import numpy as np

from tauopt.config.settings.inputs import CANDIDATE
from tauopt.physics.separation import Separation, separations
from tauopt.prepare.constants import Constants, Summary

FAR = 30.0
"""Values that networks see beyond this cause a warning: networks need values of the order of one.
An exponential tail reaches 20 standard deviations in a billion candidates, the demo sample's
longest tail 12."""
LEAK = 0.99
"""Area under the ROC curve of one feature that causes a warning, if exceeded by three standard
deviations. The best networks reach 0.99 with all features together, the best single variables 0.9
to 0.95."""
_SAMPLE, _FEWEST = 10_000, 100
"""Candidates on which separations are measured, half of them to fit; and the fewest of a class and
of the rest in the other half."""
_NAMED = 5
"""Features that one warning names."""


def feature_warnings(
    constants: Mapping[str, Constants],
    summaries: Mapping[str, Sequence[Summary]],
    *,
    classes: Sequence[str],
) -> Iterator[str]:
    """Yield one warning for each kind of problem, with the features and what to do.

    Args:
        constants: group -> constants fitted on the training split.
        summaries: group -> statistics of its features.
        classes: names of the classes.
    """
    for name, group in constants.items():
        if name != CANDIDATE and group.is_empty:
            yield (
                f"groups.{name}: no candidate of the training split has an object; look at the "
                "branches and the `select` of the group"
            )
    features = [summary for group in summaries.values() for summary in group]
    if constant := [summary.plan.label for summary in features if summary.constant]:
        yield (
            "constant in the training split, so a network learns nothing from them (take them "
            f"out): {_first_few(constant)}"
        )
    features = [summary for summary in features if not summary.constant]
    if equal := [summary.plan.label for summary in features if _lacks_robust_spread(summary)]:
        yield (
            "half of all values are equal, so the robust spread is zero, and mean and standard "
            f"deviation are used instead: {_first_few(equal)}"
        )
    extremes = sorted(
        ((farthest(summary), summary) for summary in features), key=lambda pair: -abs(pair[0])
    )
    if beyond := [_far(value, summary) for value, summary in extremes if abs(value) > FAR]:
        yield (
            f"networks will see values far from the order of one: {_first_few(beyond)}; give them "
            "`scale: standard`, `log10: true` where they span orders of magnitude, and bounds "
            "(`min`, `max` or `clip_quantiles: [0.001, 0.999]`) where a few lie far out"
        )
    if leaks := [text for group in constants.values() for text in _leaks(group, classes)]:
        yield (
            f"one feature alone separates classes almost perfectly: {_first_few(leaks)}; is it "
            "truth, or something in which only the samples differ? Then take it out"
        )


def farthest(summary: Summary) -> float:
    """Return the value farthest from zero that networks see.

    For the scale `minmax`, which ends at one by construction, in standard deviations.
    """
    fitted, ends = summary.fitted, np.array([summary.min, summary.max])
    if fitted.clip is not None:
        ends = np.clip(ends, *fitted.clip)
    scaled = (ends - fitted.shift) / fitted.spread
    if fitted.transform.scale == "minmax" and fitted.clip is None:
        scaled = (ends - summary.mean) / summary.deviation
    return float(scaled[np.argmax(np.abs(scaled))])


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
    low, high = summary.quantiles[3], summary.quantiles[5]  # the quartiles, see `QUANTILES`
    if summary.fitted.clip is not None:
        low, high = np.clip((low, high), *summary.fitted.clip)
    return summary.fitted.transform.scale == "robust" and not high > low


def _leaks(group: Constants, classes: Sequence[str]) -> Iterator[str]:
    values, labels = group.labelled(_SAMPLE)
    for column, label in enumerate(group.labels):
        measured = separations(values[:, column], labels, classes=len(classes))
        pairs = zip(measured, classes, strict=True)
        leaking = [(separation, name) for separation, name in pairs if _is_leak(separation)]
        if leaking:
            separation, name = max(leaking)
            rest = "the rest" if len(classes) > 2 else next(c for c in classes if c != name)
            yield (
                f"{label} ({name} against {rest}: AUC {separation.auc:.4f} ± "
                f"{separation.error:.4f}, of {separation.of_class} and {separation.rest} "
                "candidates)"
            )


def _is_leak(separation: Separation | None) -> TypeGuard[Separation]:
    if separation is None or min(separation.of_class, separation.rest) < _FEWEST:
        return False
    return separation.auc - 3 * separation.error > LEAK


def _first_few(names: Sequence[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
