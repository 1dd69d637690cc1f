"""The objective against each hyperparameter of a search, one panel each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from tauopt.figures.figure_style import FigurePoints, SampleLabel, new_figure, styled
from tauopt.figures.panels import title
from tauopt.figures.search.parameter_axis import ChoiceAxis, ParameterAxis, spread
from tauopt.figures.search.parameter_names import short_names
from tauopt.figures.search.search_style import BEST, mark_trials, scale_values, signs, where
from tauopt.figures.search.trial_points import REPEATED, TrialPoint, best_of

_COLUMNS = 4
_PANEL = (2.75, 2.45)
"""Inches."""
_LONG = 24
"""Characters of a panel's choices beyond which they are written aslant."""
_SPREAD = 0.16
"""Of marks at one choice, to either side."""


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
        trials: of the search; repeated ones are left out.
        axes: of the parameters that are shown, in order; one at least.
        objective: its name, larger is better.
        sample: what trials are judged on, for the label.
        text: what to say of N and weights.
    """
    own = [t for t in trials if t.fate != REPEATED and t.value is not None]
    columns = min(len(axes), _COLUMNS)
    rows = math.ceil(len(axes) / columns)
    figure, panels = _panels(rows, columns)
    names, best = short_names(axis.path for axis in axes), best_of(own)
    points: FigurePoints = {"note": text, "objective": objective, "parameters": {}}
    for index, (panel, axis) in enumerate(zip(panels, axes, strict=False)):
        active = [t for t in own if axis.path in t.params]
        _panel(panel, axis, active, best)
        _write_count(panel, len(active), len(own))
        panel.set_xlabel(names[axis.path] + _kind(axis), fontsize=10.5, labelpad=3)
        points["parameters"][axis.path] = [
            {"trial": t.number, "fate": t.fate, "x": t.params[axis.path], "value": t.value}
            for t in active
        ]
        if index % columns == 0:
            panel.set_ylabel(objective, fontsize=11)
        else:
            panel.tick_params(labelleft=False)
    for panel in panels:
        scale_values(panel, [end for t in own for end in (t.value, t.low, t.high)], free=0.12)
        panel.tick_params(labelsize=9, length=4, which="major")
        panel.tick_params(length=2, which="minor")
    for panel in panels[len(axes) :]:
        panel.set_visible(False)
    _head(figure, panels[:columns], own, sample=sample, text=text)
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
    """Write every other text only, but both ends, where all would run into each other."""
    if sum(map(len, texts)) <= _LONG:
        return
    last = len(texts) - 1
    shown = [t if i in (0, last) or (i % 2 == 0 and i < last - 1) else "" for i, t in
             enumerate(texts)]  # fmt: skip
    panel.xaxis.set_major_formatter(FixedFormatter(shown))


def places_of(axis: ParameterAxis, trials: Sequence[TrialPoint]) -> list[float]:
    """Return where trials stand: at their value, or about the number of their choice."""
    values = [t.params[axis.path] for t in trials]
    if not isinstance(axis, ChoiceAxis):
        return [float(value) for value in values]
    steps = len(axis.choices) - 1
    offsets = spread(len(trials))
    return [
        (axis.position(value) * steps if steps else 0.0) + _SPREAD * offset
        for value, offset in zip(values, offsets, strict=True)
    ]


def _kind(axis: ParameterAxis) -> str:
    return "" if isinstance(axis, ChoiceAxis) or not axis.log else " (log)"


def _write_count(panel: Axes, active: int, every: int) -> None:
    if active < every:
        panel.text(
            0.97, 0.97, f"active in {active} of {every}", transform=panel.transAxes, fontsize=8.5,
            ha="right", va="top", style="italic",
        )  # fmt: skip


def _head(
    figure: Figure,
    panels: Sequence[Axes],
    trials: Sequence[TrialPoint],
    *,
    sample: SampleLabel,
    text: str,
) -> None:
    height = figure.get_figheight()
    title(figure, panels, where="")
    for shown in figure.texts:
        shown.set_y(1 - 0.36 / height)
    right = 1 - 0.15 / figure.get_figwidth()
    figure.text(right, 1 - 0.36 / height, where(sample), size=11.5, ha="right")
    figure.text(right, 1 - 0.6 / height, text, size=9, ha="right")
    figure.legend(
        handles=signs(trials), loc="upper left", fontsize=10, borderaxespad=0.0, ncols=5,
        bbox_to_anchor=(panels[0].get_position().x0, 1 - 0.66 / height), handletextpad=0.2,
        columnspacing=1.0,
    )  # fmt: skip
