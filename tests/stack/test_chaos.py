"""Whatever part of a stack is killed, nothing of a search is lost or doubled."""

import pytest

from tests.stack.chaos import chaos


@pytest.mark.slow
@pytest.mark.service
def test_a_search_survives_whatever_is_killed_under_it(stack):
    outcome = chaos(stack, seed=3, seconds=70, trials=10, epochs=100)
    assert sum(outcome.killed.values()) >= 1, outcome
    assert outcome.reproduced == "exactly"


@pytest.mark.slow
@pytest.mark.service
def test_a_search_survives_twenty_minutes_of_it(stack):
    outcome = chaos(stack, seed=2, seconds=1200, trials=160)
    assert sum(outcome.killed.values()) > 30, outcome
    assert outcome.reproduced == "exactly"
