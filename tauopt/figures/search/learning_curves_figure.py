"""The learning curves of all trials of a search, with the rungs at which it stopped some."""

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
from tauopt.figures.search.search_style import BEST, LOOKS, look, scale_values, signs, where
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
"""Curves of one fate from which their marks are small."""


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
        trials: of the search; repeated ones, which were not trained, are left out.
        objective: its name, larger is better.
        rungs: where the pruner decided, in the unit of `TrialPoint.seen`.
        by_candidates: `TrialPoint.seen` counts candidates; else reports.
        sample: what trials are judged on, for the label.
        text: what to say of N and weights.
    """
    figure, axes = new_figure(size=_SIZE)
    own = [t for t in trials if t.values and t.fate != REPEATED]
    most = max((max(t.seen) for t in own), default=0.0)
    unit, divisor = _unit(most) if by_candidates else ("Report", 1.0)
    best = best_of(own)
    for rung in rungs:
        axes.axvline(
            rung / divisor, ymax=0.8, color="#56b4e9", linestyle=":", linewidth=1.1, zorder=1
        )
    for fate in (PRUNED, FAILED, UNFINISHED, COMPLETE):
        _curves(axes, [t for t in own if t.fate == fate and t is not best], fate, divisor)
    if best is not None:
        _best(axes, best, divisor)
    ends = [end for pair in (best.intervals if best else ()) for end in pair]
    scale_values(axes, [*(v for t in own for v in t.values), *ends], free=0.24)
    if not by_candidates:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(0.0, 1.04 * most / divisor if most else 1.0)
    axes.set_xlabel(unit)
    axes.set_ylabel(f"{objective} (larger is better)")
    _legend(axes, own, best, has_rungs=bool(rungs), text=text)
    label(axes, SampleLabel(where(sample)))
    return figure, {
        "note": text,
        "objective": objective,
        "x": "candidates seen" if by_candidates else "report",
        "rungs": rounded(rungs),
        "trials": [
            {"trial": t.number, "fate": t.fate, "x": rounded(t.seen), "values": rounded(t.values)}
            for t in own
        ],
    }


def _curves(axes: Axes, trials: Sequence[TrialPoint], fate: str, divisor: float) -> None:
    """Draw the curves of one fate; those that did not complete end in a mark."""
    lines = [np.column_stack([np.array(t.seen) / divisor, t.values]) for t in trials]
    colour = LOOKS[fate]["color"]
    axes.add_collection(
        LineCollection(lines, colors=colour, linewidths=1.0, alpha=0.75, label=fate, zorder=2)
    )
    if fate != COMPLETE and lines:
        x, y = np.array([line[-1] for line in lines]).T
        axes.plot(x, y, **look(fate, size=5.0 if len(lines) <= _MANY else 3.2))


def _best(axes: Axes, trial: TrialPoint, divisor: float) -> None:
    x = np.array(trial.seen) / divisor
    axes.plot(x, trial.values, color=BEST, linewidth=2.4, zorder=4)
    top = int(np.argmax(trial.values))
    axes.plot(x[top], trial.values[top], "*", color=BEST, markersize=13, zorder=5)
    if trial.intervals:
        low, high = np.array(trial.intervals).T
        axes.fill_between(x, low, high, color=BEST, alpha=0.18, linewidth=0)


def _unit(most: float) -> tuple[str, float]:
    for name, divisor in (("billions", 1e9), ("millions", 1e6), ("thousands", 1e3)):
        if most >= divisor:
            return f"Candidates seen in training, all epochs ({name})", divisor
    return "Candidates seen in training, all epochs", 1.0


def _legend(
    axes: Axes, trials: Sequence[TrialPoint], best: TrialPoint | None, *, has_rungs: bool, text: str
) -> None:
    handles = signs(trials)
    for sign in handles:
        if COMPLETE in str(sign.get_label()):
            sign.set(marker="", linestyle="-", linewidth=1.0)
    if best is not None:
        text_of_best = f"best: {best.name}, {best.value:.4g}"
        star = Line2D([], [], color=BEST, label=text_of_best, marker="*", ms=11, linewidth=2.4)
        handles.insert(0, star)
    if has_rungs:
        handles.append(Line2D([], [], color="#56b4e9", linestyle=":", label="rungs"))
    axes.legend(
        handles=handles, loc="upper right", title=text, alignment="right", ncols=5,
        columnspacing=1.1, handletextpad=0.4, handlelength=1.6,
    )  # fmt: skip
