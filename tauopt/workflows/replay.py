"""Replay recorded searches with other rules, without training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.errors import UsageError, nearest
from tauopt.progress import Progress, Silent
from tauopt.workflows.leaderboard import find_study
from tauopt.workflows.paths import make_folder, output_folder

if TYPE_CHECKING:
    from tauopt.replay.curve_table import CurveTable
    from tauopt.replay.play import Choice
    from tauopt.replay.regret import RegretCourse
    from tauopt.replay.rules import Rules

SEEDS = 20


@dataclass(frozen=True)
class PlayedRules:
    """Regret of the searches that were played by the same rules."""

    rules: Rules
    course: RegretCourse = field(repr=False)


@dataclass(frozen=True)
class Replay:
    """Rules compared on one recorded search."""

    name: str
    metric: str
    """Metric by which choices are judged."""
    samples: tuple[str, ...]
    """Validation samples of the searches, in turn."""
    full_training: float
    """Candidates of one training to the end."""
    has_truth: bool
    """Whether choices are judged on an independent sample."""
    surrogate_error: float | None
    """Cross-validated error of the surrogate, relative; None if no rules needed one."""
    played: tuple[PlayedRules, ...]
    best: PlayedRules
    """Those of the lowest regret in the end; of equal ones (to 0.1 %) of the least compute."""
    files: tuple[Path, ...]


def replay(
    search: Path | str | None = None,
    *,
    asked: Mapping[str, Any] | None = None,
    repeated: bool = False,
    sample: str = "",
    judge: str = "",
    seeds: int = SEEDS,
    trials: int = 0,
    output: Path | None = None,
    to: Path | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Play a recorded search again, many times, by several rules.

    Args:
        search: name of a search, or path of a table of curves (.npz); None means the latest search.
        asked: further rules: `objective`, `monitor`, `tied`, `sampler`, `pruner` and `top` as those
            of `tauopt.replay.rules.Rules`, by name; the standard rules are always played.
        repeated: use only points that were trained several times, as confirmations need.
        sample: beginning of the names of the validation samples; empty takes all.
        judge: metric by which choices are judged; empty means the table's first.
        seeds: searches of each rules.
        trials: trials of each search; 0 means all recorded points.
        output: output folder; None means `tauopt-output`.
        to: folder of the figure; None means `replay` in the search's folder, or no figure for a
            table.
        progress: receives a message for each rules.
    Raises:
        UsageError: no such search, or unknown sample, metric or rule.
        DataError: the search has too few full curves.
        CorruptError: the table can't be read.
    """
    from tauopt.replay.regret import regret_course

    progress = progress or Silent()
    table, folder = _table(search, output)
    if repeated:
        table = table.repeated()
    judge = judge or table.metrics[0]
    rules = [_asked(table, asked)] if asked else []
    _check_names(table, judge, sample, rules)
    chosen = [i for i, name in enumerate(table.samples) if name.startswith(sample)]
    every = [*_standard(table), *rules]
    surrogate = _surrogate(table, every)
    best = float(table.best[table.metrics.index(judge)])
    played = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for each in every:
            progress.say(f"playing: {each.name}")
            tasks = [
                pool.submit(
                    _play_one, table, each, surrogate,
                    judge=judge, sample=chosen[seed % len(chosen)], seed=seed,
                    trials=trials or len(table.points),
                )
                for seed in range(seeds)
            ]  # fmt: skip
            searches = [task.result() for task in tasks]
            played.append(PlayedRules(each, regret_course(searches, best=best)))
    full = float(table.candidates[:, -1].max())
    target = to or (folder / "replay" if folder else None)
    return Replay(
        name=table.name,
        metric=judge,
        samples=tuple(table.samples[i] for i in chosen),
        full_training=full,
        has_truth=table.has_truth,
        surrogate_error=float(surrogate.error[table.metrics.index(judge)]) if surrogate else None,
        played=tuple(played),
        best=min(played, key=lambda p: (round(p.course.mean[-1], 3), p.course.candidates[-1])),
        files=tuple(_draw(table, judge, played, full, target)) if target else (),
    )


def _table(search: Path | str | None, output: Path | None) -> tuple[CurveTable, Path | None]:
    """Return the curves of a table or a search, and the folder of a search."""
    from tauopt.replay.curve_table import CurveTable

    if search is not None and str(search).endswith(".npz"):
        return CurveTable.load(Path(search)), None
    from tauopt.config.load import read_experiment
    from tauopt.replay.recorded_search import recorded_search
    from tauopt.study.search_setup import search_folder
    from tauopt.study.trial_runs import EXPERIMENT

    output_path = output_folder(output).absolute()
    study = find_study(None if search is None else str(search), output=output_path)
    folder = search_folder(output_path, study.study_name)
    file = read_experiment(folder / EXPERIMENT)
    metric = file.base.objective.first
    return recorded_search(study, folder, space=file.space, metric=metric), folder


def _check_names(table: CurveTable, judge: str, sample: str, rules: Sequence[Rules]) -> None:
    if not table.points:
        raise UsageError(f"no point of {table.name} was trained several times")
    if any(each.top for each in rules) and not _is_repeated(table):
        raise UsageError(
            "a confirmation can be played only on points that were trained several times: add "
            "--repeated"
        )
    for metric in (judge, *(each.objective for each in rules)):
        if metric not in table.metrics:
            raise UsageError(
                f"{table.name} has no curves of {metric!r}{nearest(metric, table.metrics)}; it has "
                f"{', '.join(table.metrics)}"
            )
    if not any(name.startswith(sample) for name in table.samples):
        raise UsageError(
            f"no validation sample of {table.name} begins with {sample!r}; there are "
            f"{', '.join(table.samples)}"
        )
    from tauopt.config.settings.objective import parse_objective
    from tauopt.training.best_report import monitored

    for each in rules:
        name = monitored(each.monitor, parse_objective(each.objective))
        if name not in ("val_loss", *table.metrics):
            raise UsageError(f"monitor {each.monitor}: {table.name} has no curves of {name}")


def _asked(table: CurveTable, asked: Mapping[str, Any]) -> Rules:
    """Return rules with some settings as asked for."""
    from typing import get_args

    from tauopt.config.settings.experiment import Pruner, PrunerType, Sampler, SamplerType
    from tauopt.replay.rules import Rules
    from tauopt.training.best_report import Monitor

    kinds: Mapping[str, Any] = {"sampler": Sampler, "pruner": Pruner}
    types = {"monitor": Monitor, "sampler": SamplerType, "pruner": PrunerType}
    known = {name: get_args(type_) for name, type_ in types.items()}
    for name, values in known.items():
        if name in asked and asked[name] not in values:
            raise UsageError(
                f"--{name} {asked[name]}: expected one of {', '.join(values)}"
                f"{nearest(asked[name], values)}"
            )
    settings = {
        name: kinds[name](type=value) if name in kinds else value for name, value in asked.items()
    }
    words = ", ".join(f"{name} {value}" for name, value in asked.items())
    return Rules(**{"name": words, "objective": table.metrics[0], **settings})


def _standard(table: CurveTable) -> list[Rules]:
    from tauopt.config.settings.objective import band_of, parse_objective
    from tauopt.replay.rules import ladder, pruners

    metric = table.metrics[0]
    if not table.has_truth:
        return list(pruners(metric))
    name = str(band_of(parse_objective(metric)))
    band = name if name in table.metrics[1:] else None
    return list(ladder(metric, band, seeds_are_known=_is_repeated(table)))


def _is_repeated(table: CurveTable) -> bool:
    """Return whether every point was trained several times."""
    import numpy as np

    return bool(np.bincount(table.point, minlength=len(table.points)).min() > 1)


def _surrogate(table: CurveTable, rules: Sequence[Rules]) -> Any:
    """Return a surrogate if a sampler among the rules needs one."""
    if all(each.sampler.type == "random" for each in rules):
        return None
    from tauopt.replay.surrogate import Surrogate

    return Surrogate(table)


def _play_one(
    table: CurveTable, rules: Rules, surrogate: Any, *, judge: str, sample: int, seed: int,
    trials: int,
) -> list[Choice]:  # fmt: skip
    """Play one search, in a process of its own."""
    from tauopt.replay.play import play, recorded

    exact = rules.sampler.type == "random" or surrogate is None
    curve_of = (
        recorded(table, sample=sample)
        if exact
        else lambda params: surrogate.curve(params, sample=sample)
    )
    return play(table, rules, curve_of, judge=judge, sample=sample, seed=seed, trials=trials)


def _draw(
    table: CurveTable, judge: str, played: Sequence[PlayedRules], full: float, folder: Path
) -> list[Path]:
    from tauopt.figures.figure_style import SampleLabel
    from tauopt.figures.save_figure import save_figure
    from tauopt.figures.search.replay_figure import replay_figure
    from tauopt.replay.regret import WITHIN

    courses = {
        each.rules.name: (
            each.course.candidates, each.course.mean, each.course.low, each.course.high
        )
        for each in played
    }  # fmt: skip
    label = SampleLabel(f"search {table.name} played again")
    figure, points = replay_figure(courses, metric=judge, per=full, levels=WITHIN, sample=label)
    return save_figure(figure, points, make_folder(folder, option="--to"), name="replay")
