"""Slices: the objective against each hyperparameter of a search, one panel for each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from tauopt.figures.figure_style import FigurePoints, SampleLabel, new_figure, styled
from tauopt.figures.search.parameter_axis import ChoiceAxis, ParameterAxis, spread
from tauopt.figures.search.parameter_names import short_names
from tauopt.figures.search.search_style import BEST, fate_handles, mark_trials, scale_values
from tauopt.figures.search.trial_points import REPEATED, TrialPoint, best_of

_COLUMNS = 4
_PANEL = (2.75, 2.45)
"""Width and height of a panel, in inches."""
_LONG = 24
"""Characters of all tick labels beyond which choices are slanted and numbers thinned out."""
_SPREAD = 0.16
"""Largest shift of a mark from its choice, in distances between choices."""


@styled
def slice_figure(
    trials: Sequence[TrialPoint],
    axes: Sequence[ParameterAxis],
    *,
    objective: str,
    sample: SampleLabel,
    text: str,
) -> tuple[Figure, FigurePoints]:
    """Draw trials in the plane of each parameter and the first objective.

    A panel holds the trials in which its parameter is active; marks at one choice are spread.
    Bars are 68 % intervals of complete trials; a star marks the best one.

    Args:
        trials: the trials of the search; repeated ones are left out.
        axes: axes of the shown parameters, in order; at least one.
        objective: name of the first objective, larger is better.
        sample: label of the candidates on which trials are measured.
        text: N and weights.
    """
    shown = [t for t in trials if t.fate != REPEATED and t.value is not None]
    columns = min(len(axes), _COLUMNS)
    rows = math.ceil(len(axes) / columns)
    figure, panels = _panels(rows, columns)
    names, best = short_names(axis.path for axis in axes), best_of(shown)
    points: FigurePoints = {"note": text, "objective": objective, "parameters": {}}
    for index, (panel, axis) in enumerate(zip(panels, axes, strict=False)):
        active = [t for t in shown if axis.path in t.params]
        _panel(panel, axis, active, best)
        _write_count(panel, len(active), len(shown))
        log = "" if isinstance(axis, ChoiceAxis) or not axis.log else " (log)"
        panel.set_xlabel(names[axis.path] + log, fontsize=10.5, labelpad=3)
        points["parameters"][axis.path] = [
            {"trial": t.number, "fate": t.fate, "x": t.params[axis.path], "value": t.value}
            for t in active
        ]
        if index % columns == 0:
            panel.set_ylabel(objective, fontsize=11)
        else:
            panel.tick_params(labelleft=False)
    for panel in panels:
        scale_values(panel, [end for t in shown for end in (t.value, t.low, t.high)], free=0.12)
        panel.tick_params(labelsize=9, length=4, which="major")
        panel.tick_params(length=2, which="minor")
    for panel in panels[len(axes) :]:
        panel.set_visible(False)
    _write_heading(figure, panels[:columns], shown, sample=sample, text=text)
    return figure, points


def _panels(rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    width, height = max(_PANEL[0] * columns + 0.9, 6.6), _PANEL[1] * rows + 1.0
    figure, alone = new_figure(size=(width, height))
    alone.remove()
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    figure.subplots_adjust(
        left=0.8 / width, right=1 - 0.15 / width, bottom=0.55 / height, top=1 - 1.0 / height,
        wspace=0.08, hspace=0.36,
    )  # fmt: skip
    return figure, panels


def _panel(
    panel: Axes, axis: ParameterAxis, trials: Sequence[TrialPoint], best: TrialPoint | None
) -> None:
    x = places_of(axis, trials)
    mark_trials(panel, x, trials)
    for at, trial in zip(x, trials, strict=True):
        if trial is best:
            panel.plot(at, best.height, "*", color=BEST, markersize=12, zorder=5)
    if isinstance(axis, ChoiceAxis):
        panel.set_xlim(-0.5, len(axis.choices) - 0.5)
        names = [text for _, text in axis.ticks()]
        panel.set_xticks(range(len(names)), names, fontsize=9)
        if sum(map(len, names)) > _LONG:
            for text in panel.get_xticklabels():
                text.set(rotation=25, ha="right", rotation_mode="anchor")
        return
    if axis.log:
        panel.set_xscale("log")
        room = (axis.high / axis.low) ** 0.06
        panel.set_xlim(axis.low / room, axis.high * room)
    else:
        room = 0.06 * (axis.high - axis.low) or 0.5
        panel.set_xlim(axis.low - room, axis.high + room)
    values, texts = zip(*axis.ticks(), strict=True)
    panel.xaxis.set_major_locator(FixedLocator(values))
    panel.xaxis.set_major_formatter(FixedFormatter(texts))
    panel.xaxis.set_minor_locator(NullLocator())
    _thin(panel, texts)


def _thin(panel: Axes, texts: Sequence[str]) -> None:
    """Label every other tick, and both ends, where all labels would overlap."""
    if sum(map(len, texts)) <= _LONG:
        return
    last = len(texts) - 1
    thinned = [t if i in (0, last) or (i % 2 == 0 and i < last - 1) else "" for i, t in
             enumerate(texts)]  # fmt: skip
    panel.xaxis.set_major_formatter(FixedFormatter(thinned))


def places_of(axis: ParameterAxis, trials: Sequence[TrialPoint]) -> list[float]:
    """Return x of trials: their value, or the number of their choice with a small shift."""
    values = [t.params[axis.path] for t in trials]
    if not isinstance(axis, ChoiceAxis):
        return [float(value) for value in values]
    steps = len(axis.choices) - 1
    offsets = spread(len(trials))
    return [
        (axis.position(value) * steps if steps else 0.0) + _SPREAD * offset
        for value, offset in zip(values, offsets, strict=True)
    ]


def _write_count(panel: Axes, active: int, total: int) -> None:
    if active < total:
        panel.text(
            0.97, 0.97, f"active in {active} of {total}", transform=panel.transAxes, fontsize=8.5,
            ha="right", va="top", style="italic",
        )  # fmt: skip


def _write_heading(
    figure: Figure,
    panels: Sequence[Axes],
    trials: Sequence[TrialPoint],
    *,
    sample: SampleLabel,
    text: str,
) -> None:
    height = figure.get_figheight()
    left, right = panels[0].get_position().x0, 1 - 0.15 / figure.get_figwidth()
    figure.text(left, 1 - 0.36 / height, "tauopt", weight="bold", style="italic", size=15)
    figure.text(right, 1 - 0.36 / height, sample.heading, size=11.5, ha="right")
    figure.text(right, 1 - 0.6 / height, text, size=9, ha="right")
    figure.legend(
        handles=fate_handles(trials), loc="upper left", fontsize=10, borderaxespad=0.0, ncols=5,
        bbox_to_anchor=(left, 1 - 0.66 / height), handletextpad=0.2,
        columnspacing=1.0,
    )  # fmt: skip
