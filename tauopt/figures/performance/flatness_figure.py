"""Flatness of the signal efficiency of each working point in bins of a variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tauopt.figures.figure_style import DPI, LINES, MARKERS, FigurePoints, SampleLabel, styled
from tauopt.figures.panels import triples
from tauopt.figures.performance.profile_figures import x_axis
from tauopt.metrics.binned_counts import binned_efficiencies, count_by_bin, estimate_columns
from tauopt.metrics.efficiency_profiles import count_working_points
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.variable_axes import VariableAxis
from tauopt.physics.p_values import chi_square_tail


@dataclass(frozen=True)
class Flatness:
    """Ratios of the efficiency of one working point in bins to that over all bins.

    Attributes:
        bins: [bin] ratios; None in a bin without signal.
        chi_square: chi-square of the ratios against one.
        freedom: degrees of freedom, bins less one.
        largest: largest absolute deviation from one.
    """

    bins: list[Estimate | None]
    chi_square: float
    freedom: int
    largest: float

    @property
    def p_value(self) -> float:
        """The probability of a chi-square at least as large if the efficiency is flat."""
        return chi_square_tail(self.chi_square, self.freedom)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            **estimate_columns(self.bins),
            "chi_square": float(f"{self.chi_square:.6g}"),
            "freedom": self.freedom,
            "p_value": float(f"{self.p_value:.6g}"),
            "largest": float(f"{self.largest:.6g}"),
        }


def flatness(
    trial: ScoredTrial, axis: VariableAxis, *, rng: np.random.Generator
) -> dict[str, Flatness]:
    """Test how flat the signal efficiency of each working point is.

    The error of a ratio is that of the efficiency in the bin; the error of the overall efficiency
    is neglected.

    Args:
        trial: with decisions of working points.
        axis: bins of a spectator.
        rng: generator for the bootstrap.
    Returns:
        flatness by name of the working point.
    """
    signal = trial.predictions.is_signal
    in_bins = binned_efficiencies(count_working_points([trial], axis, signal), rng=rng)
    passes = np.stack(list(trial.passes.values()), axis=1)[signal]
    counts = count_by_bin(passes, trial.predictions.weights[signal])
    overall = binned_efficiencies(counts, rng=rng)[0]
    return {
        name: _flatness([row[i] for row in in_bins], overall[i])
        for i, name in enumerate(trial.passes)
    }


def _flatness(bins: Sequence[Estimate | None], overall: Estimate | None) -> Flatness:
    if overall is None or not overall.value > 0:
        return Flatness([None] * len(bins), 0.0, 0, 0.0)
    whole = overall.value
    ratios = [
        None if bin_ is None else Estimate(bin_.value / whole, bin_.low / whole, bin_.high / whole)
        for bin_ in bins
    ]
    known = triples([ratio for ratio in ratios if ratio is not None])
    error = np.maximum((known[:, 2] - known[:, 1]) / 2, 1e-9)
    pulls = (known[:, 0] - 1.0) / error
    return Flatness(
        ratios,
        chi_square=float(np.sum(pulls**2)),
        freedom=max(len(known) - 1, 0),
        largest=float(np.abs(known[:, 0] - 1.0).max(initial=0.0)),
    )


@styled
def flatness_figure(
    contenders: Sequence[ScoredTrial],
    axes: Sequence[VariableAxis],
    *,
    sample: SampleLabel,
    rng: np.random.Generator,
) -> tuple[Figure, FigurePoints]:
    """Draw the efficiency in bins over that of all bins: rows are variables, columns trials.

    Args:
        contenders: the trial and perhaps its reference, with decisions of working points.
        axes: the variables with their bins.
        sample: label of the candidates.
        rng: generator for the bootstraps.
    """
    figure, panels = _panels(len(axes), len(contenders))
    signal = int(contenders[0].predictions.is_signal.sum())
    text = f"N = {signal:,} signal; {sample.weights}; errors: 68 %, statistical"
    points: FigurePoints = {"note": text, "variables": {}}
    for row, axis in zip(panels, axes, strict=True):
        points["variables"][axis.name] = {"edges": axis.edges.tolist(), "contenders": {}}
        low, high = 1.0, 1.0
        for panel, trial in zip(row, contenders, strict=True):
            by_name = flatness(trial, axis, rng=rng)
            points["variables"][axis.name]["contenders"][trial.name] = {
                name: flat.as_json() for name, flat in by_name.items()
            }
            _draw(panel, axis, by_name, title=trial.name)
            known = triples([b for flat in by_name.values() for b in flat.bins if b is not None])
            low = min(low, known[:, 1].min(initial=1.0))
            high = max(high, known[:, 2].max(initial=1.0))
        for panel in row:
            panel.set_ylim(max(0.0, low - 0.04), high + 0.75 * (high - low) + 0.02)
    for panel in panels[:, 0]:
        panel.set_ylabel("Efficiency / overall", fontsize=12)
    figure.text(0.5, 0.012, text, ha="center", va="bottom", fontsize=10)
    left, right = panels[0, 0].get_position().x0, panels[0, -1].get_position().x1
    top = panels[0, 0].get_position().y1 + 0.08 / figure.get_figheight()
    figure.text(left, top, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, top, sample.heading, size=11.5, ha="right")
    return figure, points


def _panels(rows: int, columns: int) -> tuple[Figure, Any]:
    width = 6.4 if columns == 1 else 10.5
    height = 1.1 + 2.9 * rows
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row", sharex="row")
    figure.subplots_adjust(
        left=0.9 / width, right=1 - 0.25 / width, bottom=0.95 / height, top=1 - 0.42 / height,
        hspace=0.33, wspace=0.09,
    )  # fmt: skip
    return figure, panels


def _draw(panel: Axes, axis: VariableAxis, by_name: dict[str, Flatness], *, title: str) -> None:
    half = [axis.centres - axis.drawn[:-1], axis.drawn[1:] - axis.centres]
    for number, (name, flat) in enumerate(by_name.items()):
        value, low, high = triples(flat.bins).T
        style = LINES[(number + 1) % len(LINES)]
        panel.errorbar(
            axis.centres, value, xerr=half, yerr=[value - low, high - value],
            fmt=MARKERS[number % len(MARKERS)], color=style["color"], markersize=4.5,
            elinewidth=1.1, linestyle="none",
            label=f"{name}: χ²/{flat.freedom} = {flat.chi_square / max(flat.freedom, 1):.1f}",
        )  # fmt: skip
    panel.axhline(1.0, color="#777777", linewidth=1.0, zorder=0)
    x_axis(panel, axis)
    panel.legend(loc="upper center", ncols=2, fontsize=9.5, title=title, columnspacing=1.0)
