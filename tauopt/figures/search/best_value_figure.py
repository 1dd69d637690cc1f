"""Best value of a search against the number of trials and against the compute spent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tauopt.figures.figure_style import FigurePoints, SampleLabel, styled
from tauopt.figures.search.search_style import (
    BEST,
    fate_handles,
    hours_unit,
    mark_trials,
    scale_values,
    two_panels,
)
from tauopt.figures.search.trial_points import COMPLETE, TrialPoint, best_so_far


@styled
def progress_figure(
    trials: Sequence[TrialPoint], *, objective: str, held: str, sample: SampleLabel, text: str
) -> tuple[Figure, FigurePoints]:
    """Draw the best complete trial so far against trial number and against compute spent.

    A trial is drawn at its best report. Bars and band are 68 % intervals of complete trials.

    Args:
        trials: the trials of the search.
        objective: name of the first objective, larger is better.
        held: unit of `TrialPoint.spent` in hours: `core` or `GPU`.
        sample: label of the candidates on which trials are measured.
        text: N and weights.
    """
    figure, (left, right) = two_panels(sample, text=text)
    by_number = sorted(trials, key=lambda t: t.number)
    ended = sorted((t for t in trials if t.spent is not None), key=lambda t: t.spent or 0.0)
    unit, per_hour = hours_unit(max((t.spent or 0.0 for t in ended), default=0.0))
    numbers = [float(t.number) for t in by_number]
    spent = [(t.spent or 0.0) * per_hour for t in ended]
    for axes, x, shown in ((left, numbers, by_number), (right, spent, ended)):
        _steps(axes, x, shown)
        mark_trials(axes, x, shown)
    values = [end for t in trials for end in (t.value, t.low, t.high)]
    scale_values(left, values)
    left.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    left.set_xlabel("Trial")
    left.set_ylabel(f"{objective} (larger is better)")
    right.set_xlabel(f"Compute spent ({held} {unit})")
    left.set_xlim(-0.7, max(numbers, default=0.0) + 0.7)
    right.set_xlim(0.0, 1.03 * max(spent, default=1.0))
    line = Line2D([], [], color=BEST, label="best complete trial so far")
    figure.legend(
        handles=[line, *fate_handles(trials)], loc="upper left", bbox_to_anchor=(0.07, 0.94),
        ncols=6, columnspacing=1.2, handletextpad=0.4, handlelength=1.6,
    )  # fmt: skip
    return figure, _points(by_number, ended, objective=objective, held=held, text=text)


def _steps(axes: Axes, x: Sequence[float], trials: Sequence[TrialPoint]) -> None:
    """Draw the best value as steps that end at the last trial, with its band."""
    best = best_so_far(trials)
    changes = [i for i, (before, after) in enumerate(pairwise([-1, *best])) if before != after]
    for index, following in zip(changes, [*changes[1:], len(trials) - 1], strict=False):
        trial, ends = trials[best[index]], [x[index], x[following]]
        axes.plot(ends, [trial.height] * 2, color=BEST, linewidth=1.8, zorder=2)
        if following != len(trials) - 1 or best[following] != best[index]:
            upper = trials[best[following]].height
            axes.plot(
                [x[following]] * 2, [trial.height, upper], color=BEST, linewidth=1.8, zorder=2
            )
        if trial.low is not None and trial.high is not None:
            axes.fill_between(ends, trial.low, trial.high, color=BEST, alpha=0.18, linewidth=0)


def _points(
    trials: Sequence[TrialPoint],
    ended: Sequence[TrialPoint],
    *,
    objective: str,
    held: str,
    text: str,
) -> FigurePoints:
    best = best_so_far(trials)
    return {
        "note": text,
        "objective": objective,
        "trials": [
            {
                "trial": t.number, "fate": t.fate, "value": t.value, "low": t.low, "high": t.high,
                f"spent_{held}_hours": None if t.spent is None else float(f"{t.spent:.6g}"),
                "best_so_far": trials[i].value if i >= 0 else None,
            }
            for t, i in zip(trials, best, strict=True)
        ],
        "best_so_far_by_compute": [
            {"trial": t.number, "best": ended[i].number if i >= 0 else None}
            for t, i in zip(ended, best_so_far(ended), strict=True)
            if t.fate == COMPLETE
        ],
    }  # fmt: skip
