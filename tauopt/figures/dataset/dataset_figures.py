"""All figures of a prepared dataset, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tauopt.config.settings.inputs import FittedFeature, FittedGroup
from tauopt.figures.dataset.feature_figures import (
    correlation_figure,
    feature_figure,
    multiplicity_figure,
    spectrum_figure,
)
from tauopt.figures.dataset.validation_figure import validation_figure
from tauopt.figures.figure_style import SampleLabel
from tauopt.metrics.histogram import WeightedValues, correlation

Page = tuple[str, Figure, dict[str, Any]]


@dataclass(frozen=True)
class DrawnObjects:
    """Features of one group of objects, or of the candidates themselves."""

    fitted: FittedGroup
    physical: NDArray[Any]
    """(object, feature), in physical units."""
    seen: NDArray[Any]
    """(object, feature), after transform and constants: the inputs of networks."""
    owner: NDArray[np.int64]
    """(object,) row of its candidate."""


@dataclass(frozen=True)
class DrawnCandidates:
    """The candidates of a prepared dataset that are drawn, with their objects."""

    classes: Sequence[str]
    labels: NDArray[Any]
    """(candidate,) index of the class."""
    weights: NDArray[Any]
    """(candidate,)."""
    own: DrawnObjects
    """Features of the candidates themselves."""
    groups: Sequence[DrawnObjects]


def number_of_pages(candidates: DrawnCandidates, *, balanced: int, validated: bool) -> int:
    """Return the number of figures that `pages` draws, with `balanced` balanced variables."""
    parts = (candidates.own, *candidates.groups)
    features = sum(len(part.fitted.features) for part in parts)
    present = len(_present(candidates))
    return features + present * len(parts) + len(candidates.groups) + balanced + validated


def pages(
    candidates: DrawnCandidates,
    *,
    lengths: Mapping[str, int],
    spectra: Sequence[Mapping[str, Any]],
    validation: Mapping[str, Any] | None,
    sample: SampleLabel,
) -> Iterator[Page]:
    """Draw the validation, spectra, multiplicities, features and correlations.

    Args:
        candidates: of the training split.
        lengths: group -> objects of a candidate that a model keeps; may lack groups.
        spectra: the spectrum of each balanced variable, as `prepare` writes it.
        validation: report of the validation; None if there were no tests.
        sample: label of the candidates.
    Yields:
        name, figure and points.
    """
    if validation is not None:
        yield ("validation", *validation_figure(validation, sample=sample))
    # Spectra count the whole split, also where a limit selects some candidates for the rest.
    whole_split = replace(sample, selection="training split")
    for number, spectrum in enumerate(spectra):
        name = f"spectrum-{number + 1}" if len(spectra) > 1 else "spectrum"
        yield (name, *spectrum_figure(spectrum, sample=whole_split))
    for group in candidates.groups:
        name = group.fitted.name
        counts = np.bincount(group.owner, minlength=len(candidates.labels))
        drawn = multiplicity_figure(
            _by_class(candidates, counts, np.arange(len(counts))),
            group=name,
            length=lengths.get(name),
            sample=sample,
        )
        yield (f"multiplicity-{name}", *drawn)
    for part in (candidates.own, *candidates.groups):
        yield from _features(candidates, part, sample)
        yield from _correlations(candidates, part, sample)


def _features(
    candidates: DrawnCandidates, part: DrawnObjects, sample: SampleLabel
) -> Iterator[Page]:
    for column, feature in enumerate(part.fitted.features):
        name = f"{part.fitted.name}.{feature.name}"
        drawn = feature_figure(
            _by_class(candidates, part.physical[:, column], part.owner),
            _by_class(candidates, part.seen[:, column], part.owner),
            name=name,
            transform=formula(feature),
            sample=sample,
        )
        yield (f"feature-{part.fitted.name}-{feature.name}", *drawn)


def _correlations(
    candidates: DrawnCandidates, part: DrawnObjects, sample: SampleLabel
) -> Iterator[Page]:
    labels, weights = candidates.labels[part.owner], candidates.weights[part.owner]
    group = part.fitted.name
    for index in _present(candidates):
        rows, name = labels == index, candidates.classes[index]
        drawn = correlation_figure(
            correlation(part.seen[rows], weights[rows]),
            [feature.name for feature in part.fitted.features],
            title=f"{group} of {name}" if part is not candidates.own else f"candidates of {name}",
            number=int(rows.sum()),
            sample=sample,
        )
        yield (f"correlation-{group}-{name}", *drawn)


def _present(candidates: DrawnCandidates) -> list[int]:
    """Return the indices of classes that have candidates."""
    counts = np.bincount(candidates.labels, minlength=len(candidates.classes))
    return [index for index, count in enumerate(counts) if count]


def _by_class(
    candidates: DrawnCandidates, values: NDArray[Any], owner: NDArray[np.int64]
) -> dict[str, WeightedValues]:
    labels, weights = candidates.labels[owner], candidates.weights[owner]
    return {
        candidates.classes[index]: WeightedValues(values[labels == index], weights[labels == index])
        for index in _present(candidates)
    }


def formula(feature: FittedFeature) -> str:
    """Return the input of networks from a feature x as a formula: `(log10(x) − 4.1) / 0.5`."""
    transform, text = feature.transform, "x"
    if transform.divide != 1.0:
        text = f"x / {transform.divide:g}"
    if transform.abs:
        text = f"|{text}|"
    if transform.min is not None:
        text = f"max({text}, {transform.min:g})"
    if transform.max is not None:
        text = f"min({text}, {transform.max:g})"
    if transform.offset:
        text = f"{text} + {transform.offset:g}"
    if transform.log10:
        text = f"log10({text})"
    if feature.clip is not None:
        text = f"clip({text}, {feature.clip[0]:.3g}, {feature.clip[1]:.3g})"
    if (feature.shift, feature.spread) == (0.0, 1.0):
        return text
    if feature.shift == 0.0:
        return f"{text if text == 'x' else f'({text})'} / {feature.spread:.3g}"
    sign = "+" if feature.shift < 0 else "−"
    return f"({text} {sign} {abs(feature.shift):.3g}) / {feature.spread:.3g}"
