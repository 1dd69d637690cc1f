"""Validation of a prepared dataset: are p-values of chunks against their split uniform?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tauopt.figures.figure_style import LINES, MARKERS, FigurePoints, SampleLabel, rounded, styled
from tauopt.figures.panels import PLAIN, pair_of_panels, title

BINS = 20
_NAMED = 3
"""Number of smallest p-values that are written with the names of their tests."""
_LEAST = 1e-16
"""Smallest p-value that is drawn."""


@styled
def validation_figure(
    report: Mapping[str, Any], *, sample: SampleLabel
) -> tuple[Figure, FigurePoints]:
    """Draw the p-values of all tests: their distribution, and sorted against expected ones.

    Args:
        report: report of the validation, as `prepare` writes it.
        sample: label of the dataset.
    Raises:
        ValueError: the report holds no tests.
    """
    by_split = {split: _p_values(tests["p"]) for split, tests in report["splits"].items()}
    by_split = {split: named for split, named in by_split.items() if named}
    if not by_split:
        raise ValueError("expected a validation report with tests, got none")
    figure, (left, right) = pair_of_panels()
    edges = np.linspace(0.0, 1.0, BINS + 1)
    points: FigurePoints = {"tests": report["tests"], "edges": rounded(edges), "splits": {}}
    for number, (split, named) in enumerate(by_split.items()):
        p = np.array([value for value, _ in named])
        share = np.histogram(p, edges)[0] / len(p)
        left.stairs(share, edges, label=split, linewidth=1.5, **LINES[number % len(LINES)])
        _tail(right, p, number)
        points["splits"][split] = {"share": rounded(share), "p": rounded(np.sort(p))}
    left.axhline(1 / BINS, color="#777777", linewidth=1, zorder=0)
    left.set_xlim(0, 1)
    left.set_ylim(0, 1.3 * max(max(split["share"]) for split in points["splits"].values()))
    left.set_xlabel("p-value of a test", fontsize=12)
    left.set_ylabel(f"Fraction of tests in 1/{BINS}")
    left.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    left.yaxis.set_major_formatter(PLAIN)
    _tail_axes(right, by_split, level=report["level"] / report["tests"])
    _headings(figure, left, right, report=report, sample=sample)
    return figure, points


def _p_values(variables: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Return all p-values of a split with the variable and part tested, smallest first."""
    return sorted(
        (p, f"{variable}, {part}")
        for variable, tests in variables.items()
        for parts in tests.values()
        for part, p in parts.items()
    )


def _tail(axes: Axes, p: NDArray[np.float64], number: int) -> None:
    """Draw sorted p-values against those expected of as many independent tests."""
    expected = (np.arange(len(p)) + 0.5) / len(p)
    axes.plot(
        expected, np.maximum(p, _LEAST), marker=MARKERS[number % len(MARKERS)], markersize=4,
        linestyle="none", color=LINES[number % len(LINES)]["color"], fillstyle="none",
    )  # fmt: skip


def _tail_axes(
    axes: Axes, by_split: Mapping[str, list[tuple[float, str]]], *, level: float
) -> None:
    """Mark the smallest p-value expected by chance, and p-values that fail the validation."""
    first = 0.5 / max(map(len, by_split.values()))
    lowest = max(_LEAST, min(named[0][0] for named in by_split.values()))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([first, 1], [first, 1], color="#777777", linewidth=1, zorder=0)
    axes.axhspan(_LEAST / 100, level, color="#dddddd", zorder=0, linewidth=0)
    axes.text(0.97, level / 1.5, "refused", ha="right", va="top", fontsize=10.5)
    axes.set_xlim(first / 1.5, 1.2)
    axes.set_ylim(min(lowest, level) / 10, 1.5)
    axes.set_xlabel("p-value expected by chance, in this order", fontsize=12)
    axes.set_ylabel("p-value found")


def _headings(
    figure: Figure, left: Axes, right: Axes, *, report: Mapping[str, Any], sample: SampleLabel
) -> None:
    splits = report["splits"].values()
    candidates = sum(sum(split["candidates"].values()) for split in splits)
    parts = sum(len(split["candidates"]) for split in splits)
    named = sorted(pair for split in splits for pair in _p_values(split["p"]))
    smallest = "\n".join(f"{p:.2g}: {test}" for p, test in named[:_NAMED])
    right.text(0.97, 0.3, smallest, transform=right.transAxes, ha="right", va="bottom", fontsize=8)
    handles, names = left.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.935),
        ncols=3,
        title=(
            f"N = {candidates:,} in {parts} parts, each against the rest of its split; "
            f"{report['tests']:,} tests with weights and without;\n"
            "many variables are correlated, so p-values scatter more than independent ones"
        ),
        fontsize=10.5,
        title_fontsize=9.5,
    )
    title(figure, (left, right), heading=f"{sample.name}, all splits")
