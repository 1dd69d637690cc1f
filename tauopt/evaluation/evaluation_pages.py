"""All figures of an evaluation, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tauopt.evaluation.contender import Contender
from tauopt.evaluation.roc_figures import roc_ratio_figure
from tauopt.evaluation.style import Sample
from tauopt.evaluation.summary import PRONGS, chosen_prongs

Page = tuple[str, Figure, dict[str, Any]]


def pages(
    contenders: Sequence[Contender], *, sample: Sample, rng: np.random.Generator
) -> Iterator[Page]:
    """Draw all figures.

    Args:
        contenders: the trial and perhaps its reference, decided, on the same candidates.
        sample: what they are, for the labels.
        rng: of the bootstraps.
    Yields:
        name, figure and points.
    """
    yield from _rocs(contenders, sample=sample, rng=rng)


def _rocs(
    contenders: Sequence[Contender], *, sample: Sample, rng: np.random.Generator
) -> Iterator[Page]:
    first = contenders[0].predictions
    if not first.has_background:
        return
    yield "roc", *roc_ratio_figure(contenders, sample=sample, rng=rng)
    for prongs in PRONGS:
        if chosen_prongs(first, prongs) is not None:
            chosen = [one.where(first.columns["prongs"] == prongs) for one in contenders]
            of_these = Sample(sample.name, f"{sample.selection}, {prongs}-prong", sample.weights)
            yield f"roc_{prongs}p", *roc_ratio_figure(chosen, sample=of_these, rng=rng)
