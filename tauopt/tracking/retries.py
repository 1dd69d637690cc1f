"""Retry requests to MLflow, which may fail once and succeed a moment later."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tauopt.errors import ServiceError
from tauopt.tracking.client import is_rejected

_ATTEMPTS = 8
T = TypeVar("T")


def retry(call: Callable[[], T]) -> T:
    """Retry `call` with exponential back-off and jitter, and return its result.

    Raises:
        ServiceError: every attempt failed.
        MlflowException: MLflow rejects the request, so that a retry can't succeed.
    """
    from mlflow.exceptions import MlflowException

    for attempt in range(_ATTEMPTS):
        try:
            return call()  # simultaneous registrations, for one, can fail with status 500
        except MlflowException as error:
            if is_rejected(error):
                raise
            if attempt == _ATTEMPTS - 1:
                raise ServiceError(
                    f"MLflow failed at {_ATTEMPTS} attempts: {error}; try again later, or check "
                    "the server's log"
                ) from error
        time.sleep(random.uniform(0.1, 0.4) * 1.6**attempt)
    raise AssertionError("not reached: the last attempt returns or raises")


def or_none(call: Callable[[], T]) -> T | None:
    """Return the result of `call`; None if MLflow rejects the request, as for an unknown name."""
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        if is_rejected(error):
            return None
        raise
