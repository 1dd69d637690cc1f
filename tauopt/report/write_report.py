"""Write the report of a search: figures, their points, and one page with all of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.dataset.manifest import read_manifest
from tauopt.durable import write_bytes
from tauopt.report.compute_cost import compute_cost
from tauopt.report.report_page import PageFigure, render_page
from tauopt.report.search_record import SearchRecord, gather
from tauopt.study.search_events import OnEvent, SearchEvent
from tauopt.study.trial_runs import FIGURES, REPORT

if TYPE_CHECKING:
    import optuna

    from tauopt.config.settings.experiment import Experiment
    from tauopt.config.settings.objective import Goal
    from tauopt.study.leaderboard_rows import LeaderboardRow
    from tauopt.study.search_setup import SearchSetup

logger = logging.getLogger(__name__)

PAGE = "report.html"


@dataclass(frozen=True)
class SearchReport:
    """The files of a report."""

    page: Path
    files: tuple[Path, ...]
    """The page first, then figures and their points."""
    problems: tuple[str, ...]
    """Figures that could not be drawn, and why."""


def draw_search(
    study: optuna.Study,
    setup: SearchSetup,
    leaderboard: Sequence[LeaderboardRow],
    on_event: OnEvent,
) -> Iterator[tuple[Path, str]]:
    """Draw a search whose driver is ending: the fronts of several objectives, and the report.

    Args:
        study: study of the search.
        setup: what was searched, and where.
        leaderboard: trials of the search.
        on_event: called with a note for each thing that could not be written.
    Yields:
        each file, with its folder in the search's MLflow run.
    """
    experiment, dataset = setup.file.base, setup.dataset
    for file in write_fronts(leaderboard, setup.folder, experiment=experiment, dataset=dataset):
        yield file, FIGURES
    for file in write_final_report(study, setup.folder, on_event=on_event):
        yield file, REPORT


def write_fronts(
    leaderboard: Sequence[LeaderboardRow], folder: Path, *, experiment: Experiment, dataset: Path
) -> list[Path]:
    """Draw the first objective against each other one, with the Pareto front of the two.

    Args:
        leaderboard: trials of the search.
        folder: folder of the search; the files go into its folder of figures.
        experiment: its objectives, task and data are used.
        dataset: folder of the prepared dataset.
    Returns:
        `front-<objective>.png` and its points as JSON for each objective behind the first; empty
        if there are no others, or no complete trials.
    """
    first, *others = experiment.objective.goals
    if not others or not any(row.front for row in leaderboard):
        return []
    from tauopt.figures.figure_style import SampleLabel
    from tauopt.figures.save_figure import save_figure
    from tauopt.report.report_figures import draw_front, front_name

    sample = SampleLabel.from_dataset(experiment.data, "validation split")
    files: list[Path] = []
    for goal in others:
        text = _front_note(experiment, dataset, goal, weights=sample.weights)
        figure, points = draw_front(leaderboard, (first, goal), sample=sample, text=text)
        files += save_figure(figure, points, folder / FIGURES, name=front_name(goal))
    return files


def _front_note(experiment: Experiment, dataset: Path, goal: Goal, *, weights: str) -> str:
    """Return N, weights and meaning of errors, for the label of a front."""
    counts = read_manifest(dataset).splits["validation"].counts
    classes = experiment.task.classes
    sums = {name: sum(counts[c] for c in members) for name, members in classes.items()}
    signal = sum(sums[name] for name in experiment.task.signal)
    lines = [
        f"N = {signal:,} signal, {sum(sums.values()) - signal:,} background",
        f"{weights}; errors: 68 %, statistical",
    ]
    if goal.name.startswith("latency"):
        lines.append("latency on one core: median and 68 % of the repeats")
    return "\n".join(lines)


def write_final_report(study: optuna.Study, folder: Path, *, on_event: OnEvent) -> Iterator[Path]:
    """Write the report of a search whose driver is ending, and yield its files.

    Args:
        study: study of the search.
        folder: folder of the search.
        on_event: called with a note for each thing that could not be written.
    """
    try:
        record = gather(study, folder, now=time.time(), driver="ends")
        report = write_report(record, folder / REPORT)
    except Exception as error:  # the outcome of the search does not depend on its report
        logger.warning("no report of search %s", study.study_name, exc_info=error)
        on_event(SearchEvent("note", message=f"no report: {type(error).__name__}: {error}"))
        return
    for problem in report.problems:
        on_event(SearchEvent("note", message=f"the report lacks a figure: {problem}"))
    yield from report.files


def write_report(record: SearchRecord, folder: Path) -> SearchReport:
    """Draw the figures of a search and write its page.

    A figure that can't be drawn is named in the log and on the page; the others are drawn.

    Args:
        record: record of the search.
        folder: folder of page, figures and points; made if missing.
    """
    from tauopt.figures.save_figure import save_figure
    from tauopt.report.report_figures import plan

    files: list[Path] = []
    figures: list[PageFigure] = []
    problems: list[str] = []
    for planned in plan(record):
        try:
            figure, points = planned.draw()
            png, points_file = save_figure(figure, points, folder, name=planned.name)
        except Exception as error:
            problem = f"{planned.title}: {type(error).__name__}: {error}"
            logger.warning("report of search %s lacks a figure: %s", record.name, problem)
            logger.info("traceback of the figure that failed", exc_info=error)
            problems.append(problem)
        else:
            files += [png, points_file]
            figures.append(PageFigure(planned.title, planned.reading, png.read_bytes()))
    text = render_page(record, compute_cost(record), figures=figures, problems=problems)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    write_bytes(page, text.encode())
    return SearchReport(page, (page, *files), tuple(problems))
