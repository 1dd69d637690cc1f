"""Figures -> files: a PNG, and beside it the JSON of its points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tauopt.durable import write_json, write_with
from tauopt.evaluation.style import hep_style


def save_figure(
    figure: Figure, points: dict[str, Any], folder: Path, *, name: str, pdf: bool = False
) -> list[Path]:
    """Write `<name>.png` and `<name>.json` (and `<name>.pdf` if asked) into `folder`.

    Args:
        figure: as the functions of `figures` return it.
        points: what it shows; without NaN.
        folder: made if missing.
        name: file name without suffix.
        pdf: for papers; slower.
    Returns:
        the files, each whole under its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png", *([folder / f"{name}.pdf"] if pdf else [])]
    with hep_style():  # ticks are made when the figure is drawn
        for path in files:
            write_with(path, figure.savefig)
    write_json(folder / f"{name}.json", points)
    return [*files, folder / f"{name}.json"]
