"""Train the best points of a search again on other seeds."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import DataError, UsageError
from tauopt.progress import Progress, Silent
from tauopt.study.hypermodel_check import check_in_driver
from tauopt.workflows.paths import output_folder
from tauopt.workflows.prepare import prepare

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from tauopt.study.reseeded_points import RepeatedPoints, SeedSpread
    from tauopt.study.search_events import SearchEvent
    from tauopt.study.search_setup import SearchSetup


@dataclass(frozen=True)
class ReseedResult:
    """What came of some points of a search on other seeds."""

    search: str
    name: str
    """Of the search that the trainings are."""
    objective: str
    spreads: tuple[SeedSpread, ...]
    """The largest mean first."""
    best_run_id: str
    """Of the best training of the best point; empty if there is none."""


def reseed(
    search: str | None = None,
    *,
    top: int = 3,
    seeds: int = 5,
    output: Path | None = None,
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> ReseedResult:
    """Train the best points of a search again, or go on with that.

    The trainings are ordinary trials of a search `<search>-seeds`: none is stopped early by
    others. The same call goes on with it; more `seeds` or a larger `top` add to it.

    Args:
        search: its name; None means the latest one.
        top: how many points, the best first.
        seeds: how often each is trained.
        output: output folder; None means `tauopt-output`.
        progress: is told of preparation.
        on_event: is told of every training's start, reports and end.
    Raises:
        UsageError: no such search, or nothing of it completed.
        DataError: its data are not what they were.
        Other errors as `tauopt.workflows.search.search`.
    """
    from tauopt.report.write_report import draw_search
    from tauopt.search.driver import run_search
    from tauopt.study.reseeded_points import RESEEDED_SEARCH, RepeatedPoints, best_trials, spreads
    from tauopt.study.search_events import ignore
    from tauopt.workflows.leaderboard import find_study

    place = output_folder(output).absolute()
    study = find_study(search, output=place)
    if of := study.user_attrs.get(RESEEDED_SEARCH):
        raise UsageError(f"{study.study_name} itself trains points of {of} again; name {of}")
    trials = study.get_trials(deepcopy=False)
    best = best_trials(trials, top=top)
    if not best:
        raise UsageError(f"no trial of {study.study_name} has completed, so none can be repeated")
    points = tuple(dict(trial.params) for trial in best for _ in range(seeds))
    words = ["tauopt", "reseed", study.study_name, "--top", str(top), "--seeds", str(seeds)]
    order = _order(
        study,
        RepeatedPoints(study.study_name, points),
        place=place,
        command=shlex.join([*words, *(["-o", str(output)] if output else [])]),
        progress=progress or Silent(),
    )
    ending = run_search(order, draw=draw_search, on_event=on_event or ignore)
    found = tuple(spreads(trials, ending.trials))
    return ReseedResult(
        search=study.study_name,
        name=order.name,
        objective=order.file.base.objective.first,
        spreads=found,
        best_run_id=_run_of_best(found, ending.trials, order.folder),
    )


def _order(
    study: optuna.Study, repeats: RepeatedPoints, *, place: Path, command: str, progress: Progress
) -> SearchSetup:
    """Return the order of a search that trains points of another again."""
    from tauopt.config.load import read_experiment
    from tauopt.study.mlflow_notes import dataset_input
    from tauopt.study.provenance import from_attributes
    from tauopt.study.reseeded_points import reseeded_name, reseeded_study
    from tauopt.study.search_setup import SearchSetup, search_folder
    from tauopt.study.trial_runs import EXPERIMENT
    from tauopt.workflows.search import origin_of, reports_of

    name = reseeded_name(repeats.search)
    # A sampler's seed decides the trials' seeds: another one, so that none is that of the search.
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
    file = read_experiment(
        search_folder(place, repeats.search) / EXPERIMENT,
        overrides=[f"search.sampler={{type: random, seed: {seed}}}", "search.pruner={type: none}"],
    )
    check_in_driver(file)
    dataset = prepare(file.base.data, progress=progress)
    known = from_attributes(study.user_attrs).dataset
    if dataset.manifest.digest != known:
        raise DataError(
            f"the data of {repeats.search} are not what they were: the dataset had digest "
            f"{known[:16]}, now it has {dataset.manifest.digest[:16]}; seeds can't be compared"
        )
    return SearchSetup(
        name=name,
        output=place,
        file=file,
        dataset=dataset.folder.absolute(),
        origin=origin_of(file, dataset),
        reports=reports_of(file, dataset),
        resume=reseeded_study(study) is not None,
        dataset_input=dataset_input(dataset),
        resume_command=command,
        repeats=repeats,
    )


def _run_of_best(found: Sequence[SeedSpread], again: Sequence[FrozenTrial], folder: Path) -> str:
    """Return the MLflow run of the best training of the best point."""
    from tauopt.study.trial_runs import RUN_ID, delivered_run_id
    from tauopt.training.trial_plan import trial_folder

    if not found:
        return ""
    best = next(t for t in again if t.values and t.values[0] == max(found[0].values))
    known = str(best.user_attrs.get(RUN_ID, ""))
    return known or delivered_run_id(trial_folder(folder, best.number))
