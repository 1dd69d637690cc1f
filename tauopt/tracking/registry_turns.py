"""Mutual exclusion between clients of an MLflow server, which offers no lock.

Lamport's bakery algorithm (CACM 17 (1974) 453): a client draws a ticket number above all others,
and waits until nobody is drawing and nobody has a smaller number. The algorithm needs only
registers that one process writes and all read; here each waiting client has a tag of the
registered model.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tauopt.tracking.retries import or_none, retry

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "tauopt.turn."
"""Prefix of the tags of waiting clients."""
_DRAWING = "drawing"
_GONE_S = 60.0
"""A client that is first and changes nothing for so long has died: a turn is three requests."""


@contextlib.contextmanager
def turn(client: MlflowClient, name: str) -> Iterator[None]:
    """Exclude other clients from a registered model of a server for the length of the block.

    Args:
        client: from `connect`.
        name: registered model; it exists.
    Raises:
        ServiceError: the registry does not answer.
    """
    key = PREFIX + uuid.uuid4().hex
    try:
        retry(partial(client.set_registered_model_tag, name, key, _DRAWING))
        numbers = [int(text) for text in _tickets(client, name).values() if text != _DRAWING]
        number = 1 + max(numbers, default=0)
        retry(partial(client.set_registered_model_tag, name, key, str(number)))
        _wait(client, name, (number, key))
        yield
    finally:
        _remove(client, name, key)


def _wait(client: MlflowClient, name: str, ticket: tuple[int, str]) -> None:
    """Wait until no client is before us; remove the ticket of a client that has died."""
    tickets, since = _tickets(client, name), time.monotonic()
    while before := _before(tickets, ticket):
        if time.monotonic() - since > _GONE_S:
            _remove(client, name, before[0])
        time.sleep(random.uniform(0.05, 0.15) * len(before))
        present = _tickets(client, name)
        if present != tickets:
            tickets, since = present, time.monotonic()


def _before(tickets: dict[str, str], ticket: tuple[int, str]) -> list[str]:
    """Return the keys of the tickets before ours, the first one first."""
    # A client that is drawing counts as number 0: it may still draw a smaller number than ours.
    numbered = [(0 if text == _DRAWING else int(text), key) for key, text in tickets.items()]
    return [key for number, key in sorted(numbered) if (number, key) < ticket]


def _tickets(client: MlflowClient, name: str) -> dict[str, str]:
    tags = retry(partial(client.get_registered_model, name)).tags
    return {key: text for key, text in tags.items() if key.startswith(PREFIX)}


def _remove(client: MlflowClient, name: str, key: str) -> None:
    retry(lambda: or_none(partial(client.delete_registered_model_tag, name, key)))
