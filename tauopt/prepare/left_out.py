"""Why candidates are left out: counted by cause and class, and told in a line a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_SELECTED, OTHER_CLASS, NO_SPLIT, MISSING, NEGATIVE = (
    "not selected",
    "class not of its sample",
    "in no split",
    "missing feature",
    "negative weight",
)
"""Reasons for which a candidate is left out, as the manifest counts them."""

Causes = Counter[tuple[str, str]]
"""(Cause, class) -> candidates; a cause is a cut, or a reason other than `NOT_SELECTED`, and the
class is empty where a candidate is of none."""
Plain = Mapping[str, Mapping[str, int]]
"""Cause -> class -> candidates."""

_CAUSES, _CLASSES = 4, 3
"""Causes of a sample, and classes of a cause, that are named."""
_SAID = {
    NO_SPLIT: NO_SPLIT,
    MISSING: "with a missing feature",
    NEGATIVE: "of negative weight",
}
_LONGEST = 70
"""Characters of a cut that are shown."""


def by_class(
    causes: Mapping[str, NDArray[np.bool_]], labels: NDArray[Any], classes: Sequence[str]
) -> Causes:
    """Count what is left out for each cause by class.

    Args:
        causes: cause -> (entry,) the entries that it leaves out.
        labels: (entry,) index of the class; -1 is none.
        classes: names that `labels` index.
    """
    found = Causes()
    for cause, out in causes.items():
        counts = np.bincount(labels[out] + 1, minlength=len(classes) + 1)
        names = ("", *classes)
        found += Causes({(cause, n): c for n, c in zip(names, counts.tolist(), strict=True)})
    return found


def lost(
    cause: str, before: NDArray[Any], after: NDArray[Any], *, classes: Sequence[str]
) -> Causes:
    """Count by class what a step leaves out, given the labels before and after it."""
    counts = (np.bincount(labels, minlength=len(classes)) for labels in (before, after))
    difference = np.subtract(*counts).tolist()
    return +Causes({(cause, name): n for name, n in zip(classes, difference, strict=True)})


def plain(causes: Causes) -> dict[str, dict[str, int]]:
    """Return the counts as JSON holds them, largest first."""
    found: dict[str, dict[str, int]] = {}
    for (cause, name), count in causes.most_common():
        found.setdefault(cause, {})[name] = count
    return found


def from_plain(causes: Plain) -> Causes:
    """Return the counts that `plain` gave."""
    return Causes({(cause, name): n for cause, of in causes.items() for name, n in of.items()})


def lines(samples: Mapping[str, Plain]) -> Iterator[str]:
    """Yield what was left out of each sample, largest causes and classes first."""
    for sample, causes in samples.items():
        totals = Counter({cause: sum(of.values()) for cause, of in causes.items()})
        largest = totals.most_common(_CAUSES)
        told = [_told(sample, cause, Counter(causes[cause])) for cause, _ in largest]
        if rest := totals.total() - sum(count for _, count in largest):
            told.append(f"{rest} by {len(totals) - _CAUSES} more")
        if told:
            yield f"{sample}, {totals.total()} in all: {'; '.join(told)}"


def _told(sample: str, cause: str, classes: Counter[str]) -> str:
    largest = classes.most_common(_CLASSES)
    told = [f"{count} {name or 'of no class'}" for name, count in largest]
    if rest := classes.total() - sum(count for _, count in largest):
        told.append(f"{rest} of {len(classes) - _CLASSES} more classes")
    cut = " ".join(cause.split())
    cut = cut if len(cut) <= _LONGEST else cut[: _LONGEST - 3] + "..."
    why = {OTHER_CLASS: f"not in samples.{sample}.classes"} | _SAID
    if len(told) == 1:
        return f"{told[0]} {why.get(cause, f'by {cut}')}"
    return f"{classes.total()} {why.get(cause, f'by {cut}')} ({', '.join(told)})"
