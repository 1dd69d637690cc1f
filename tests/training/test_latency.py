"""Latencies: on one core, reproducible, and in proportion to the work."""

import os
import threading
import time

import numpy as np
import pytest

from tauopt.config.settings.objective import parse_cost
from tauopt.models.build_model import build_model
from tauopt.training.latency import WARM_UP, copy_of, latencies, latency, one_core
from tauopt.training.prediction import Predictor
from tests.models.specs import SMALL, batch, by_default, spec_for


def busy(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_latency_is_the_time_of_a_call_for_each_candidate():
    measured = latency(lambda: busy(0.004), candidates=8)
    assert measured.value == pytest.approx(500, rel=0.1)
    assert measured.low <= measured.value <= measured.high < 1000


def test_waiting_for_others_and_the_first_calls_do_not_count():
    calls = []

    def call():
        calls.append(len(calls))
        time.sleep(0.002)
        busy(0.05 if len(calls) <= WARM_UP else 0.003)

    assert latency(call, candidates=1).value == pytest.approx(3000, rel=0.1)
    assert len(calls) > WARM_UP


def test_a_slow_call_is_repeated_a_few_times_only():
    begun = time.process_time()
    latency(lambda: busy(0.05), candidates=1)
    assert time.process_time() - begun < 1.0


def test_all_threads_share_one_core_and_get_theirs_back():
    seen, go, end = {}, threading.Event(), threading.Event()

    def look():
        seen["before"] = os.sched_getaffinity(0)
        go.wait()
        seen["inside"] = os.sched_getaffinity(0)
        end.wait()
        seen["after"] = os.sched_getaffinity(0)

    own = os.sched_getaffinity(0)
    thread = threading.Thread(target=look)
    thread.start()
    while "before" not in seen:
        time.sleep(0.001)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
        go.set()
        while "inside" not in seen:
            time.sleep(0.001)
    end.set()
    thread.join()
    assert os.sched_getaffinity(0) == own
    assert len(seen["inside"]) == 1
    assert seen["after"] == seen["before"] == own


def test_the_core_is_given_back_after_an_error():
    own = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), one_core():
        _ = 1 / 0
    assert os.sched_getaffinity(0) == own


@pytest.mark.parametrize("name", by_default({"gru", "decay_mode_rnn", "deepsets", "particlenet"}))
def test_a_network_is_copied_with_its_weights_for_the_processor(name):
    spec = spec_for(SMALL[name])
    model, inputs = build_model(spec, SMALL[name], seed=1), batch(spec, size=6)
    expected, found = (np.asarray(m(inputs, training=False)) for m in (model, copy_of(model)))
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def network():
    spec = spec_for(SMALL["rnn"])
    return build_model(spec, SMALL["rnn"], seed=1), batch(spec, size=20)


def test_a_candidate_in_a_batch_takes_less_time_than_one_by_itself(network):
    model, inputs = network
    costs = [parse_cost(name) for name in ("latency_us", "latency_us@256", "parameters")]
    found = latencies(costs, model, inputs)
    assert list(found) == ["latency_us", "latency_us@256"]
    assert 20 * found["latency_us@256"].value < found["latency_us"].value < 50_000


def test_a_latency_is_reproducible(network):
    model, inputs = network
    predictor, cost = Predictor(model), [parse_cost("latency_us")]
    one, two, three = (
        latencies(cost, model, inputs, predictor=predictor)["latency_us"].value for _ in range(3)
    )
    assert np.ptp([one, two, three]) < 0.5 * np.median([one, two, three])


def test_costs_that_are_no_latencies_run_no_network():
    assert latencies([parse_cost("parameters")], None, {}) == {}
