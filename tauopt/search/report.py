"""The report of a search: figures, their points, and one page with all of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.config.objective import Goal
from tauopt.durable import write_bytes
from tauopt.search.drawing import draw_front, front_name
from tauopt.search.events import Event, OnEvent
from tauopt.search.report_facts import SearchFacts, gather
from tauopt.search.report_ledger import ledger_of
from tauopt.search.report_page import Shown, page
from tauopt.search.report_tried import (
    held_of,
    knows_candidates,
    note_of,
    rungs_of,
    sample_of,
    tried_of,
)
from tauopt.search.runs import REPORT

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

PAGE = "report.html"
Draw = Callable[[], "tuple[Figure, dict[str, Any]]"]


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path
    files: tuple[Path, ...]
    """The page first, then figures and their points."""
    problems: tuple[str, ...]
    """Figures that could not be drawn, and why."""


@dataclass(frozen=True)
class _Planned:
    """A figure, and the sentence that says how to read it."""

    name: str
    title: str
    reading: str
    draw: Draw


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
        on_event(Event("note", message=f"no report: {type(error).__name__}: {error}"))
        return
    for problem in report.problems:
        on_event(Event("note", message=f"the report lacks a figure: {problem}"))
    yield from report.files


def write_report(facts: SearchFacts, folder: Path) -> Report:
    """Draw the figures of a search and write its page.

    A figure that can't be drawn is told in the log and on the page; the others are there.

    Args:
        facts: of the search.
        folder: made if missing.
    """
    from tauopt.evaluation.save import save_figure

    files: list[Path] = []
    shown: list[Shown] = []
    problems: list[str] = []
    for planned in _planned(facts):
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
            shown.append(Shown(planned.name, planned.title, planned.reading, png.read_bytes()))
    path = folder / PAGE
    text = page(facts, ledger_of(facts), figures=shown, problems=problems)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())
    return Report(path, (path, *files), tuple(problems))


def _planned(facts: SearchFacts) -> list[_Planned]:
    from tauopt.evaluation.learning_figure import learning_figure
    from tauopt.evaluation.progress_figure import progress_figure

    trials, sample, text = tried_of(facts), sample_of(facts), note_of(facts)
    objective = facts.goals[0].name
    return [
        _Planned(
            "progress",
            "Best value so far",
            "The line is the best complete trial so far, its band the 68 % interval: where it has "
            "long been flat, more trials of this space promise little.",
            lambda: progress_figure(
                trials, objective=objective, held=held_of(facts), sample=sample, text=text
            ),
        ),
        _Planned(
            "learning",
            "Learning curves",
            "Each line is a trial from report to report; those stopped at a rung end there in a "
            "mark. A curve that still rises at its end wants more epochs; crossing curves say "
            "that rungs come too early.",
            lambda: learning_figure(
                trials,
                objective=objective,
                rungs=rungs_of(facts),
                by_candidates=knows_candidates(facts),
                sample=sample,
                text=text,
            ),
        ),
        *_fronts(facts),
    ]


def _fronts(facts: SearchFacts) -> list[_Planned]:
    """Plan a figure for each objective behind the first, where trials have completed."""
    first, *others = facts.goals
    if not any(row.front for row in facts.board):
        return []
    sample, text = sample_of(facts), note_of(facts).replace("; ", "\n", 1)

    def drawing(goal: Goal) -> Draw:
        return lambda: draw_front(facts.board, (first, goal), sample=sample, text=text)

    return [
        _Planned(
            front_name(goal),
            f"Front of {first.name} and {goal.name}",
            "The steps bound what has been reached: nothing lies beyond them. Choose among the "
            "filled trials, those on the front; every other one is surpassed by one of them.",
            drawing(goal),
        )
        for goal in others
    ]
