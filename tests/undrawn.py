"""Figures cost much: trials go without where tests claim nothing of them, others are unrendered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from tauopt.training import trial_results

_REALLY = trial_results.write_figures
_RENDERED = Figure.savefig


@contextmanager
def without_figures() -> Iterator[None]:
    """Let trials end with an empty folder of figures."""

    def leave_out(predictions: Any, folder: Path, **_: Any) -> None:
        folder.mkdir(exist_ok=True)

    with _with(trial_results, write_figures=leave_out):
        yield


@contextmanager
def with_figures() -> Iterator[None]:
    """Let trials draw their figures after all."""
    with _with(trial_results, write_figures=_REALLY):
        yield


@contextmanager
def unrendered() -> Iterator[None]:
    """Let figures be drawn and their files be written, without their pictures."""

    def empty(figure: Figure, to: Any, **options: Any) -> None:
        if isinstance(to, PdfPages):
            _RENDERED(Figure(figsize=(1, 1)), to, **options)
        else:
            to.write_bytes(b"a figure")

    with _with(Figure, savefig=empty):
        yield


@contextmanager
def rendered() -> Iterator[None]:
    """Let figures be rendered after all."""
    with _with(Figure, savefig=_RENDERED):
        yield


@contextmanager
def _with(owner: Any, **functions: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, function in functions.items():
            patch.setattr(owner, name, function)
        yield
