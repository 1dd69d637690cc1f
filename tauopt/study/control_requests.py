"""What somebody asks of a running search from another shell, or another machine.

A wish is an attribute of the study, which the driver reads every second: so it reaches a driver
wherever it runs, and needs no port.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import optuna

from tauopt.config.settings.experiment import Search
from tauopt.study.study_storage import patient

ControlRequest = Literal["", "stop"]

_WISH = "tauopt.wish"
_EXTENDED = "tauopt.extended"
_EVERY_S = 1.0


def ask(study: optuna.Study, wish: ControlRequest) -> None:
    """Ask the driver of a study to stop; nothing lets it go on."""
    study.set_user_attr(_WISH, wish)


def extend(study: optuna.Study, **limits: float) -> None:
    """Give a search more `trials`, `hours` or `gpu_hours` in all, also after its next resume."""
    study.set_user_attr(_EXTENDED, {**study.user_attrs.get(_EXTENDED, {}), **limits})


def wish_of(study: optuna.Study) -> ControlRequest:
    """Return what is asked of a study's driver."""
    found: ControlRequest = study.user_attrs.get(_WISH, "")
    return found


def extended(settings: Search, study: optuna.Study) -> Search:
    """Return a search's settings with the limits that it was given since; never less of them."""
    return _laid(settings, study.user_attrs.get(_EXTENDED, {}))


def _laid(settings: Search, limits: Mapping[str, Any]) -> Search:
    budget = {
        name: max(limit, limits[name])
        for name in ("hours", "gpu_hours")
        if name in limits and (limit := getattr(settings.budget, name)) is not None
    }
    return settings.model_copy(
        update={
            "trials": max(settings.trials, int(limits.get("trials", 0))),
            "budget": settings.budget.model_copy(update=budget),
        }
    )


class ControlRequests:
    """Listens to a study for its driver; the study is asked once a second at most."""

    def __init__(self, study: optuna.Study, settings: Search) -> None:
        """Forget what was asked of an earlier driver, but not what the search was given."""
        self._study = study
        self._given = settings
        if wish_of(study):
            ask(study, "")
        self.look()

    def look(self) -> None:
        """Ask the study now."""
        attributes = patient(lambda: self._study.user_attrs)
        self._wish: ControlRequest = attributes.get(_WISH, "")
        self._settings = _laid(self._given, attributes.get(_EXTENDED, {}))
        self._looked = time.monotonic()

    def now(self) -> ControlRequest:
        """Return what is asked for."""
        if time.monotonic() - self._looked > _EVERY_S:
            self.look()
        return self._wish

    @property
    def settings(self) -> Search:
        """The search's settings with the limits that it has been given, as last read."""
        return self._settings
