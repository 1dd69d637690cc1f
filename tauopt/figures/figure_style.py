"""Style of all figures: the HEP style, labels, curves that also differ in grey."""

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
"""The numbers that a figure shows, as JSON values."""

LINES: tuple[dict[str, Any], ...] = (
    {"color": "#000000", "linestyle": "-"},
    {"color": "#d55e00", "linestyle": "--"},
    {"color": "#0072b2", "linestyle": "-."},
    {"color": "#009e73", "linestyle": ":"},
    {"color": "#cc79a7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#56b4e9", "linestyle": (0, (8, 2))},
    {"color": "#e69f00", "linestyle": (0, (3, 1))},
)
"""Okabe and Ito's colours, for colour-blind people; in grey they differ by their dashes."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def curve_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of a curve by its number; the pairs repeat after 49."""
    turn, place = divmod(number, len(LINES))
    return LINES[place] | {"linestyle": LINES[(place + turn) % len(LINES)]["linestyle"]}


_ONES = ("1", "1.0")
"""Expressions of unit weights."""
FIGURE_SIZE = (6.4, 5.2)
"""Width and height in inches."""
DPI = 110


@dataclass(frozen=True)
class SampleLabel:
    """The sample of a figure, as its label states it: data, selection and weights."""

    name: str
    selection: str = ""
    """For instance `validation split`."""
    weights: str = "physics weights"

    @classmethod
    def from_dataset(cls, data: Dataset, selection: str) -> SampleLabel:
        """Return the label of a selection of the data that a dataset file describes."""
        return cls(data.name, selection, weights_of(data))

    @property
    def heading(self) -> str:
        """Name and selection, as they stand above a figure."""
        return ", ".join(part for part in (self.name, self.selection) if part)


def weights_of(data: Dataset, *, balanced: bool = True) -> str:
    """Describe the weights of candidates, as figures and model cards state them.

    Args:
        data: the dataset file.
        balanced: whether its `reweight` and `proportions` were applied.
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
        # A text keeps a named family; a generic one is resolved only when the text is drawn,
        # and then in the style of the caller.
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
        # Each tick is an object, and ticks take half of the drawing time: no minor ones.
        "xtick.minor.visible": False,
        "ytick.minor.visible": False,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
    }


@contextmanager
def hep_style() -> Iterator[None]:
    """Draw in the HEP style within the block."""
    with mpl.rc_context(_style()):
        yield


def styled(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a drawing function use the HEP style, whatever style the caller has set."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with hep_style():
            return draw(*args, **kwargs)

    return drawn


def new_figure(*, rows: int = 1, size: tuple[float, float] = FIGURE_SIZE) -> tuple[Figure, Any]:
    """Return a figure outside pyplot's global state, and its axes, one above the other."""
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.14, right=0.965, bottom=0.12, top=0.925, hspace=0.06)
    return figure, axes if rows > 1 else axes[0]


def label(axes: Axes, sample: SampleLabel) -> None:
    """Write `tauopt` above `axes` at the left, and the sample at the right."""
    # Not mplhep's experiment label: it draws the whole figure twice (0.4 s).
    place: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom"}
    axes.text(0.0, 1.015, "tauopt", weight="bold", style="italic", size=15, ha="left", **place)
    axes.text(1.0, 1.015, shortened(sample.heading, 52), size=11.5, ha="right", **place)


def log_y(axes: Axes) -> None:
    """Make the y axis logarithmic; tick labels are short decimals or powers of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _decade(value)))
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _decade(value: float) -> str:
    """Return a tick label as plain text: Matplotlib's formulae draw slowly."""
    short = 1e-4 <= value < 1e5 or value <= 0
    return f"{value:g}" if short else power_of_ten(round(float(np.log10(value))))


def power_of_ten(power: int) -> str:
    """Return a power of ten as text, `10⁻³`."""
    return "10" + str(power).translate(_SUPERSCRIPTS)


def headroom(axes: Axes, *, bottom: float, top: float, free: float) -> None:
    """Set the limits of a logarithmic y axis: data up to `top`, a fraction `free` of it above."""
    height = np.log(top / bottom) / (1.0 - free)
    axes.set_ylim(bottom, bottom * float(np.exp(height)))


def note(predictions: Predictions, sample: SampleLabel) -> str:
    """Return N and weights in two lines, such as `N = 1,203 signal, 1,198 background`."""
    signal = int(predictions.is_signal.sum())
    background = (
        f" signal, {len(predictions) - signal:,} background" if predictions.has_background else ""
    )
    return f"N = {signal:,}{background}\n{sample.weights}; errors: 68 %, statistical"


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters, with an ellipsis if it was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def rounded(values: Any) -> list[Any]:
    """Return an array as nested lists of numbers with six digits, to be saved as points."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        return [rounded(row) for row in array]
    return [float(f"{value:.6g}") for value in array]
