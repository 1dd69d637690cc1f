"""Permutation importance of made-up networks, which read what they are told to."""

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


def reads(read):
    """A network whose score is a function of its inputs."""

    def predict(arrays):
        p = 1 / (1 + np.exp(-read(arrays)))
        return np.stack([1 - p, p], axis=1)

    return predict


def material(rng, read, *, negative=0.1):
    arrays = inputs(rng)
    probabilities = reads(read)(arrays)
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


def found(read, **more):
    rng = np.random.default_rng(1)
    given = material(rng, read, **more)
    return {one.name: one for one in importances(reads(read), given, rng=rng)}


def test_what_the_network_reads_is_important_and_the_rest_is_not():
    of = found(lambda x: 3 * x["candidate"][:, 0])
    assert of["candidate.a"].lost.low > 0.2
    assert of["candidate"].whole
    assert of["candidate"].lost.value == pytest.approx(of["candidate.a"].lost.value, abs=0.05)
    for name in ("candidate.b", "tracks", "tracks.pt", "tracks.d0"):
        assert of[name].lost.triple == [0, 0, 0]


def test_a_feature_of_objects_is_lost_without_losing_how_many_there_are():
    of = found(lambda x: 2 * x["tracks"][..., 0].sum(axis=1))
    assert of["tracks.pt"].lost.low > 0.1
    counts = found(lambda x: x["tracks_mask"].sum(axis=1) - 2.0)
    assert counts["tracks"].lost.low > 0.1
    assert counts["tracks.pt"].lost.value == 0


def test_errors_say_how_much_the_loss_scatters_from_sample_to_sample():
    def read(x):
        return 1.5 * x["candidate"][:, 0]

    losses = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        given = material(rng, read)
        losses.append(next(one.lost for one in importances(reads(read), given, rng=rng)))
    told = np.mean([(one.high - one.low) / 2 for one in losses])
    assert told == pytest.approx(np.std([one.value for one in losses]), rel=0.5)


def test_exchanged_candidates_are_of_the_same_kind_and_each_is_used_once():
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
    whole = permuted(before, "tracks", None, rng=rng)
    assert (whole["tracks"][~whole["tracks_mask"]] == 0).all()
