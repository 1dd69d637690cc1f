"""How all figures look: the HEP style, labels, colours that also differ in grey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tauopt.config.settings.dataset import Dataset
from tauopt.metrics.predictions import Predictions

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

FigurePoints = dict[str, Any]
"""What a figure shows, as numbers that JSON knows."""

LINES: tuple[dict[str, Any], ...] = (
    {"color": "#000000", "linestyle": "-"},
    {"color": "#d55e00", "linestyle": "--"},
    {"color": "#0072b2", "linestyle": "-."},
    {"color": "#009e73", "linestyle": ":"},
    {"color": "#cc79a7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#56b4e9", "linestyle": (0, (8, 2))},
    {"color": "#e69f00", "linestyle": (0, (3, 1))},
)
"""Okabe and Ito's colours, for colour-blind people; in grey the dashes tell them apart."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def curve_style(number: int) -> dict[str, Any]:
    """Return the look of a curve, by its number; colour and dashes repeat after 49 together."""
    turn, place = divmod(number, len(LINES))
    return LINES[place] | {"linestyle": LINES[(place + turn) % len(LINES)]["linestyle"]}


_ONES = ("1", "1.0")
"""Expressions of a weight that is none."""
FIGURE_SIZE = (6.4, 5.2)
"""Inches."""
DPI = 110


@dataclass(frozen=True)
class SampleLabel:
    """What a figure shows, as it says on it: which data, which of it, weighted how."""

    name: str
    selection: str = ""
    """For instance `validation split`."""
    weights: str = "physics weights"

    @classmethod
    def of(cls, data: Dataset, selection: str) -> SampleLabel:
        """Return part of the sample that a dataset file describes."""
        return cls(data.name, selection, weights_of(data))


def weights_of(data: Dataset, *, balanced: bool = True) -> str:
    """Say what the weights of candidates are.

    Args:
        data: the dataset file.
        balanced: whether they were balanced as it says.
    """
    plain = all(sample.weight.strip() in _ONES for sample in data.samples.values())
    text = "unweighted" if plain else "physics weights"
    if balanced and data.reweight is not None:
        axes = data.reweight.axes
        variables = " and ".join(axis.expression or name for name, axis in axes.items())
        text = f"weighted to one spectrum of {variables}"
    shares = ", classes in set proportions" if balanced and data.proportions else ""
    sign = ", signs left out" if data.negative_weights == "absolute" and not plain else ""
    return text + shares + sign


@lru_cache(maxsize=1)
def _style() -> dict[str, Any]:
    return dict(mplhep.style.ATLAS) | {
        # A family by name stays with the text; a generic one is looked up when it is drawn.
        "font.family": ["TeX Gyre Heros", "DejaVu Sans"],
        "font.size": 12,
        "axes.labelsize": 14,
        "axes.labelpad": 5,
        "legend.fontsize": 11,
        "legend.title_fontsize": 10,
        "xtick.labelsize": 12,
        "ytick.labelsize": 12,
        "xtick.major.pad": 6,
        "ytick.major.size": 8,
        "ytick.minor.size": 4,
        "lines.linewidth": 1.6,
        "figure.figsize": FIGURE_SIZE,
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        "text.usetex": False,
        # Every tick is an object of its own and half of a figure's time: keep those that help.
        "xtick.minor.visible": False,
        "ytick.minor.visible": False,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
    }


@contextmanager
def hep_style() -> Iterator[None]:
    """Draw in the HEP style for the length of the block."""
    with mpl.rc_context(_style()):
        yield


def styled(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make `draw` a function that draws in the HEP style, whatever the caller's own."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with hep_style():
            return draw(*args, **kwargs)

    return drawn


def new_figure(*, rows: int = 1, size: tuple[float, float] = FIGURE_SIZE) -> tuple[Figure, Any]:
    """Return a figure that no global state knows of, and its axes, one above the other."""
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.14, right=0.965, bottom=0.12, top=0.925, hspace=0.06)
    return figure, axes if rows > 1 else axes[0]


def label(axes: Axes, sample: SampleLabel) -> None:
    """Write who made the figure above `axes` at the left, and of which data at the right.

    As mplhep's label for experiments does, without its two drawings of the whole figure (0.4 s).
    """
    where = ", ".join(part for part in (sample.name, sample.selection) if part)
    place: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom"}
    axes.text(0.0, 1.015, "tauopt", weight="bold", style="italic", size=15, ha="left", **place)
    axes.text(1.0, 1.015, shortened(where, 52), size=11.5, ha="right", **place)


def log_y(axes: Axes) -> None:
    """Make the y axis logarithmic, with numbers at its ticks, short ones as they are."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _decade(value)))
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _decade(value: float) -> str:
    """Return a power of ten in few letters, and quicker than Matplotlib's text of formulae."""
    short = 1e-4 <= value < 1e5 or value <= 0
    return f"{value:g}" if short else power_of_ten(round(float(np.log10(value))))


def power_of_ten(power: int) -> str:
    """Return for instance `10⁻³`."""
    return "10" + str(power).translate(_RAISED)


def headroom(axes: Axes, *, bottom: float, top: float, free: float) -> None:
    """Set the limits of a logarithmic y axis: data up to `top`, a fraction `free` above it."""
    height = np.log(top / bottom) / (1.0 - free)
    axes.set_ylim(bottom, bottom * float(np.exp(height)))


def note(predictions: Predictions, sample: SampleLabel) -> str:
    """Return the lines that say N and weights: `N = 1,203 signal, 1,198 background`."""
    signal = int(predictions.is_signal.sum())
    background = (
        f" signal, {len(predictions) - signal:,} background" if predictions.has_background else ""
    )
    return f"N = {signal:,}{background}\n{sample.weights}; errors: 68 %, statistical"


def shortened(text: str, most: int) -> str:
    """Return a text of so many letters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def rounded(values: Any) -> list[Any]:
    """Return an array as lists of numbers with six digits: the points that are saved."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        return [rounded(row) for row in array]
    return [float(f"{value:.6g}") for value in array]
