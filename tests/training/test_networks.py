"""Each network trains in a trial, from a dataset to a model that separates jets from taus."""

from __future__ import annotations

import json

import pytest

from tauopt.training.train_trial import run_trial
from tests.models.specs import by_default
from tests.prepared_factory import prepared_dataset
from tests.training import toys

OBJECTS = {"tracks": {"length": 5}, "neutral_pfos": {"length": 4}}
SMALL = {
    "transformer": {
        "layers": 1,
        "dim": 16,
        "heads": 2,
        "feed_forward": 16,
        "pairwise": True,
        "groups": OBJECTS,
    },
    "particlenet": {
        "channels": {"layers": 1, "units": 16},
        "groups": OBJECTS,
        "merge": {"layers": 0},
    },
    "deeptau": {
        "groups": {"tracks": {"objects": {"layers": 1, "units": 16}}},
        "inner": {"cells": 3, "size": 0.05},
        "outer": {"cells": 3, "size": 0.2},
        "candidate": {"layers": 0},
        "cells": {"layers": 1, "units": 16},
        "filters": 16,
        "merge": {"layers": 1, "units": 16},
    },
    "decay_mode_rnn": {"groups": {"neutral_pfos": {"units": 8}}, "inputs": "all"},
    "dense": {"units": 32, "groups": {"tracks": {"length": 4}}, "drop": "tracks.d0"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=2000)


@pytest.mark.parametrize("network", by_default({"transformer"}, SMALL))
def test_a_trial_of_a_network_learns(network, dataset, tmp_path, monkeypatch):
    """`models/test_contract.py` tests for every network that it can be trained at all."""
    monkeypatch.setitem(toys.NETWORKS, network, {"type": network, **SMALL[network]})
    plan = toys.plan(
        dataset, tmp_path, network=network, objective="auc", epochs=3, learning_rate=0.005
    )
    for _ in run_trial(plan, tracker=toys.Recorder()):
        pass
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"]["auc"][0] > 0.9
