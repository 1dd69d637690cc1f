"""Search: find good values of an experiment's ranges, or go on where a search stopped."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.dataset.experiment_check import check_fits
from tauopt.durable import check_name
from tauopt.errors import UsageError
from tauopt.progress import Progress, Silent
from tauopt.study.hypermodel_check import check_in_driver, has_hypermodel, hypermodel_digest
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.prepare import prepare
from tauopt.workflows.warm_start import taken_over

if TYPE_CHECKING:
    from tauopt.config.experiment_file import ExperimentFile
    from tauopt.config.settings.objective import Goal
    from tauopt.dataset.prepared_dataset import PreparedDataset
    from tauopt.study.leaderboard_rows import LeaderboardRow
    from tauopt.study.provenance import Provenance
    from tauopt.study.search_events import SearchEvent


@dataclass(frozen=True)
class SearchResult:
    """What came out of a search."""

    name: str
    why: str
    """Why it ended: `complete`, all points tried, or the budget."""
    goals: tuple[Goal, ...]
    """The objectives, the first one first."""
    board: tuple[LeaderboardRow, ...] = field(repr=False)
    """Trials, best first."""
    folder: Path
    undelivered: str = ""
    """What has not reached MLflow yet, in words; empty if all has."""

    @property
    def best(self) -> LeaderboardRow | None:
        """The best complete trial; of several on the front the best in the first objective."""
        return self.board[0] if self.board and self.board[0].rank else None

    @property
    def report(self) -> Path | None:
        """The page with all that is known of the search; None if none was ever written."""
        from tauopt.report.write_report import PAGE
        from tauopt.study.trial_runs import REPORT

        page = self.folder / REPORT / PAGE
        return page if page.is_file() else None


def read_search(path: Path | str, *, overrides: Sequence[str] = ()) -> ExperimentFile:
    """Read an experiment file that has something to search.

    Raises:
        ConfigError: the file is wrong.
        UsageError: it has no ranges.
    """
    from tauopt.config.load import read_experiment

    file = read_experiment(path, overrides=overrides)
    if not file.space and not has_hypermodel(file):
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
    warm_start: str | None = None,
    command: str = "",
    progress: Progress | None = None,
    on_event: Callable[[SearchEvent], None] | None = None,
) -> SearchResult:
    """Search an experiment's space.

    Args:
        path: experiment file with ranges.
        overrides: `path=value` each, laid on the file in order.
        name: of the search; None means the experiment's name.
        output: output folder; None means `tauopt-output`.
        resume: go on with the search of that name, whatever stopped it.
        accept_changes: resume although the file, the data or the code changed.
        warm_start: name of an earlier search whose best points are tried first and, where its
            trials could be of this one, whose outcomes the sampler learns from.
        command: that goes on with it, to be told; empty means this one with `--resume`.
        progress: is told of simulation and preparation.
        on_event: is told of every trial's start, reports and end.
    Raises:
        ConfigError: the file is wrong.
        UsageError: nothing to search, the name exists already, or something changed.
        DataError: the ntuples or the prepared dataset are wrong.
        ServiceError: a database, MLflow or Ray can't be used, or another driver runs this search.
        SearchError: every trial failed.
        Interrupted: by Ctrl-C or SIGTERM; says how to go on.
    """
    file = read_search(path, overrides=overrides)
    name = name or file.name
    place = make_folder(output_folder(output), option="-o").absolute()
    from tauopt.report.write_report import draw_search
    from tauopt.search.driver import run_search
    from tauopt.study.leaderboard_rows import rows
    from tauopt.study.mlflow_notes import dataset_input
    from tauopt.study.open_study import check_name_is_free, open_study
    from tauopt.study.search_events import ignore
    from tauopt.study.search_setup import SearchSetup, search_folder
    from tauopt.study.study_storage import open_storage

    storage = open_storage(place)
    if not resume:
        check_name_is_free(storage, name)
    elif not search_folder(place, check_name(name, what="search name")).is_dir():
        open_study(storage, name)  # tells which searches there are
    elif warm_start:
        raise UsageError(
            "a search takes over from another one when it begins (--warm-start), not when it goes "
            "on (--resume)"
        )
    check_in_driver(file)
    dataset = prepare(file.base.data, progress=progress or Silent())
    check_fits(file, dataset)
    warm = None
    if warm_start:
        warm = taken_over(warm_start, file, output=place, dataset=dataset.manifest.digest)
        for line in warm.lines():
            (progress or Silent()).say(line)
    order = SearchSetup(
        name=name,
        output=place,
        file=file,
        dataset=dataset.folder.absolute(),
        origin=origin_of(file, dataset),
        reports=reports_of(file, dataset),
        resume=resume,
        accept_changes=accept_changes,
        dataset_input=dataset_input(dataset),
        warm=warm,
        resume_command=command
        or resume_command(path, overrides=overrides, name=name, output=output),
    )
    ending = run_search(order, draw=draw_search, on_event=on_event or ignore)
    folder = search_folder(place, name)
    return SearchResult(
        name=name,
        why=ending.why,
        goals=file.base.objective.goals,
        board=tuple(rows(ending.trials, folder, goals=file.base.objective.goals, is_alive=False)),
        folder=folder,
        undelivered=ending.undelivered,
    )


def resume_command(
    path: Path | str, *, overrides: Sequence[str], name: str, output: Path | None
) -> str:
    """Return the command line that goes on with a search."""
    words = ["tauopt", "search", str(path), "--resume", "--name", name]
    for override in overrides:
        words += ["--set", override]
    if output is not None:
        words += ["-o", str(output)]
    return shlex.join(words)


def reports_of(file: ExperimentFile, dataset: PreparedDataset) -> int:
    """Return how many reports the longest possible trial makes."""
    from tauopt.dataset.network_inputs import LEFT_OUT, task_labels

    training = file.base.training
    epochs = _largest(file, "training.epochs", training.epochs)
    if not training.report_every:
        return epochs
    manifest = dataset.manifest
    labels = task_labels(manifest.classes, file.base.task)
    counts = manifest.splits["train"].counts
    kept = sum(
        counts[name]
        for name, label in zip(manifest.classes, labels, strict=True)
        if label != LEFT_OUT
    )
    return max(1, math.ceil(epochs * kept / training.report_every))


def _largest(file: ExperimentFile, path: str, value: int) -> int:
    from tauopt.config.settings.ranges import ChoiceRange

    range_ = file.space.get(path)
    if range_ is None:
        return value
    return int(max(range_.values) if isinstance(range_, ChoiceRange) else range_.high)


def origin_of(file: ExperimentFile, dataset: PreparedDataset) -> Provenance:
    """Return what a study is made from."""
    from tauopt.study.provenance import Provenance, code_version
    from tauopt.tracking.environment import git_commit
    from tauopt.training.trial_identity import METHOD

    return Provenance(
        experiment=file.digest,
        text=json.dumps(file.definition, indent=1, sort_keys=True),
        dataset=dataset.manifest.digest,
        code=code_version(),
        commit=git_commit(file.path.absolute().parent),
        model=hypermodel_digest(file),
        method=str(METHOD),
    )
