"""Figures of a comparison of several trials: ROC curves, rejections in bins, training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tauopt.figures.figure_style import (
    LINES,
    FigurePoints,
    SampleLabel,
    label,
    new_figure,
    rounded,
    styled,
)
from tauopt.figures.panels import main_and_ratio, plain_ticks, ratio_axes, seen_unit
from tauopt.figures.performance.profile_figures import (
    TEXTS,
    choose_axes,
    series,
    x_axis,
    y_limits,
)
from tauopt.figures.performance.roc_figures import roc_ratio_figure
from tauopt.metrics.efficiency_profiles import profile
from tauopt.metrics.score_cuts import derive_prong_cuts, name_efficiencies
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.standard_metrics import PRONGS, chosen_prongs
from tauopt.metrics.variable_axes import VariableAxis

EFFICIENCY = 0.75
"""Default signal efficiency at which rejections are drawn in bins."""
VARIABLES = ("pt", "eta", "mu")
Page = tuple[str, Figure, dict[str, Any]]


def pages(
    contenders: Sequence[ScoredTrial],
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    objective: str,
    sample: SampleLabel,
    rng: np.random.Generator,
    efficiencies: Sequence[float] = (EFFICIENCY,),
) -> Iterator[Page]:
    """Draw all figures of a comparison.

    Args:
        contenders: the base and the others, on the same candidates.
        histories: name -> reports of the trial; trials without any are left out.
        objective: name of the objective in the reports.
        sample: label of the candidates.
        rng: generator for the bootstraps.
        efficiencies: signal efficiencies at which rejections are drawn in bins.
    Yields:
        name, figure and points.
    """
    if contenders[0].predictions.has_background:
        for suffix, chosen, selected in split_by_prongs(contenders, sample):
            least = min(efficiencies)
            drawn = roc_ratio_figure(chosen, sample=selected, rng=rng, base=0, least=least)
            yield f"roc{suffix}", *drawn
            for at in efficiencies:
                infix = f"_at_{at:g}" if len(efficiencies) > 1 else ""
                for name, figure, points in _in_bins(chosen, at, sample=selected, rng=rng):
                    yield f"{name}{infix}{suffix}", figure, points
    reported = {name: reports for name, reports in histories.items() if reports}
    if reported:
        yield "training", *overlaid_training(reported, objective=objective, sample=sample)


def split_by_prongs(
    contenders: Sequence[ScoredTrial], sample: SampleLabel
) -> Iterator[tuple[str, list[ScoredTrial], SampleLabel]]:
    """Yield all candidates, then those with one and with three prongs.

    Yields:
        suffix of figure names (empty, `_1p` or `_3p`), trials on these candidates, their label.
    """
    first = contenders[0].predictions
    yield "", list(contenders), sample
    for prongs in PRONGS:
        if chosen_prongs(first, prongs) is not None:
            mask = first.columns["prongs"] == prongs
            chosen = [trial.where(mask) for trial in contenders]
            selection = f"{sample.selection}, {prongs}-prong"
            yield f"_{prongs}p", chosen, replace(sample, selection=selection)


def _in_bins(
    contenders: Sequence[ScoredTrial], at: float, *, sample: SampleLabel, rng: np.random.Generator
) -> Iterator[Page]:
    """Draw rejections at one signal efficiency against each variable of the candidates."""
    at_efficiency = [_at_efficiency(trial, at) for trial in contenders]
    for axis in choose_axes(at_efficiency[0], VARIABLES, "rejection"):
        drawn = overlaid_profile(at_efficiency, axis, sample=sample, rng=rng)
        if drawn is not None:
            yield f"rejection_{axis.name}", *drawn


def _at_efficiency(trial: ScoredTrial, at: float) -> ScoredTrial:
    """Return the trial with one cut for each number of prongs, of signal efficiency `at`."""
    targets = dict.fromkeys((0, *PRONGS), name_efficiencies((at,)))
    cuts = derive_prong_cuts(trial.predictions, efficiencies=targets)
    passes = cuts.passes(trial.predictions.score, dict(trial.predictions.columns))
    return replace(trial, passes=passes)


@styled
def overlaid_profile(
    contenders: Sequence[ScoredTrial],
    axis: VariableAxis,
    *,
    sample: SampleLabel,
    rng: np.random.Generator,
) -> tuple[Figure, FigurePoints] | None:
    """Draw the background rejection of several trials in bins, and the ratios to the first.

    Args:
        contenders: each with one working point of the same signal efficiency.
        axis: bins of a spectator.
        sample: label of the candidates.
        rng: generator for the bootstrap.
    Returns:
        figure and points; None where there are no candidates.
    """
    base, *others = contenders
    rejections = profile(contenders, axis, "rejection", rng=rng)
    if rejections.empty:
        return None
    ratios = {
        other.name: next(iter(profile([other, base], axis, "rejection", rng=rng).ratios.values()))
        for other in others
    }
    (point,) = base.passes
    text = (
        f"N = {int(rejections.counts.sum()):,} background, at {point} signal efficiency\n"
        f"{sample.weights}; errors: 68 %, statistical"
    )
    figure, main, below = main_and_ratio(ratio=True)
    for number, (name, bins) in enumerate(rejections.values.items()):
        look: dict[str, Any] = {"number": number - 1, "hollow": number > 0, "aside": number}
        series(main, axis, bins[point], text=name, **look)
        if below is not None and name in ratios:
            series(below, axis, ratios[name], text="", **look)
    if below is not None:
        ratio_axes(below, [ratio for bins in ratios.values() for ratio in bins], to=base.name)
    y_limits(main, rejections)
    x_axis(below or main, axis)
    main.set_ylabel(TEXTS["rejection"])
    main.legend(loc="upper center", title=text, fontsize=9.5, ncols=min(3, len(contenders)))
    figure.align_ylabels()
    label(main, sample)
    plain = {
        name: [ratio.triple if ratio else None for ratio in bins] for name, bins in ratios.items()
    }
    return figure, {"note": text, **rejections.as_json(), "ratios": {"to": base.name, "of": plain}}


@styled
def overlaid_training(
    histories: Mapping[str, Sequence[Mapping[str, float]]], *, objective: str, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw validation loss and objective of several trials against the candidates seen.

    Args:
        histories: name -> reports with `candidates_seen`, `val_loss` and perhaps the objective.
        objective: its name in the reports.
        sample: label of the data.
    """
    figure, (above, below) = new_figure(rows=2)
    points: FigurePoints = {"objective": objective, "trials": {}}
    most = {key: _largest(histories, key) for key in ("candidates_seen", "val_loss", objective)}
    unit, divisor = seen_unit(most["candidates_seen"])
    for number, (name, reports) in enumerate(histories.items()):
        columns = {
            key: np.array([float(report.get(key, np.nan)) for report in reports])
            for key in ("candidates_seen", "val_loss", objective)
        }
        x = columns["candidates_seen"] / divisor
        above.plot(x, columns["val_loss"], label=name, **LINES[number])
        below.plot(x, columns[objective], **LINES[number])
        points["trials"][name] = {
            key: [None if not np.isfinite(v) else v for v in rounded(values)]
            for key, values in columns.items()
        }
    plain_ticks(above, "y", most=most["val_loss"], text="Validation loss")
    plain_ticks(below, "y", most=most[objective], text=objective)
    plain_ticks(below, "x", most=most["candidates_seen"] / divisor, text=unit)
    above.legend(loc="upper right")
    above.margins(x=0.03, y=0.25)
    figure.align_ylabels()
    label(above, replace(sample, selection="training"))
    return figure, points


def _largest(histories: Mapping[str, Sequence[Mapping[str, float]]], name: str) -> float:
    every = [abs(report.get(name, 0.0)) for reports in histories.values() for report in reports]
    return max((value for value in every if np.isfinite(value)), default=0.0)
