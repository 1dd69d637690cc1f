"""How flat the efficiency of each working point is in a variable."""

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
from tauopt.metrics.binned_counts import cells_of, columns_of, efficiencies
from tauopt.metrics.efficiency_profiles import binned
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.variable_axes import VariableAxis
from tauopt.physics.p_values import chi_square_tail


@dataclass(frozen=True)
class Flatness:
    """The efficiency of one working point in bins, over that of all bins.

    Attributes:
        bins: ratio in each bin; None where there is nothing.
        chi_square: of the ratios against one.
        freedom: its degrees of freedom: bins less one.
        largest: the largest deviation from one.
    """

    bins: list[Estimate | None]
    chi_square: float
    freedom: int
    largest: float

    @property
    def p_value(self) -> float:
        """The chance that a flat efficiency scatters as much."""
        return chi_square_tail(self.chi_square, self.freedom)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            **columns_of(self.bins),
            "chi_square": float(f"{self.chi_square:.6g}"),
            "freedom": self.freedom,
            "p_value": float(f"{self.p_value:.6g}"),
            "largest": float(f"{self.largest:.6g}"),
        }


def flatness(
    one: ScoredTrial, axis: VariableAxis, *, rng: np.random.Generator
) -> dict[str, Flatness]:
    """Return how flat the signal efficiency of each working point is, by name.

    The error of a bin is that of its efficiency; that of all bins together is not in it.

    Args:
        one: decided.
        axis: of a spectator.
        rng: of the bootstrap.
    """
    signal = one.predictions.is_signal
    found = efficiencies(binned([one], axis, signal), rng=rng)
    passes = np.stack(list(one.passes.values()), axis=1)[signal]
    whole = efficiencies(cells_of(passes, one.predictions.weights[signal]), rng=rng)[0]
    return {
        name: _against([row[i] for row in found], whole[i]) for i, name in enumerate(one.passes)
    }


def _against(bins: Sequence[Estimate | None], whole: Estimate | None) -> Flatness:
    if whole is None or not whole.value > 0:
        return Flatness([None] * len(bins), 0.0, 0, 0.0)
    ratios = [
        None
        if one is None
        else Estimate(one.value / whole.value, one.low / whole.value, one.high / whole.value)
        for one in bins
    ]
    known = triples([one for one in ratios if one is not None])
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
    """Draw the efficiency in bins over that of all bins: a row a variable, a column a contender.

    Args:
        contenders: decided.
        axes: variables.
        sample: what the candidates are.
        rng: of the bootstraps.
    """
    figure, panels = _panels(len(axes), len(contenders))
    signal = int(contenders[0].predictions.is_signal.sum())
    text = f"N = {signal:,} signal; {sample.weights}; errors: 68 %, statistical"
    points: FigurePoints = {"note": text, "variables": {}}
    for row, axis in zip(panels, axes, strict=True):
        points["variables"][axis.name] = {"edges": axis.edges.tolist(), "contenders": {}}
        low, high = 1.0, 1.0
        for panel, one in zip(row, contenders, strict=True):
            found = flatness(one, axis, rng=rng)
            points["variables"][axis.name]["contenders"][one.name] = {
                name: value.as_json() for name, value in found.items()
            }
            _draw(panel, axis, found, title=one.name)
            known = triples([b for value in found.values() for b in value.bins if b is not None])
            low = min(low, known[:, 1].min(initial=1.0))
            high = max(high, known[:, 2].max(initial=1.0))
        for panel in row:
            panel.set_ylim(max(0.0, low - 0.04), high + 0.75 * (high - low) + 0.02)
    for panel in panels[:, 0]:
        panel.set_ylabel("Efficiency / overall", fontsize=12)
    figure.text(0.5, 0.012, text, ha="center", va="bottom", fontsize=10)
    where = ", ".join(part for part in (sample.name, sample.selection) if part)
    left, right = panels[0, 0].get_position().x0, panels[0, -1].get_position().x1
    top = panels[0, 0].get_position().y1 + 0.08 / figure.get_figheight()
    figure.text(left, top, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, top, where, size=11.5, ha="right")
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


def _draw(panel: Axes, axis: VariableAxis, found: dict[str, Flatness], *, title: str) -> None:
    half = [axis.centres - axis.drawn[:-1], axis.drawn[1:] - axis.centres]
    for number, (name, one) in enumerate(found.items()):
        value, low, high = triples(one.bins).T
        style = LINES[(number + 1) % len(LINES)]
        panel.errorbar(
            axis.centres, value, xerr=half, yerr=[value - low, high - value],
            fmt=MARKERS[number % len(MARKERS)], color=style["color"], markersize=4.5,
            elinewidth=1.1, linestyle="none",
            label=f"{name}: χ²/{one.freedom} = {one.chi_square / max(one.freedom, 1):.1f}",
        )  # fmt: skip
    panel.axhline(1.0, color="#777777", linewidth=1.0, zorder=0)
    x_axis(panel, axis)
    panel.legend(loc="upper center", ncols=2, fontsize=9.5, title=title, columnspacing=1.0)
