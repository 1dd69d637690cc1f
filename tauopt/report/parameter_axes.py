"""Axes of a search's hyperparameters, from the ranges that its trials were drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from tauopt.config.space.any_architecture import without_type
from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis, ParameterAxis
from tauopt.figures.search.trial_points import TrialPoint
from tauopt.report.search_record import SearchRecord
from tauopt.study.leaderboard_rows import varying
from tauopt.study.trial_queue import VALUES

_WIDE = 30.0
"""Ratio of largest and smallest value from which an axis without a range is logarithmic."""


def with_shown_params(trials: Iterable[TrialPoint]) -> list[TrialPoint]:
    """Return trials with parameters as tables name them: one name for all architectures."""
    return [replace(trial, params=without_type(trial.params)) for trial in trials]


def axes_of(facts: SearchRecord, *, most: int, first: Sequence[str] = ()) -> list[ParameterAxis]:
    """Return the axes of parameters that vary, as tables name them, in their order there.

    Args:
        facts: of the search.
        most: axes that there is room for.
        first: paths as the study has them, of which the foremost are kept if there are too many.
    """
    ranges: dict[str, list[BaseDistribution]] = {}
    values: dict[str, list[Any]] = {}
    names: dict[str, str] = {}
    for trial in facts.trials:
        shown = without_type(trial.row.params)
        for path, name in zip(trial.row.params, shown, strict=True):
            names[path] = name
            values.setdefault(name, []).append(shown[name])
            # What stands in the study may be a code of the value in a model of the user's own.
            if path in trial.trial.distributions and VALUES not in trial.trial.user_attrs:
                ranges.setdefault(name, []).append(trial.trial.distributions[path])
    paths = varying(facts.board)
    ranks = {names[path]: rank for rank, path in reversed(list(enumerate(first))) if path in names}
    kept = sorted(paths, key=lambda path: (ranks.get(path, len(ranks)), paths.index(path)))[:most]
    return [_axis(p, ranges.get(p, ()), values[p]) for p in paths if p in kept and p in values]


def _axis(path: str, ranges: Sequence[BaseDistribution], values: Sequence[Any]) -> ParameterAxis:
    if not ranges:
        return _axis_of_values(path, values)
    if any(isinstance(one, CategoricalDistribution) for one in ranges):
        listed = [c for one in ranges for c in getattr(one, "choices", ())]
        return ChoiceAxis(path, _different([*listed, *values]))
    return NumberAxis(
        path,
        low=float(min(one.low for one in ranges)),
        high=float(max(one.high for one in ranges)),
        log=all(one.log for one in ranges),
        whole=all(isinstance(one, IntDistribution) for one in ranges),
    )


def _axis_of_values(path: str, values: Sequence[Any]) -> ParameterAxis:
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return ChoiceAxis(path, _different(values))
    low, high = float(min(values)), float(max(values))
    whole = all(isinstance(value, int) for value in values)
    return NumberAxis(path, low, high, log=low > 0 and high > _WIDE * low, whole=whole)


def _different(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return different values in their order: true is not 1."""
    return tuple({(isinstance(value, bool), value): value for value in values}.values())
