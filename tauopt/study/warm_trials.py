"""A search that begins with what an earlier one found, also where its space is another.

The best points of the earlier search are tried first. Where a trial of it could have been one of
the new search as it is (same data, task, objectives and settings, values inside the new ranges),
the sampler also learns from its outcome. Such trials stay in the study where they were trained:
the sampler sees them, and nobody else does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.dotted_paths import flat
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.config.settings.ranges import contains, describe_range, is_active, moved_inside
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.any_architecture import TYPE, with_type
from tauopt.config.space.conditions import value_at
from tauopt.durable import write_json
from tauopt.errors import CorruptError, TauoptError
from tauopt.study._optuna_internals import set_trial_id
from tauopt.study.suggest import Space, distribution, key
from tauopt.study.trial_queue import DUPLICATE_OF, values_of

FILE = "warm_start.json"
"""In the search's folder: what it began with."""
OF = "tauopt.warm_start"
"""Tag of the search's runs: the earlier search."""
POINTS = 5
"""Of the earlier search that are tried first, at most."""
_DEFINING = ("task", "model", "training", "objective")


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of the earlier search as one of the new space."""

    params: Mapping[str, Scalar]
    state: str
    values: Sequence[float] | None
    reports: Mapping[int, float] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Of parameters that are no ranges of the file (a model of the user's own asks for them): what
    they may be, as Optuna writes it."""
    number: int = -1
    """Of the trial in the earlier search; -1 where it was not kept."""


@dataclass(frozen=True)
class WarmStart:
    """What a search begins with."""

    of: str
    points: tuple[Mapping[str, Scalar], ...] = ()
    """Tried first, the best one first."""
    numbers: tuple[int, ...] = ()
    """Of the trials of these points in the earlier search."""
    history: tuple[EarlierTrial, ...] = ()
    """What the sampler learns from."""
    notes: tuple[str, ...] = ()
    """What was changed or left out, in words."""

    def lines(self) -> Iterator[str]:
        """Say what is taken over from which trials, and what was changed or left out."""
        counts = f"{len(self.points)} points to try first, {len(self.history)} trials to learn from"
        yield f"from {self.of}: {counts}"
        learned = [past.number for past in self.history if past.number >= 0]
        for what, numbers in (("tried first", self.numbers), ("learned from", sorted(learned))):
            if numbers:
                yield f"  {what}: {', '.join(f't{number:03d}' for number in numbers)}"
        yield from (f"  {note}" for note in self.notes)


@dataclass(frozen=True)
class _Fitted:
    """A trial of the earlier search, moved into the new space."""

    trial: FrozenTrial
    point: Mapping[str, Scalar]
    changes: tuple[str, ...]
    """What is another than it was; nothing where the trial could be one of the new search."""


def warm_start(
    of: str,
    trials: Iterable[FrozenTrial],
    before: ExperimentFile,
    file: ExperimentFile,
    *,
    same_data: bool,
    same_method: bool,
) -> WarmStart:
    """Say what a search takes over from an earlier one.

    Args:
        of: name of the earlier search.
        trials: of it.
        before: its experiment.
        file: the new experiment.
        same_data: whether both have the same prepared dataset; else no outcome is learned from.
        same_method: whether both are trained in the same way; likewise.
    """
    ended, others = [], Counter[str]()
    for trial in trials:
        if why := _unfit(trial):
            others[why] += 1
        else:
            ended.append(trial)
    fitted, lost = _fit_all(ended, before, file)
    same_goals = before.base.objective == file.base.objective
    exact = [one for one in fitted if not one.changes]
    reasons = list(_why_not(same_data, same_goals, same_method))
    best = _best(fitted)
    return WarmStart(
        of=of,
        points=tuple(one.point for one in best),
        numbers=tuple(one.trial.number for one in best),
        history=() if reasons else tuple(_past(one) for one in exact),
        notes=(
            *(f"{count} trials left out: {why}" for why, count in others.items()),
            *lost,
            *_changes(fitted),
            *reasons,
        ),
    )


def _unfit(trial: FrozenTrial) -> str:
    """Say why nothing can be taken from a trial, whatever its point is; empty if it can."""
    if DUPLICATE_OF in trial.user_attrs:
        return "they are duplicates"
    if trial.state is TrialState.FAIL:
        return "they failed"
    return "" if trial.state.is_finished() else "they have not ended"


def _fit_all(
    trials: Iterable[FrozenTrial], before: ExperimentFile, file: ExperimentFile
) -> tuple[list[_Fitted], list[str]]:
    """Move trials into the new space; returns also which could not be, and why."""
    fitted, lost = [], Counter[str]()
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
        asked = {path: v for path, v in values.items() if path.startswith(HYPERPARAMETERS)}
        point, changes = _moved(experiment, file.alternatives[type_], asked)
        point |= {name: v for name, v in trial.params.items() if name not in before.space}
        if len(file.types) > 1:
            named = {with_type(path, type_): value for path, value in point.items()}
            point = {TYPE: type_, **named}
        fitted.append(_Fitted(trial, point, tuple(changes)))
    return fitted, [f"{count} trials {why}" for why, count in lost.items()]


def _moved(
    experiment: Experiment, file: ExperimentFile, asked: Mapping[str, Scalar]
) -> tuple[dict[str, Scalar], list[str]]:
    """Return the point of a space that is nearest to an experiment, and what is changed by it.

    Args:
        experiment: of a trial.
        file: with the space.
        asked: hyperparameters that a model of the user's own asked for, by path.
    """
    point: dict[str, Scalar] = {}
    for path, range_ in file.space.items():
        if is_active(range_, point):
            value = _value(experiment, path)
            inside = value is not None and contains(range_, value)
            point[path] = value if inside and value is not None else moved_inside(range_, value)
    now = file.resolve({**point, **asked})
    return point, [
        f"{path} was {_short(was)}, {_becomes(path, new, file.space)}"
        for path, was, new in _differences(experiment, now)
    ]


def _value(experiment: Experiment, path: str) -> Scalar | None:
    try:
        found: Scalar | None = value_at(experiment, path)
    except AttributeError:
        return None
    return found


def _becomes(path: str, value: Any, space: Space) -> str:
    if path in space:
        return f"moved to {_short(value)} ({describe_range(space[path])})"
    return f"is {_short(value)} now"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _differences(was: Experiment, now: Experiment) -> Iterator[tuple[str, Any, Any]]:
    """Yield path and both values of each setting that differs in what defines a training."""
    for section in _DEFINING:
        before = flat(getattr(was, section).model_dump(mode="json"), section)
        after = flat(getattr(now, section).model_dump(mode="json"), section)
        for path in {**before, **after}:
            if before.get(path) != after.get(path):
                yield path, before.get(path, "not there"), after.get(path, "not there")


def _changes(fitted: Sequence[_Fitted]) -> list[str]:
    """Return each change once, with the number of trials that it is of."""
    counted = Counter(change for one in fitted for change in one.changes)
    return [f"{change} (in {count} of {len(fitted)} trials)" for change, count in counted.items()]


def _why_not(same_data: bool, same_goals: bool, same_method: bool) -> Iterator[str]:
    """Say why the outcomes of an earlier search are not learned from."""
    same = {
        "its dataset is another": same_data,
        "its objectives are others": same_goals,
        "tauopt trained in another way then": same_method,
    }
    for reason, holds in same.items():
        if not holds:
            yield f"{reason}: its points are tried, its values not learned from"


def _best(fitted: Sequence[_Fitted]) -> list[_Fitted]:
    """Return the complete trials of the best different points, in the first objective."""
    complete = [one for one in fitted if one.trial.state is TrialState.COMPLETE]
    ordered = sorted(complete, key=lambda one: (-one.trial.values[0], one.trial.number))
    different: dict[str, _Fitted] = {}
    for one in ordered:
        different.setdefault(key(one.point), one)
    return list(different.values())[:POINTS]


def _past(one: _Fitted) -> EarlierTrial:
    trial = one.trial
    kinds = {
        name: distribution_to_json(trial.distributions[name])
        for name in one.point
        if name.startswith(HYPERPARAMETERS)
    }
    return EarlierTrial(
        params=one.point,
        state=trial.state.name,
        values=trial.values,
        reports=dict(trial.intermediate_values),
        kinds=kinds,
        number=trial.number,
    )


def frozen(warm: WarmStart, space: Space) -> list[FrozenTrial]:
    """Return the history as trials of the new space, with numbers below zero."""
    found = []
    for number, past in enumerate(warm.history, start=1):
        state = TrialState[past.state]
        trial = create_trial(
            state=state,
            values=list(past.values) if state is TrialState.COMPLETE and past.values else None,
            params=dict(past.params),
            distributions={
                name: json_to_distribution(past.kinds[name])
                if name in past.kinds
                else distribution(space[name])
                for name in past.params
            },
            intermediate_values=dict(past.reports),
        )
        set_trial_id(trial, -number)
        found.append(trial)
    return found


def write_warm(folder: Path, warm: WarmStart) -> None:
    """Keep in a search's folder what it began with."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, asdict(warm))


def read_warm(folder: Path) -> WarmStart | None:
    """Return what a search began with; None if it began afresh.

    Raises:
        CorruptError: the file is not what was written.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        history = [
            EarlierTrial(
                params=past["params"],
                state=past["state"],
                values=past["values"],
                reports={int(step): value for step, value in past["reports"].items()},
                kinds=past["kinds"],
                number=past.get("number", -1),
            )
            for past in content["history"]
        ]
        return WarmStart(
            of=content["of"],
            points=tuple(content["points"]),
            numbers=tuple(content.get("numbers", ())),
            history=tuple(history),
            notes=tuple(content["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"{path}: expected what the search began with: {error}") from error
