"""Candidates that are left out: counts by cause and class, and one line a sample for users."""

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
"""(Cause, class) -> candidates; a cause is a cut, or a reason other than `NOT_SELECTED`. The class
is empty where a candidate is of no class."""
Plain = Mapping[str, Mapping[str, int]]
"""Cause -> class -> candidates."""

_CAUSES, _CLASSES = 4, 3
"""Causes of a sample, and classes of a cause, that a line names."""
_WORDS = {
    NO_SPLIT: NO_SPLIT,
    MISSING: "with a missing feature",
    NEGATIVE: "of negative weight",
}
_LONGEST = 70
"""Characters of a cut that a line shows."""


def by_class(
    causes: Mapping[str, NDArray[np.bool_]], labels: NDArray[Any], classes: Sequence[str]
) -> Causes:
    """Count the candidates that each cause leaves out, by class.

    Args:
        causes: cause -> (entry,) the entries that it leaves out.
        labels: (entry,) index of the class; -1 is none.
        classes: names of the classes, by index.
    """
    result = Causes()
    for cause, out in causes.items():
        counts = np.bincount(labels[out] + 1, minlength=len(classes) + 1)
        names = ("", *classes)
        result += Causes({(cause, n): c for n, c in zip(names, counts.tolist(), strict=True)})
    return result


def lost(
    cause: str, before: NDArray[Any], after: NDArray[Any], *, classes: Sequence[str]
) -> Causes:
    """Count the candidates that a step leaves out by class, given the labels before and after."""
    counts = (np.bincount(labels, minlength=len(classes)) for labels in (before, after))
    difference = np.subtract(*counts).tolist()
    # The unary plus removes classes with a count of zero.
    return +Causes({(cause, name): n for name, n in zip(classes, difference, strict=True)})


def plain(causes: Causes) -> dict[str, dict[str, int]]:
    """Return the counts as nested dictionaries for JSON, largest first."""
    result: dict[str, dict[str, int]] = {}
    for (cause, name), count in causes.most_common():
        result.setdefault(cause, {})[name] = count
    return result


def from_plain(causes: Plain) -> Causes:
    """Return the counts from the nested dictionaries that `plain` returned."""
    return Causes(
        {(cause, name): n for cause, counts in causes.items() for name, n in counts.items()}
    )


def lines(samples: Mapping[str, Plain]) -> Iterator[str]:
    """Yield a line for each sample that names the largest causes and their largest classes."""
    for sample, causes in samples.items():
        totals = Counter({cause: sum(counts.values()) for cause, counts in causes.items()})
        largest = totals.most_common(_CAUSES)
        parts = [_describe(sample, cause, Counter(causes[cause])) for cause, _ in largest]
        if rest := totals.total() - sum(count for _, count in largest):
            parts.append(f"{rest} by {len(totals) - _CAUSES} more")
        if parts:
            yield f"{sample}, {totals.total()} in all: {'; '.join(parts)}"


def _describe(sample: str, cause: str, classes: Counter[str]) -> str:
    largest = classes.most_common(_CLASSES)
    counts = [f"{count} {name or 'of no class'}" for name, count in largest]
    if rest := classes.total() - sum(count for _, count in largest):
        counts.append(f"{rest} of {len(classes) - _CLASSES} more classes")
    cut = " ".join(cause.split())
    cut = cut if len(cut) <= _LONGEST else cut[: _LONGEST - 3] + "..."
    words = {OTHER_CLASS: f"not in samples.{sample}.classes"} | _WORDS
    reason = words.get(cause, f"by {cut}")
    if len(counts) == 1:
        return f"{counts[0]} {reason}"
    return f"{classes.total()} {reason} ({', '.join(counts)})"
