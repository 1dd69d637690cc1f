"""Search the ranges of an experiment, or resume a search; a dry run says what it would do."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.dataset.experiment_check import check_fits
from tauopt.durable import check_name
from tauopt.errors import UsageError
from tauopt.progress import Progress, Silent
from tauopt.study import hypermodel_check
from tauopt.study.own_objective_check import check_own_objectives, objectives_digest
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.objective_precision import precision_lines
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.prepare import known_digest, known_prepared, prepare, survey

if TYPE_CHECKING:
    import optuna

    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.experiment import Confirm
    from tauopt.config.settings.objective import Goal
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.study.leaderboard_rows import LeaderboardRow
    from tauopt.study.provenance import Provenance
    from tauopt.study.search_events import SearchEvent
    from tauopt.study.starting_points import FirstPoint

SAMPLES = 3
"""Sampled trials that a dry run shows."""


@dataclass(frozen=True)
class SearchResult:
    """Result of a search."""

    name: str
    why: str
    """Why it ended: `complete`, all points tried, or the budget."""
    goals: tuple[Goal, ...]
    """The objectives, the first one first."""
    board: tuple[LeaderboardRow, ...] = field(repr=False)
    """Trials, best first."""
    folder: Path
    confirm: Confirm | None = None
    """How its best points are confirmed; None if they are not."""
    edges: tuple[str, ...] = ()
    """Ranges that the best trials hit at an end, in words."""
    undelivered: str = ""
    """Message about records that have not reached MLflow yet; empty if all have."""

    @property
    def best(self) -> LeaderboardRow | None:
        """The recommended trial; of several on the front the best in the first objective."""
        from tauopt.study.leaderboard_rows import recommended

        return recommended(self.board)

    @property
    def report(self) -> Path | None:
        """The HTML page of the search's report; None if none was written."""
        from tauopt.report.write_report import PAGE
        from tauopt.study.trial_runs import REPORT

        page = self.folder / REPORT / PAGE
        return page if page.is_file() else None


def read_search(path: Path | str, *, overrides: Sequence[str] = ()) -> ExperimentFile:
    """Read an experiment file that has ranges, or a model with hyperparameters of its own.

    Raises:
        ConfigError: the file is wrong.
        UsageError: there is nothing to search.
    """
    from tauopt.config.load import read_experiment

    file = read_experiment(path, overrides=overrides)
    if not file.space and not hypermodel_check.has_hypermodel(file):
        raise UsageError(
            f"{path} has no ranges, so there is nothing to search: tauopt train {path}"
        )
    return file


def search(
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    output: Path | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    warm_start: Sequence[str] = (),
    confirm: Confirm | None = None,
    command: str = "",
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> SearchResult:
    """Search an experiment's space.

    Args:
        path: experiment file with ranges.
        overrides: `path=value` each, applied to the file in order.
        name: of the search; None means the experiment's name.
        output: output folder; None means `tauopt-output`.
        resume: resume the search of that name, whatever stopped it.
        accept_changes: resume although the file, the data or the code changed.
        warm_start: names of earlier searches: their best points are tried first, and the sampler
            learns from those of their trials that could be trials of this search.
        confirm: request to confirm the best points of a search that is resumed; None leaves it at
            what the search has.
        command: command line that resumes the search, for messages; empty means this one with
            `--resume`.
        progress: receives the progress of simulation and preparation.
        on_event: called with each event of a trial: start, report, end.
    Raises:
        ConfigError: the file is wrong.
        UsageError: nothing to search, the name exists already, or something changed.
        DataError: the ntuples or the prepared dataset are wrong.
        ServiceError: a database, MLflow or Ray can't be used, or another driver runs this search.
        SearchError: every trial failed.
        Interrupted: by Ctrl-C or SIGTERM; names the command that resumes the search.
    """
    file = read_search(path, overrides=overrides)
    name = name or file.name
    output_path = make_folder(output_folder(output), option="-o").absolute()
    from tauopt.report.range_edges import range_edges
    from tauopt.report.write_report import draw_search
    from tauopt.search.driver import run_search
    from tauopt.study.earlier_search import warm_start_from
    from tauopt.study.leaderboard_rows import rows
    from tauopt.study.mlflow_notes import dataset_input
    from tauopt.study.open_study import check_name_is_free, open_study
    from tauopt.study.search_events import ignore
    from tauopt.study.search_setup import SearchSetup, search_folder
    from tauopt.study.study_storage import open_storage

    progress = progress or Silent()
    storage = open_storage(output_path)
    if not resume:
        check_name_is_free(storage, name)
    elif not search_folder(output_path, check_name(name, what="search name")).is_dir():
        open_study(storage, name)  # where there is no such study, raises and lists those there are
    elif warm_start:
        raise UsageError(
            "a search takes over from an earlier one when it begins (--warm-start), not when it is "
            "resumed (--resume)"
        )
    hypermodel_check.check_in_driver(file)
    check_own_objectives(file)
    dataset = prepare(file.base.data, progress=progress)
    check_fits(file, dataset)
    for line in precision_lines(file.base, dataset):
        progress.say(line)
    warm = None
    if warm_start:
        earlier = _find_studies(warm_start, output=output_path)
        warm = warm_start_from(earlier, file, dataset=dataset.manifest.digest)
        for line in warm.lines():
            progress.say(line)
    if not command:
        command = resume_command(path, overrides=overrides, name=name, output=output)
    setup = SearchSetup(
        name=name,
        output=output_path,
        file=file,
        dataset=dataset.folder.absolute(),
        origin=origin_of(file, dataset),
        reports=reports_of(file, dataset),
        resume=resume,
        accept_changes=accept_changes,
        dataset_input=dataset_input(dataset),
        warm=warm,
        confirm=confirm,
        resume_command=command,
    )
    outcome = run_search(setup, draw=draw_search, on_event=on_event or ignore)
    goals = file.base.objective.goals
    prefer = outcome.confirm.prefer if outcome.confirm else "best"
    board = rows(outcome.trials, setup.folder, goals=goals, is_alive=False, prefer=prefer)
    return SearchResult(
        name=name,
        why=outcome.why,
        goals=goals,
        board=tuple(board),
        folder=setup.folder,
        confirm=outcome.confirm,
        edges=tuple(map(str, range_edges(board, file.space))),
        undelivered=outcome.undelivered,
    )


def _find_studies(names: Sequence[str], *, output: Path) -> list[optuna.Study]:
    return [find_study(name, output=output) for name in dict.fromkeys(names)]


def resume_command(
    path: Path | str, *, overrides: Sequence[str], name: str, output: Path | None
) -> str:
    """Return the command line that resumes a search."""
    words = ["tauopt", "search", str(path), "--resume", "--name", name]
    words += [word for override in overrides for word in ("--set", override)]
    return shlex.join([*words, *(["-o", str(output)] if output is not None else [])])


def reports_of(file: ExperimentFile, dataset: PreparedDataset) -> int:
    """Return how many reports the longest possible trial makes."""
    from tauopt.config.settings.ranges import ChoiceRange
    from tauopt.dataset.network_inputs import LEFT_OUT, task_labels

    training = file.base.training
    epochs = training.epochs
    if (range_ := file.space.get("training.epochs")) is not None:
        epochs = int(max(range_.values) if isinstance(range_, ChoiceRange) else range_.high)
    if not training.report_every:
        return epochs
    manifest = dataset.manifest
    labels = zip(manifest.classes, task_labels(manifest.classes, file.base.task), strict=True)
    counts = manifest.splits["train"].counts
    kept = sum(counts[name] for name, label in labels if label != LEFT_OUT)
    return max(1, math.ceil(epochs * kept / training.report_every))


def origin_of(file: ExperimentFile, dataset: PreparedDataset) -> Provenance:
    """Return the provenance of a study: experiment, data, code and model."""
    from tauopt.study.provenance import Provenance, code_version
    from tauopt.tracking.environment import git_commit
    from tauopt.training.trial_identity import METHOD

    return Provenance(
        experiment=file.digest,
        text=json.dumps(file.definition, indent=1, sort_keys=True),
        dataset=dataset.manifest.digest,
        code=code_version(),
        commit=git_commit(file.path.absolute().parent),
        model=hypermodel_check.hypermodel_digest(file),
        own_objectives=objectives_digest(file),
        method=str(METHOD),
    )


@dataclass(frozen=True)
class DryRun:
    """Preview of a search."""

    configuration: Mapping[str, Any]
    """The experiment with every range at its default, resolved, as nested JSON values."""
    space: Mapping[str, str]
    """Path -> description of the range; for a user's own model also of its hyperparameters."""
    branches: tuple[str, ...]
    """Branches that preparation reads; empty if the sample is not simulated yet."""
    counts: Mapping[str, Mapping[str, int]]
    """Split -> class -> candidates; empty if the sample is not simulated yet."""
    precision: tuple[str, ...]
    """Lines on how precisely the objective can be measured; none before the preparation."""
    parameters: int
    """Number of parameters of the first trial's network."""
    trials: tuple[FirstPoint, ...]
    """The first trials, in order, each with where it is from: the literature's values of each
    architecture, points of earlier searches, sampled ones."""
    warm_start: tuple[str, ...]
    """Lines on what is taken over from earlier searches, and what is not."""
    summary: str
    """Keras's table of the first trial's layers."""


def dry_run(
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    output: Path | None = None,
    warm_start: Sequence[str] = (),
    progress: Progress | None = None,
) -> DryRun:
    """Preview a search; writes nothing, and opens a database only for a warm start.

    Args:
        path: experiment file.
        overrides: `path=value` each, applied to the file in order.
        output: output folder of the earlier search; None means `tauopt-output`.
        warm_start: names of earlier searches to take over from.
        progress: receives the progress of counting candidates.
    Raises:
        ConfigError: the file is wrong.
        DataError: the ntuples are wrong.
        UsageError: there is no such earlier search, or nothing of it can be taken over.
        ServiceError: the studies' database can't be used.
    """
    from tauopt.config.load import read_experiment
    from tauopt.config.settings.ranges import describe_range
    from tauopt.models.build_model import describe
    from tauopt.study.earlier_search import warm_start_from
    from tauopt.study.starting_points import first_trials

    file = read_experiment(path, overrides=overrides)
    warm = None
    if warm_start:
        earlier = _find_studies(warm_start, output=output_folder(output).absolute())
        warm = warm_start_from(earlier, file, dataset=known_digest(file.base.data))
    experiment = hypermodel_check.settled(file)
    check_own_objectives(file)
    counted = survey(experiment.data, progress=progress or Silent())
    hypermodel = hypermodel_check.hypermodel_space(file)
    network = describe(hypermodel_check.without_constants(experiment), experiment.model)
    return DryRun(
        configuration=experiment.model_dump(mode="json"),
        space={
            **{path: describe_range(range_) for path, range_ in file.space.items()},
            **hypermodel_check.hyperparameters(file),
        },
        branches=counted.branches if counted else (),
        counts={split: dict(n) for split, n in counted.counts.items()} if counted else {},
        precision=precision_lines(file.base, known_prepared(file.base.data)),
        parameters=network.parameters,
        trials=tuple(first_trials(file, count=SAMPLES, hypermodel=hypermodel, warm=warm)),
        warm_start=tuple(warm.lines()) if warm else (),
        summary=network.summary,
    )
