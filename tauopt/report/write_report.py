"""The report of a search: figures, their points, and one page with all of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.durable import write_bytes
from tauopt.report.compute_cost import ledger_of
from tauopt.report.report_page import PageFigure, page
from tauopt.report.search_record import SearchRecord, gather
from tauopt.study.search_events import OnEvent, SearchEvent
from tauopt.study.trial_runs import FIGURES, REPORT

if TYPE_CHECKING:
    import optuna

    from tauopt.study.leaderboard_rows import LeaderboardRow
    from tauopt.study.search_setup import SearchSetup

logger = logging.getLogger(__name__)

PAGE = "report.html"


@dataclass(frozen=True)
class SearchReport:
    """What was written."""

    page: Path
    files: tuple[Path, ...]
    """The page first, then figures and their points."""
    problems: tuple[str, ...]
    """Figures that could not be drawn, and why."""


def draw_search(
    study: optuna.Study, order: SearchSetup, board: Sequence[LeaderboardRow], on_event: OnEvent
) -> Iterator[tuple[Path, str]]:
    """Draw a search whose driver winds up: the fronts of several objectives, and the report.

    Args:
        study, order: of the search.
        board: its trials.
        on_event: is told what could not be written.
    Yields:
        each file with its folder in the search's MLflow run.
    """
    from tauopt.report.report_figures import write_fronts

    experiment, dataset = order.file.base, order.dataset
    for file in write_fronts(board, order.folder, experiment=experiment, dataset=dataset):
        yield file, FIGURES
    for file in report_in_the_end(study, order.folder, on_event=on_event):
        yield file, REPORT


def report_in_the_end(study: optuna.Study, folder: Path, *, on_event: OnEvent) -> Iterator[Path]:
    """Write the report of a search whose driver winds up, and yield its files.

    Whatever goes wrong is told, and leaves the search's outcome as it is.

    Args:
        study: of the search.
        folder: of the search.
        on_event: is told what could not be written.
    """
    try:
        facts = gather(study, folder, now=time.time(), driver="ends")
        report = write_report(facts, folder / REPORT)
    except Exception as error:
        logger.warning("no report of search %s", study.study_name, exc_info=error)
        on_event(SearchEvent("note", message=f"no report: {type(error).__name__}: {error}"))
        return
    for problem in report.problems:
        on_event(SearchEvent("note", message=f"the report lacks a figure: {problem}"))
    yield from report.files


def write_report(facts: SearchRecord, folder: Path) -> SearchReport:
    """Draw the figures of a search and write its page.

    A figure that can't be drawn is told in the log and on the page; the others are there.

    Args:
        facts: of the search.
        folder: made if missing.
    """
    from tauopt.figures.save_figure import save_figure
    from tauopt.report.report_figures import plan

    files: list[Path] = []
    shown: list[PageFigure] = []
    problems: list[str] = []
    for planned in plan(facts):
        try:
            figure, points = planned.draw()
            png, points_file = save_figure(figure, points, folder, name=planned.name)
        except Exception as error:
            problem = f"{planned.title}: {type(error).__name__}: {error}"
            logger.warning("report of search %s: no figure of %s", facts.name, problem)
            logger.info("its traceback", exc_info=error)
            problems.append(problem)
        else:
            files += [png, points_file]
            shown.append(PageFigure(planned.title, planned.reading, png.read_bytes()))
    path = folder / PAGE
    text = page(facts, ledger_of(facts), figures=shown, problems=problems)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())
    return SearchReport(path, (path, *files), tuple(problems))
