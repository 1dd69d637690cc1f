"""Turns at a registered model on a server, which has no lock to hold.

Lamport's bakery (CACM 17 (1974) 453): who wants a turn draws a number above all that stand, and
waits until nobody is drawing and nobody stands before. It asks only for registers that one writes
and all read; here they are tags of the registered model, one for each who waits.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tauopt.tracking.retries import again, or_none

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "tauopt.turn."
_DRAWING = "drawing"
_GONE_S = 60.0
"""Who stands first and does nothing for so long has died: a turn is three requests."""


@contextlib.contextmanager
def turn(client: MlflowClient, name: str) -> Iterator[None]:
    """Be the only one in this block for a registered model of a server.

    Args:
        client: from `connect`.
        name: registered model; it exists.
    Raises:
        ServiceError: the registry does not answer.
    """
    mine = PREFIX + uuid.uuid4().hex
    try:
        _write(client, name, mine, _DRAWING)
        drawn = [int(text) for text in _standing(client, name).values() if text != _DRAWING]
        place = 1 + max(drawn, default=0)
        _write(client, name, mine, str(place))
        _wait(client, name, (place, mine))
        yield
    finally:
        _leave(client, name, mine)


def _wait(client: MlflowClient, name: str, mine: tuple[int, str]) -> None:
    """Return when nobody stands before us; who stands there and has died is taken away."""
    seen, since = _standing(client, name), time.monotonic()
    while before := _before(seen, mine):
        if time.monotonic() - since > _GONE_S:
            _leave(client, name, before[0])
        time.sleep(random.uniform(0.05, 0.15) * len(before))
        now = _standing(client, name)
        if now != seen:
            seen, since = now, time.monotonic()


def _before(standing: dict[str, str], mine: tuple[int, str]) -> list[str]:
    """Return the keys of those before us, the first one first: who draws may yet draw less."""
    places = [(0 if text == _DRAWING else int(text), key) for key, text in standing.items()]
    return [key for place, key in sorted(places) if (place, key) < mine]


def _standing(client: MlflowClient, name: str) -> dict[str, str]:
    tags = again(partial(client.get_registered_model, name)).tags
    return {key: text for key, text in tags.items() if key.startswith(PREFIX)}


def _write(client: MlflowClient, name: str, key: str, text: str) -> None:
    again(partial(client.set_registered_model_tag, name, key, text))


def _leave(client: MlflowClient, name: str, key: str) -> None:
    again(lambda: or_none(partial(client.delete_registered_model_tag, name, key)))
