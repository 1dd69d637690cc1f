"""Save figures: a PNG with its points as JSON beside it; many figures also as one PDF."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from tauopt.durable import write_json, write_with
from tauopt.figures.figure_style import hep_style


def save_figure(
    figure: Figure, points: dict[str, Any], folder: Path, *, name: str, pdf: bool = False
) -> list[Path]:
    """Write `<name>.png` and `<name>.json` (with `pdf` also `<name>.pdf`) into `folder`.

    Args:
        figure: as the functions of `figures` return it.
        points: the numbers that it shows; without NaN.
        folder: made if missing.
        name: file name without suffix.
        pdf: also as PDF, for papers; slower.
    Returns:
        the files, each written atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png", *([folder / f"{name}.pdf"] if pdf else [])]
    with hep_style():  # ticks are created when the figure is drawn, in the style of that time
        for path in files:
            write_with(path, figure.savefig)
    write_json(folder / f"{name}.json", points)
    return [*files, folder / f"{name}.json"]


def save_book(
    figures: Iterable[tuple[str, Figure, dict[str, Any]]], folder: Path, *, name: str
) -> list[Path]:
    """Write each figure as `save_figure` does, and all of them as pages of `<name>.pdf`.

    Args:
        figures: name, figure and points of each; drawn one after another.
        folder: made if missing.
        name: name of the PDF, without suffix.
    Returns:
        the files, the PDF first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []

    def write_pages(path: Path) -> None:
        with PdfPages(path, metadata={"CreationDate": None}) as pages:  # reproducible bytes
            for page, figure, points in figures:
                files.extend(save_figure(figure, points, folder, name=page))
                with hep_style():
                    pages.savefig(figure)

    book = folder / f"{name}.pdf"
    write_with(book, write_pages)
    return [book, *files]
