"""What the script on the demo sample shows at length, on a few hundred candidates."""

from __future__ import annotations

import numpy as np
import pytest

from tests.comparison.parity import ALIKE, by_keras, by_tauopt, row
from tests.prepared_factory import prepared_dataset
from tests.training import toys

NETWORKS = {
    "rnn": {"groups": {"tracks": {"length": 4, "units": 8}}},
    "decay_mode_rnn": {"groups": {"tracks": {"length": 4, "units": 8}, "neutral_pfos": {}}},
    "deepsets": {"groups": {"tracks": {"length": 5}, "conversions": {}}},
    "dense": {},
}


SLOW = ("decay_mode_rnn", "deepsets")
"""Both are trained beside plain Keras in `training/test_parity.py` too, or are much like `rnn`."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepared_dataset(tmp_path_factory.mktemp("data"), candidates=1000)


@pytest.mark.parametrize(
    "name", ["rnn", "dense", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
)
def test_a_trial_goes_the_way_of_a_script_in_plain_keras(name, dataset, tmp_path, monkeypatch):
    """Twenty-nine steps; batches cross the ends of epochs: 600 candidates, 64 at a time."""
    monkeypatch.setitem(toys.NETWORKS, name, {"type": name, **NETWORKS[name]})
    settings = {**ALIKE, "batch_size": 64, "epochs": 3, "learning_rate": 0.005}
    plan = toys.plan(dataset, tmp_path, network=name, objective="auc", **settings)
    ours = by_tauopt(plan.experiment, dataset, plan.seed, tmp_path / "trial")
    plain = by_keras(plan.experiment, dataset, plan.seed)
    assert plain.loss[0] - plain.loss[-1] > 0.05, [*row(name, ours, plain)]
    np.testing.assert_allclose(ours.loss, plain.loss, atol=1e-3)
    if name != "deepsets":  # Keras's moving statistics still hold the zeros that they begin with
        np.testing.assert_allclose(ours.val_loss, plain.val_loss, atol=1e-3)
        np.testing.assert_allclose(ours.value, plain.value, atol=1e-3)
