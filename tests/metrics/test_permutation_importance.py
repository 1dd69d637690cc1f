"""Permutation importance of made-up networks, which use given inputs only."""

import numpy as np
import pytest

from tauopt.metrics.permutation_importance import (
    PermutedCandidates,
    importances,
    permute_within,
    permuted,
)
from tauopt.metrics.predictions import Predictions


def inputs(rng, count=2000):
    n = rng.integers(0, 5, count)
    mask = np.arange(4) < n[:, None]
    tracks = rng.normal(size=(count, 4, 2)) * mask[..., None]
    return {
        "candidate": rng.normal(size=(count, 2)).astype(np.float32),
        "tracks": tracks.astype(np.float32),
        "tracks_mask": mask,
    }


def network(read):
    """A network whose score is a function of its inputs."""

    def predict(arrays):
        p = 1 / (1 + np.exp(-read(arrays)))
        return np.stack([1 - p, p], axis=1)

    return predict


def candidates(rng, read, *, negative=0.1):
    arrays = inputs(rng)
    probabilities = network(read)(arrays)
    count = len(probabilities)
    predictions = Predictions(
        probabilities,
        (rng.random(count) < probabilities[:, 1]).astype(int),
        np.where(rng.random(count) < negative, -1.0, 1.0),
        classes=("jet", "tau"),
        signal=("tau",),
    )
    return PermutedCandidates(
        arrays, predictions, {"candidate": ("a", "b"), "tracks": ("pt", "d0")}
    )


def importance_by_name(read, **more):
    rng = np.random.default_rng(1)
    sample = candidates(rng, read, **more)
    return {entry.name: entry for entry in importances(network(read), sample, rng=rng)}


def test_only_features_that_the_network_uses_are_important():
    entries = importance_by_name(lambda x: 3 * x["candidate"][:, 0])
    assert entries["candidate.a"].lost.low > 0.2
    assert entries["candidate"].whole
    assert entries["candidate"].lost.value == pytest.approx(
        entries["candidate.a"].lost.value, abs=0.05
    )
    for name in ("candidate.b", "tracks", "tracks.pt", "tracks.d0"):
        assert entries[name].lost.triple == [0, 0, 0]


def test_permuting_a_feature_of_objects_keeps_their_multiplicity():
    sums = importance_by_name(lambda x: 2 * x["tracks"][..., 0].sum(axis=1))
    assert sums["tracks.pt"].lost.low > 0.1
    counts = importance_by_name(lambda x: x["tracks_mask"].sum(axis=1) - 2.0)
    assert counts["tracks"].lost.low > 0.1
    assert counts["tracks.pt"].lost.value == 0


def test_the_error_of_a_loss_is_its_spread_over_many_samples():
    def read(x):
        return 1.5 * x["candidate"][:, 0]

    losses = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        sample = candidates(rng, read)
        losses.append(next(entry.lost for entry in importances(network(read), sample, rng=rng)))
    stated = np.mean([(loss.high - loss.low) / 2 for loss in losses])
    assert stated == pytest.approx(np.std([loss.value for loss in losses]), rel=0.5)


def test_candidates_are_permuted_within_their_kind():
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 6, 1000)
    order = permute_within(kinds, rng=rng)
    assert (kinds[order] == kinds).all()
    assert sorted(order) == list(range(1000))
    assert np.mean(order == np.arange(1000)) < 0.05


def test_masked_objects_stay_zero_and_other_features_stay_where_they_are():
    rng = np.random.default_rng(1)
    before = inputs(rng)
    after = permuted(before, "tracks", 0, rng=rng)
    assert (after["tracks"][~before["tracks_mask"]] == 0).all()
    assert (after["tracks"][..., 1] == before["tracks"][..., 1]).all()
    assert (after["tracks_mask"] == before["tracks_mask"]).all()
    assert sorted(after["tracks"][..., 0].ravel()) == sorted(before["tracks"][..., 0].ravel())
    group = permuted(before, "tracks", None, rng=rng)
    assert (group["tracks"][~group["tracks_mask"]] == 0).all()
