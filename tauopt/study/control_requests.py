"""Stop or extend a running search, or give it points, from another shell or another machine.

A request is an attribute of the study, which the driver reads every second: so it reaches the
driver on any machine, without a network port.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import optuna

from tauopt.config.settings.experiment import Confirm, Preference, Search
from tauopt.study.points_by_hand import points_in
from tauopt.study.study_storage import with_retries

ControlRequest = Literal["", "stop"]

_REQUEST = "tauopt.wish"
_EXTENDED = "tauopt.with_extensions"
_CONFIRM = "tauopt.confirm"
_CONFIRM_IN_FILE = "tauopt.confirm_in_file"
_FIRST_AFTER = "tauopt.confirm_after"
"""Attribute of a study: number of its trials when it was last asked to confirm."""
_EVERY_S = 1.0


def send_request(study: optuna.Study, request: ControlRequest) -> None:
    """Request that the driver of a study stops; an empty request withdraws that."""
    study.set_user_attr(_REQUEST, request)


def extend(study: optuna.Study, **limits: float) -> None:
    """Raise a search's total `trials`, `hours` or `gpu_hours`, now and after a resume.

    The total has the points by hand that the search has until now.
    """
    if "trials" in limits:
        limits["trials"] -= len(points_in(study.user_attrs))
    study.set_user_attr(_EXTENDED, {**study.user_attrs.get(_EXTENDED, {}), **limits})


def request_confirmation(study: optuna.Study, settings: Confirm) -> None:
    """Have the best points of a search confirmed when its trials have ended, now and later on.

    Trainings that failed so far are tried once more.
    """
    study.set_user_attr(_FIRST_AFTER, len(study.get_trials(deepcopy=False)))
    study.set_user_attr(_CONFIRM, settings.model_dump(mode="json"))


def requested_confirmation(study: optuna.Study) -> Confirm | None:
    """Return how the best points are to be confirmed, as last requested or as in the file."""
    attributes = study.user_attrs
    requested = attributes.get(_CONFIRM) or attributes.get(_CONFIRM_IN_FILE)
    return Confirm.model_validate(requested) if requested else None


def forgiven(study: optuna.Study) -> int:
    """Return below which number of a trial a failed training does not count as one."""
    return int(study.user_attrs.get(_FIRST_AFTER, 0))


def preference(study: optuna.Study) -> Preference:
    """Return what is recommended of the trials that are tied with the best."""
    return (requested_confirmation(study) or Confirm()).prefer


def current_request(study: optuna.Study) -> ControlRequest:
    """Return the pending request to a study's driver; empty if there is none."""
    request: ControlRequest = study.user_attrs.get(_REQUEST, "")
    return request


def with_extensions(settings: Search, study: optuna.Study) -> Search:
    """Return a search's settings as changed by requests: limits raised, the best confirmed.

    No limit becomes smaller. Each point by hand is one more trial.
    """
    return _with_limits(settings, study.user_attrs)


def _with_limits(settings: Search, attributes: Mapping[str, Any]) -> Search:
    limits: Mapping[str, Any] = attributes.get(_EXTENDED, {})
    trials = max(settings.trials, int(limits.get("trials", 0)))
    budget = {
        name: max(limit, limits[name])
        for name in ("hours", "gpu_hours")
        if name in limits and (limit := getattr(settings.budget, name)) is not None
    }
    confirm = settings.confirm
    if (requested := attributes.get(_CONFIRM)) is not None:
        confirm = Confirm.model_validate(requested)
    return settings.model_copy(
        update={
            "trials": trials + len(points_in(attributes)),
            "budget": settings.budget.model_copy(update=budget),
            "confirm": confirm,
        }
    )


class ControlRequests:
    """Requests to the driver of a study; read from the database once a second at most."""

    def __init__(self, study: optuna.Study, settings: Search) -> None:
        """Drop requests to an earlier driver, but keep raised limits."""
        self._study = study
        self._file_settings = settings
        in_file = settings.confirm and settings.confirm.model_dump(mode="json")
        if study.user_attrs.get(_CONFIRM_IN_FILE) != in_file:
            study.set_user_attr(_CONFIRM_IN_FILE, in_file)
        if current_request(study):
            send_request(study, "")
        self.refresh()

    def refresh(self) -> None:
        """Read the study's attributes now."""
        attributes = with_retries(lambda: self._study.user_attrs)
        self._request: ControlRequest = attributes.get(_REQUEST, "")
        self._settings = _with_limits(self._file_settings, attributes)
        self.points = points_in(attributes)
        self._read_at = time.monotonic()

    def current(self) -> ControlRequest:
        """Return the pending request, read a second ago at most; empty if there is none."""
        if time.monotonic() - self._read_at > _EVERY_S:
            self.refresh()
        return self._request

    @property
    def settings(self) -> Search:
        """The search's settings with raised limits, as last read."""
        return self._settings
