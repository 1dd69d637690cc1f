"""Requests to MLflow that may fail once and succeed a moment later."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tauopt.errors import ServiceError
from tauopt.tracking.client import is_rejected

_ATTEMPTS = 8
T = TypeVar("T")


def again(call: Callable[[], T]) -> T:
    """Call until it succeeds, with jitter: registrations at once can answer 500.

    Raises:
        ServiceError: it failed every time.
        Exception: what MLflow refuses for good, as it is.
    """
    from mlflow.exceptions import MlflowException

    for attempt in range(_ATTEMPTS):
        try:
            return call()
        except MlflowException as error:
            if is_rejected(error):
                raise
            if attempt == _ATTEMPTS - 1:
                raise ServiceError(f"the model registry fails: {error}") from error
        time.sleep(random.uniform(0.1, 0.4) * 1.6**attempt)
    raise ServiceError("the model registry fails")  # not reached


def or_none(call: Callable[[], T]) -> T | None:
    """Return what MLflow answers; None where it knows of no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        if is_rejected(error):
            return None
        raise
