"""Train the best points of a search again with other seeds: their seed-to-seed spread."""

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
    """Spread of the objective over seeds, for some points of a search."""

    search: str
    name: str
    """Name of the search whose trials the trainings are."""
    objective: str
    spreads: tuple[SeedSpread, ...]
    """One for each point, the largest mean first."""
    best_run_id: str
    """MLflow run of the best training of the best point; empty if there is none."""


def reseed(
    search: str | None = None,
    *,
    top: int = 3,
    seeds: int = 5,
    output: Path | None = None,
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> ReseedResult:
    """Train the best points of a search again, or resume that.

    The trainings are ordinary trials of a search `<search>-seeds`, in which no trial is pruned.
    The same call resumes it; more `seeds` or a larger `top` add to it.

    Args:
        search: its name; None means the latest one.
        top: number of points, the best first.
        seeds: number of trainings of each point.
        output: output folder; None means `tauopt-output`.
        progress: receives the progress of preparation.
        on_event: called with each event of a training: start, report, end.
    Raises:
        UsageError: no such search, or no trial of it completed.
        DataError: its data have changed.
        Other errors as `tauopt.workflows.search.search`.
    """
    from tauopt.report.write_report import draw_search
    from tauopt.search.driver import run_search
    from tauopt.study.best_first import best_first
    from tauopt.study.reseeded_points import RESEEDED_SEARCH, RepeatedPoints, spreads
    from tauopt.study.search_events import ignore
    from tauopt.workflows.leaderboard import find_study

    output_path = output_folder(output).absolute()
    study = find_study(search, output=output_path)
    if of := study.user_attrs.get(RESEEDED_SEARCH):
        raise UsageError(f"{study.study_name} itself trains points of {of} again; name {of}")
    trials = study.get_trials(deepcopy=False)
    best = best_first(trials)[:top]
    if not best:
        raise UsageError(f"no trial of {study.study_name} has completed, so none can be repeated")
    points = tuple(dict(trial.params) for trial in best for _ in range(seeds))
    words = ["tauopt", "reseed", study.study_name, "--top", str(top), "--seeds", str(seeds)]
    setup = _setup(
        study,
        RepeatedPoints(study.study_name, points),
        output=output_path,
        command=shlex.join([*words, *(["-o", str(output)] if output else [])]),
        progress=progress or Silent(),
    )
    outcome = run_search(setup, draw=draw_search, on_event=on_event or ignore)
    seed_spreads = tuple(spreads(trials, outcome.trials))
    return ReseedResult(
        search=study.study_name,
        name=setup.name,
        objective=setup.file.base.objective.first,
        spreads=seed_spreads,
        best_run_id=_best_run_id(seed_spreads, outcome.trials, setup.folder),
    )


def _setup(
    study: optuna.Study, repeats: RepeatedPoints, *, output: Path, command: str, progress: Progress
) -> SearchSetup:
    """Set up a search that trains points of another search again, on the same data."""
    from tauopt.config.load import read_experiment
    from tauopt.study.mlflow_notes import dataset_input
    from tauopt.study.provenance import from_attributes
    from tauopt.study.reseeded_points import reseeded_name, reseeded_study
    from tauopt.study.search_setup import SearchSetup, search_folder
    from tauopt.study.trial_runs import EXPERIMENT
    from tauopt.workflows.search import origin_of, reports_of

    name = reseeded_name(repeats.search)
    # The sampler's seed determines the trials' seeds. This one differs from the search's, so that
    # no training repeats a seed.
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
    file = read_experiment(
        search_folder(output, repeats.search) / EXPERIMENT,
        overrides=[f"search.sampler={{type: random, seed: {seed}}}", "search.pruner={type: none}"],
    )
    check_in_driver(file)
    dataset = prepare(file.base.data, progress=progress)
    recorded = from_attributes(study.user_attrs).dataset
    if dataset.manifest.digest != recorded:
        raise DataError(
            f"the data of {repeats.search} have changed: the dataset had digest {recorded[:16]}, "
            f"now it has {dataset.manifest.digest[:16]}; seeds can't be compared"
        )
    return SearchSetup(
        name=name,
        output=output,
        file=file,
        dataset=dataset.folder.absolute(),
        origin=origin_of(file, dataset),
        reports=reports_of(file, dataset),
        resume=reseeded_study(study) is not None,
        dataset_input=dataset_input(dataset),
        resume_command=command,
        repeats=repeats,
    )


def _best_run_id(
    seed_spreads: Sequence[SeedSpread], trials: Sequence[FrozenTrial], folder: Path
) -> str:
    """Return the MLflow run of the best training of the best point; empty if there is none."""
    from tauopt.study.trial_runs import RUN_ID, delivered_run_id
    from tauopt.training.trial_plan import trial_folder

    if not seed_spreads:
        return ""
    best = next(t for t in trials if t.values and t.values[0] == max(seed_spreads[0].values))
    return str(best.user_attrs.get(RUN_ID, "")) or delivered_run_id(
        trial_folder(folder, best.number)
    )
