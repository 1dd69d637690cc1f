"""Warm start: begin a search with points and outcomes of an earlier one, even if its space differs.

The best points of the earlier search are tried first. Where one of its trials could be a trial of
the new search unchanged (same data, task, objectives and settings, values inside the new ranges),
the sampler also learns from its outcome. Such trials stay in the study where they were trained:
only the sampler sees them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.dotted_paths import flat
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.config.settings.ranges import (
    Range,
    contains,
    describe_range,
    is_active,
    moved_inside,
)
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.any_architecture import TYPE, with_type
from tauopt.config.space.conditions import value_at
from tauopt.errors import TauoptError
from tauopt.study.best_first import best_first
from tauopt.study.suggest import key
from tauopt.study.trial_attributes import CONFIRMS, DUPLICATE_OF, values_of
from tauopt.study.warm_start_record import (
    POINTS,
    Alikeness,
    EarlierPoint,
    EarlierSearch,
    EarlierTrial,
    WarmStart,
)

_DEFINING = ("task", "model", "training", "objective")
"""Sections of an experiment that decide the outcome of a training."""


@dataclass(frozen=True)
class _MovedTrial:
    """A trial of the earlier search, moved into the new space."""

    trial: FrozenTrial
    point: Mapping[str, Scalar]
    changes: tuple[str, ...]
    """Settings that differ, in words; empty where the trial could be one of the new search."""


def warm_start(
    earlier: str,
    trials: Iterable[FrozenTrial],
    before: ExperimentFile,
    file: ExperimentFile,
    *,
    same_data: bool,
    same_method: bool,
) -> WarmStart:
    """Return what a search takes over from an earlier one.

    Args:
        earlier: name of the earlier search.
        trials: trials of the earlier search.
        before: experiment of the earlier search.
        file: the new experiment.
        same_data: whether both have the same prepared dataset; if not, no outcome is learned from.
        same_method: whether both have the same training method; likewise.
    """
    ended, left_out = [], Counter[str]()
    for trial in trials:
        if reason := _why_left_out(trial):
            left_out[reason] += 1
        else:
            ended.append(trial)
    moved, lost = _move_all(ended, before, file)
    same_goals = before.base.objective == file.base.objective
    unchanged = [entry for entry in moved if not entry.changes]
    changes = Counter(change for entry in moved for change in entry.changes)
    reasons = list(_why_not_learned(same_data, same_goals, same_method))
    best = _best(moved)
    alikeness = _alikeness(
        before, file, same_data=same_data, same_goals=same_goals, same_method=same_method
    )
    notes = (
        *(f"{count} trials left out: {reason}" for reason, count in left_out.items()),
        *lost,
        *(f"{change} (in {count} of {len(moved)} trials)" for change, count in changes.items()),
        *reasons,
    )
    return WarmStart(
        searches=(EarlierSearch(earlier, alikeness, notes),),
        points=tuple(
            EarlierPoint(entry.point, earlier, entry.trial.number, float(entry.trial.values[0]))
            for entry in best
        ),
        history=() if reasons else tuple(_earlier_trial(entry, earlier) for entry in unchanged),
    )


def _alikeness(
    before: ExperimentFile,
    file: ExperimentFile,
    *,
    same_data: bool,
    same_goals: bool,
    same_method: bool,
) -> Alikeness:
    earlier, new = _ranges(before), _ranges(file)
    shared = earlier.keys() & new.keys()
    equal = sum(earlier[name] == new[name] for name in shared)
    return Alikeness(same_data, same_goals, same_method, len(shared), equal)


def _ranges(file: ExperimentFile) -> dict[tuple[str, str], Range]:
    """Return (architecture, path) -> range without conditions."""
    return {
        (type_, path): replace(range_, when={})
        for type_, branch in file.alternatives.items()
        for path, range_ in branch.space.items()
    }


def _why_left_out(trial: FrozenTrial) -> str:
    """Return why nothing is taken from a trial, whatever its point is; empty if it can be used."""
    if DUPLICATE_OF in trial.user_attrs:
        return "they are duplicates"
    if CONFIRMS in trial.user_attrs:
        return "they confirm others"
    if trial.state is TrialState.FAIL:
        return "they failed"
    return "" if trial.state.is_finished() else "they have not ended"


def _move_all(
    trials: Iterable[FrozenTrial], before: ExperimentFile, file: ExperimentFile
) -> tuple[list[_MovedTrial], list[str]]:
    """Move trials into the new space; return also how many could not be moved, and why."""
    moved, lost = [], Counter[str]()
    for trial in trials:
        try:
            values = values_of(trial)
            experiment = before.resolve(values)
        except (TauoptError, AttributeError, KeyError) as error:
            lost[f"can't be read any more ({str(error).splitlines()[0]})"] += 1
            continue
        type_ = experiment.model.type
        if type_ not in file.types:
            lost[f"left out: their network is {type_}, not {file.network}"] += 1
            continue
        requested = {path: v for path, v in values.items() if path.startswith(HYPERPARAMETERS)}
        point, changes = _nearest_point(experiment, file.alternatives[type_], requested)
        point |= {name: v for name, v in trial.params.items() if name not in before.space}
        if len(file.types) > 1:
            named = {with_type(path, type_): value for path, value in point.items()}
            point = {TYPE: type_, **named}
        moved.append(_MovedTrial(trial, point, tuple(changes)))
    return moved, [f"{count} trials {why}" for why, count in lost.items()]


def _nearest_point(
    experiment: Experiment, file: ExperimentFile, requested: Mapping[str, Scalar]
) -> tuple[dict[str, Scalar], list[str]]:
    """Return the point of a space that is nearest to an experiment, and the changes, in words.

    Args:
        experiment: resolved experiment of an earlier trial.
        file: the new experiment, with the space.
        requested: hyperparameters that a user's HyperModel requested, by path.
    """
    point: dict[str, Scalar] = {}
    for path, range_ in file.space.items():
        if is_active(range_, point):
            value = _value(experiment, path)
            inside = value is not None and contains(range_, value)
            point[path] = value if inside and value is not None else moved_inside(range_, value)
    now = file.resolve({**point, **requested})
    return point, [
        f"{path} was {_short(was)}, "
        + (
            f"moved to {_short(new)} ({describe_range(file.space[path])})"
            if path in file.space
            else f"is {_short(new)} now"
        )
        for path, was, new in _differences(experiment, now)
    ]


def _value(experiment: Experiment, path: str) -> Scalar | None:
    try:
        value: Scalar | None = value_at(experiment, path)
    except AttributeError:  # the earlier architecture has no such setting
        return None
    return value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _differences(was: Experiment, now: Experiment) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, old and new value of each setting that differs and decides a training."""
    for section in _DEFINING:
        before = flat(getattr(was, section).model_dump(mode="json"), section)
        after = flat(getattr(now, section).model_dump(mode="json"), section)
        for path in {**before, **after}:
            if before.get(path) != after.get(path):
                yield path, before.get(path, "not there"), after.get(path, "not there")


def _why_not_learned(same_data: bool, same_goals: bool, same_method: bool) -> Iterator[str]:
    """Yield the reasons for which no outcome of the earlier search is learned from."""
    same = {
        "its dataset is another": same_data,
        "its objectives are others": same_goals,
        "tauopt trained in another way then": same_method,
    }
    for reason, holds in same.items():
        if not holds:
            yield f"{reason}: its points are tried, its values not learned from"


def _best(moved: Sequence[_MovedTrial]) -> list[_MovedTrial]:
    """Return the complete trials of the best different points, as the leaderboard ranks them."""
    by_number = {entry.trial.number: entry for entry in moved}
    different: dict[str, _MovedTrial] = {}
    for trial in best_first(entry.trial for entry in moved):
        entry = by_number[trial.number]
        different.setdefault(key(entry.point), entry)
    return list(different.values())[:POINTS]


def _earlier_trial(entry: _MovedTrial, search: str) -> EarlierTrial:
    trial = entry.trial
    kinds = {
        name: distribution_to_json(trial.distributions[name])
        for name in entry.point
        if name.startswith(HYPERPARAMETERS)
    }
    return EarlierTrial(
        params=entry.point,
        state=trial.state.name,
        values=trial.values,
        reports=dict(trial.intermediate_values),
        kinds=kinds,
        number=trial.number,
        search=search,
    )
