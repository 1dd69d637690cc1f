"""Timeline of a search: which trial ran when, and the times without a driver."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tauopt.figures.figure_style import FigurePoints, SampleLabel, label, new_figure, styled
from tauopt.figures.search.search_style import hours_unit
from tauopt.figures.search.trial_points import COMPLETE, CONFIRMING, FAILED, PRUNED, UNFINISHED

CUT = "cut off"
"""Outcome of a bar that did not end its trial."""
READY = "getting ready"
"""Outcome of the time in which the network is built, at the begin of a bar."""
_LOOKS: dict[str, dict[str, Any]] = {
    COMPLETE: {"facecolor": "#4d4d4d", "edgecolor": "white"},
    PRUNED: {"facecolor": "#c4c4c4", "edgecolor": "white"},
    FAILED: {"facecolor": "#d55e00", "edgecolor": "white", "hatch": "xxxx"},
    UNFINISHED: {"facecolor": "#009e73", "edgecolor": "white", "hatch": "...."},
    CONFIRMING: {"facecolor": "#0072b2", "edgecolor": "white"},
    CUT: {"facecolor": "#56b4e9", "edgecolor": "white", "hatch": "////"},
    READY: {"facecolor": "white", "edgecolor": "#8c8c8c"},
}
_WIDTH_OF_NAME = 0.016
"""Part of the axes' width that two digits of a trial's number need."""
_NAMED = 16
"""Largest number of slots with a tick label."""
_HEIGHT = 0.78


@dataclass(frozen=True)
class WorkerBar:
    """A trial's time with one worker.

    Attributes:
        trial: number of the trial.
        begin, ready, end: seconds; when the worker got it, when its network was built, when it
            ended.
        outcome: the trial's fate if this bar ended it, else `cut off`.
    """

    trial: int
    begin: float
    ready: float
    end: float
    outcome: str


@dataclass(frozen=True)
class DriverLife:
    """The life of one driver of a search.

    Attributes:
        begin, end: seconds.
        is_closed: whether it stopped by itself, or still runs; else it was killed.
    """

    begin: float
    end: float
    is_closed: bool


def slots_of(bars: Sequence[WorkerBar]) -> list[int]:
    """Return a row for each bar, so that no two bars in a row overlap, with fewest rows.

    There is no record of which worker ran a trial; there are as many rows as trials that ran at the
    same time.

    Returns:
        (bar,) rows from 0; a bar takes the lowest that is free when it begins.
    """
    slots, free, busy = [0] * len(bars), list[int](), list[tuple[float, int]]()
    for index in sorted(range(len(bars)), key=lambda i: (bars[i].begin, bars[i].end)):
        while busy and busy[0][0] <= bars[index].begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        slots[index] = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (bars[index].end, slots[index]))
    return slots


class DriverClock:
    """Clock that runs only while a driver runs: time between two drivers counts nothing."""

    def __init__(self, lives: Sequence[DriverLife]) -> None:
        """Take the lives of the drivers, in order."""
        self._lives = lives

    def at(self, time: float) -> float:
        """Return the seconds up to `time` in which a driver ran."""
        return sum(max(0.0, min(time, life.end) - life.begin) for life in self._lives)


@styled
def timeline_figure(
    bars: Sequence[WorkerBar], driver_lives: Sequence[DriverLife], *, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw a bar for each time of a trial with a worker; trials at the same time are in rows.

    Time between two drivers is cut out; a line there states how long it was and why.

    Args:
        bars: the bars of all trials.
        driver_lives: lives of the drivers, in order; if empty, one life as long as all bars.
        sample: label of the data.
    """
    lives = list(driver_lives) or [DriverLife(0.0, 1.0, True)]
    if not driver_lives and bars:
        lives = [DriverLife(min(bar.begin for bar in bars), max(bar.end for bar in bars), True)]
    clock, slots = DriverClock(lives), slots_of(bars)
    total = clock.at(max([life.end for life in lives] + [bar.end for bar in bars])) or 1.0
    unit, per_hour = hours_unit(total / 3600)
    scale = per_hour / 3600
    rows = max(slots, default=0) + 1
    figure, axes = _axes(rows, has_interruptions=len(lives) > 1)
    axes.set_xlim(0.0, 1.01 * total * scale)
    _draw_bars(axes, bars, slots, at=lambda time: clock.at(time) * scale)
    _draw_interruptions(axes, lives, at=lambda time: clock.at(time) * scale)
    axes.set_ylim(rows - 0.4, -0.6)
    every = max(1, math.ceil(rows / _NAMED))
    axes.set_yticks(range(0, rows, every), [str(row + 1) for row in range(0, rows, every)])
    axes.set_ylabel("Slot")
    axes.set_xlabel(f"Time in which a driver ran ({unit})")
    outcomes = {bar.outcome for bar in bars} | {READY}
    axes.legend(
        handles=[Patch(label=name, **look) for name, look in _LOOKS.items() if name in outcomes],
        loc="lower left", bbox_to_anchor=(0.085, 1.0), borderaxespad=0.2, ncols=6, fontsize=10,
        columnspacing=1.2, handlelength=1.4,
    )  # fmt: skip
    label(axes, sample)
    begun = lives[0].begin
    return figure, {
        "unit": "seconds since the first driver began",
        "drivers": [
            {"begin": _plain(d.begin - begun), "end": _plain(d.end - begun), "closed": d.is_closed}
            for d in lives
        ],
        "bars": [
            {
                "trial": bar.trial, "slot": slot + 1, "outcome": bar.outcome,
                "begin": _plain(bar.begin - begun), "ready": _plain(bar.ready - begun),
                "end": _plain(bar.end - begun),
            }
            for bar, slot in zip(bars, slots, strict=True)
        ],
    }  # fmt: skip


def _axes(rows: int, *, has_interruptions: bool) -> tuple[Figure, Axes]:
    height = min(max(1.6 + 0.42 * rows, 3.6 if has_interruptions else 2.6), 9.0)
    figure, axes = new_figure(size=(10.4, height))
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.62 / height, top=1 - 0.45 / height)
    axes.tick_params(axis="y", length=0, which="both")
    return figure, axes


def _draw_bars(axes: Axes, bars: Sequence[WorkerBar], slots: Sequence[int], *, at: Any) -> None:
    width = axes.get_xlim()[1]
    groups: dict[tuple[int, str], list[WorkerBar]] = {}  # bars drawn by one call
    for bar, slot in zip(bars, slots, strict=True):
        groups.setdefault((slot, bar.outcome), []).append(bar)
    for (slot, outcome), group in groups.items():
        place = (slot - _HEIGHT / 2, _HEIGHT)
        ready = [(at(bar.begin), at(bar.ready) - at(bar.begin)) for bar in group]
        spans = [(at(bar.ready), at(bar.end) - at(bar.ready)) for bar in group]
        axes.broken_barh(ready, place, linewidth=0.5, zorder=2, **_LOOKS[READY])
        axes.broken_barh(spans, place, linewidth=0.5, zorder=3, **_LOOKS[outcome])
        for bar, (start, length) in zip(group, spans, strict=True):
            if length > _WIDTH_OF_NAME * width * len(str(bar.trial)) / 2:
                _write(axes, start + length / 2, slot, bar)


def _write(axes: Axes, x: float, y: float, bar: WorkerBar) -> None:
    is_dark, has_hatch = bar.outcome == COMPLETE, "hatch" in _LOOKS[bar.outcome]
    back = {"facecolor": "white", "edgecolor": "none", "pad": 0.8} if has_hatch else None
    axes.text(
        x, y, str(bar.trial), color="white" if is_dark else "black", fontsize=8.5, ha="center",
        va="center", zorder=4, bbox=back, clip_on=True,
    )  # fmt: skip


def _draw_interruptions(axes: Axes, lives: Sequence[DriverLife], *, at: Any) -> None:
    for before, after in pairwise(lives):
        place = at(before.end)
        axes.axvline(place, color="#d55e00", linewidth=1.4, linestyle=(0, (4, 2)), zorder=5)
        how = "stopped" if before.is_closed else "killed"
        back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0}
        axes.text(
            place, 0.015, f" {how}, resumed {_duration(after.begin - before.end)} later",
            transform=axes.get_xaxis_transform(), color="#a04600", fontsize=9, rotation=90,
            va="bottom", ha="right", zorder=6, bbox=back,
        )  # fmt: skip


def _duration(seconds: float) -> str:
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{max(seconds, 0.0):.0f} s"


def _plain(seconds: float) -> float:
    return float(f"{seconds:.9g}")
