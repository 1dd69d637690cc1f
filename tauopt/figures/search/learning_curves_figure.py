"""Learning curves of all trials of a search, with the rungs at which the pruner decided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tauopt.figures.figure_style import (
    FigurePoints,
    SampleLabel,
    label,
    new_figure,
    rounded,
    styled,
)
from tauopt.figures.panels import seen_unit
from tauopt.figures.search.search_style import (
    BEST,
    LOOKS,
    fate_handles,
    mark_style,
    scale_values,
)
from tauopt.figures.search.trial_points import (
    COMPLETE,
    FAILED,
    PRUNED,
    REPEATED,
    UNFINISHED,
    TrialPoint,
    best_of,
)

_SIZE = (7.6, 5.2)
_MANY = 200
"""Number of curves of one fate above which their marks are small."""


@styled
def learning_figure(
    trials: Sequence[TrialPoint],
    *,
    objective: str,
    rungs: Sequence[float],
    by_candidates: bool,
    sample: SampleLabel,
    text: str,
) -> tuple[Figure, FigurePoints]:
    """Draw the first objective of each trial at each of its reports.

    A star marks the report that counts of the best trial; its band is the 68 % interval.

    Args:
        trials: the trials of the search; repeated ones, which were not trained, are left out.
        objective: name of the first objective, larger is better.
        rungs: where the pruner decided, in the unit of `TrialPoint.seen`.
        by_candidates: whether `TrialPoint.seen` counts candidates; else it counts reports.
        sample: label of the candidates on which trials are measured.
        text: N and weights.
    """
    figure, axes = new_figure(size=_SIZE)
    trained = [t for t in trials if t.values and t.fate != REPEATED]
    most = max((max(t.seen) for t in trained), default=0.0)
    unit, divisor = "Report", 1.0
    if by_candidates:
        unit, divisor = seen_unit(most, text="Candidates seen in training, all epochs")
    best = best_of(trained)
    for rung in rungs:
        axes.axvline(
            rung / divisor, ymax=0.8, color="#56b4e9", linestyle=":", linewidth=1.1, zorder=1
        )
    for fate in (PRUNED, FAILED, UNFINISHED, COMPLETE):
        _curves(axes, [t for t in trained if t.fate == fate and t is not best], fate, divisor)
    if best is not None:
        _best(axes, best, divisor)
    ends = [end for pair in (best.intervals if best else ()) for end in pair]
    scale_values(axes, [*(v for t in trained for v in t.values), *ends], free=0.24)
    if not by_candidates:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(0.0, 1.04 * most / divisor if most else 1.0)
    axes.set_xlabel(unit)
    axes.set_ylabel(f"{objective} (larger is better)")
    _legend(axes, trained, best, has_rungs=bool(rungs), text=text)
    label(axes, sample)
    return figure, {
        "note": text,
        "objective": objective,
        "x": "candidates seen" if by_candidates else "report",
        "rungs": rounded(rungs),
        "trials": [
            {"trial": t.number, "fate": t.fate, "x": rounded(t.seen), "values": rounded(t.values)}
            for t in trained
        ],
    }


def _curves(axes: Axes, trials: Sequence[TrialPoint], fate: str, divisor: float) -> None:
    """Draw the curves of one fate; those of incomplete trials end in a mark."""
    lines = [np.column_stack([np.array(t.seen) / divisor, t.values]) for t in trials]
    colour = LOOKS[fate]["color"]
    axes.add_collection(
        LineCollection(lines, colors=colour, linewidths=1.0, alpha=0.75, label=fate, zorder=2)
    )
    if fate != COMPLETE and lines:
        x, y = np.array([line[-1] for line in lines]).T
        axes.plot(x, y, **mark_style(fate, size=5.0 if len(lines) <= _MANY else 3.2))


def _best(axes: Axes, trial: TrialPoint, divisor: float) -> None:
    x = np.array(trial.seen) / divisor
    axes.plot(x, trial.values, color=BEST, linewidth=2.4, zorder=4)
    # The report whose weights are kept: not always that of the largest value.
    kept = int(np.argmin(np.abs(np.array(trial.values) - trial.height)))
    axes.plot(x[kept], trial.values[kept], "*", color=BEST, markersize=13, zorder=5)
    if trial.intervals:
        low, high = np.array(trial.intervals).T
        axes.fill_between(x, low, high, color=BEST, alpha=0.18, linewidth=0)


def _legend(
    axes: Axes, trials: Sequence[TrialPoint], best: TrialPoint | None, *, has_rungs: bool, text: str
) -> None:
    handles = fate_handles(trials)
    for handle in handles:
        if COMPLETE in str(handle.get_label()):  # complete curves have no mark
            handle.set(marker="", linestyle="-", linewidth=1.0)
    if best is not None:
        best_text = f"best: {best.name}, {best.value:.4g}"
        star = Line2D([], [], color=BEST, label=best_text, marker="*", ms=11, linewidth=2.4)
        handles.insert(0, star)
    if has_rungs:
        handles.append(Line2D([], [], color="#56b4e9", linestyle=":", label="rungs"))
    axes.legend(
        handles=handles, loc="upper right", title=text, alignment="right", ncols=5,
        columnspacing=1.1, handletextpad=0.4, handlelength=1.6,
    )  # fmt: skip
