"""Mutual exclusion on a server: one client at a time, however slow, and a dead one is passed."""

from __future__ import annotations

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tauopt.tracking import registry_turns


@pytest.fixture
def name(client):
    name = f"tau-{uuid.uuid4().hex}"
    client.create_registered_model(name)
    return name


class Slow:
    """A client whose every request takes its time, before and after it is answered."""

    def __init__(self, client, seed):
        self._client, self._random = client, random.Random(seed)

    def __getattr__(self, name):
        call = getattr(self._client, name)

        def slow(*args):
            time.sleep(self._random.choice((0, 0, 0.02, 0.2)))
            answer = call(*args)
            time.sleep(self._random.choice((0, 0, 0.02, 0.2)))
            return answer

        return slow


def test_one_client_is_inside_at_a_time_and_all_get_in(client, name):
    inside, most, entered, together = [], [], [], threading.Barrier(6)

    def enter(number):
        together.wait()
        with registry_turns.turn(Slow(client, number), name):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)
            entered.append(number)

    with ThreadPoolExecutor(6) as clients:
        list(clients.map(enter, range(6)))
    assert sorted(entered) == list(range(6))
    assert max(most) == 1
    assert client.get_registered_model(name).tags == {}


@pytest.mark.parametrize("left", ["drawing", "1"])
def test_the_ticket_of_a_dead_client_is_removed_and_other_tags_stay(
    client, name, monkeypatch, left
):
    monkeypatch.setattr(registry_turns, "_GONE_S", 0.5)
    client.set_registered_model_tag(name, f"{registry_turns.PREFIX}dead", left)
    client.set_registered_model_tag(name, "theirs", "stays")
    begun = time.monotonic()
    with registry_turns.turn(client, name):
        assert time.monotonic() - begun > 0.5
        assert f"{registry_turns.PREFIX}dead" not in client.get_registered_model(name).tags
    assert client.get_registered_model(name).tags == {"theirs": "stays"}


def test_an_error_in_the_block_removes_the_ticket(client, name):
    with pytest.raises(ZeroDivisionError), registry_turns.turn(client, name):
        raise ZeroDivisionError
    assert client.get_registered_model(name).tags == {}
