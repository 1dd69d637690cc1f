"""Points by hand in a search, from any machine, before or while a driver runs it.

A point is an attribute of the study until the driver, the only writer of trials, enqueues it. The
trial keeps the attribute's name, so that a driver that is killed in between enqueues it once.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from tauopt.config.settings.networks.hypermodel import is_own_type
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.searched_space import SearchedSpace, searched_space
from tauopt.errors import UsageError
from tauopt.study.suggest import key
from tauopt.study.trial_attributes import point_of

BY_HAND = "tauopt.by_hand"
"""Attribute of a trial: name of the study's attribute that holds its point."""
_POINT = "tauopt.point."

Points = Mapping[str, Mapping[str, Scalar]]
"""Name of an attribute of the study -> the point in it, the oldest first."""


def space_of(study: optuna.Study) -> SearchedSpace:
    """Return the ranges of a search, from its study alone.

    Raises:
        UsageError: its model is the user's own, or no driver has recorded its ranges.
    """
    try:
        definition = json.loads(study.user_attrs.get("tauopt.text", "{}"))
    except ValueError:
        definition = {}
    type_ = definition.get("model", {}).get("type", "")
    if is_own_type(type_):
        raise UsageError(
            f"{study.study_name} searches {type_}, whose hyperparameters are known only while it "
            "is built, so it takes no points by hand: narrow or fix them in the file instead "
            "(model.hyperparameters), and search it with --warm-start "
            f"{study.study_name}"
        )
    if not definition.get("space"):
        raise UsageError(f"{study.study_name} has no record of its ranges; resume it first")
    return searched_space(definition)


def send_points(study: optuna.Study, points: Sequence[Mapping[str, Scalar]]) -> None:
    """Give points to the driver that runs a search, or that resumes it."""
    now = time.time_ns()  # names order the points; the random part keeps machines apart
    for index, point in enumerate(points):
        study.set_user_attr(f"{_POINT}{now:020d}.{index:04d}.{uuid.uuid4().hex[:8]}", dict(point))


def points_in(attributes: Mapping[str, Any]) -> Points:
    """Return the points by hand among a study's attributes, tried already or not."""
    return {name: attributes[name] for name in sorted(attributes) if name.startswith(_POINT)}


def known_points(study: optuna.Study) -> dict[str, int | None]:
    """Return the points that a search has tried or will try: key -> number of the trial.

    The number is None where no driver has made a trial of the point yet.
    """
    waiting = {key(point): None for point in points_in(study.user_attrs).values()}
    trials = reversed(study.get_trials(deepcopy=False))  # of equal points the first trial counts
    return {**waiting, **{key(point_of(trial)): trial.number for trial in trials}}


def enqueue_by_hand(study: optuna.Study, points: Points) -> bool:
    """Enqueue those points by hand that are in no trial yet; only for the holder of the lock.

    Returns:
        whether there were any.
    """
    present = {trial.user_attrs.get(BY_HAND) for trial in study.get_trials(deepcopy=False)}
    missing = {name: point for name, point in points.items() if name not in present}
    for name, point in missing.items():
        study.enqueue_trial(dict(point), user_attrs={BY_HAND: name})
    return bool(missing)
