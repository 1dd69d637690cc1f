import time

import numpy as np
import pytest

from tauopt.config.settings.objective import ObjectiveName as Name
from tauopt.errors import DataError
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tests.metrics.toys import gaussians, several_classes

OBJECTIVES = [
    Name("rejection", 0.6),
    Name("rejection", 0.75, 3),
    Name("auc"),
    Name("accuracy"),
    Name("balanced_accuracy"),
    Name("balanced_accuracy", prongs=3),
    Name("neg_log_loss"),
]


def smeared(predictions, rng, *, sigma):
    """The same candidates, seen by a network that is worse by noise on its score."""
    logit = np.log(predictions.probabilities[:, 1] / predictions.probabilities[:, 0])
    p = 1 / (1 + np.exp(-logit - sigma * rng.normal(size=len(predictions))))
    return Predictions(
        np.stack([1 - p, p], axis=1), predictions.labels, predictions.weights,
        classes=predictions.classes, signal=predictions.signal, columns=predictions.columns,
    )  # fmt: skip


def with_prongs(rng, **more):
    return gaussians(rng, prongs=rng.choice([1, 3], 4000), **more)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_worse_network_is_found_worse_and_the_better_one_is_not(objective):
    rng = np.random.default_rng(1)
    good = with_prongs(rng, separation=2.0)
    bad = smeared(good, rng, sigma=1.5)
    worse = paired_bootstrap(objective, bad, good, rng=rng)
    assert worse.p_worse < 0.05 < worse.p_better
    assert worse.high < 0
    assert worse.value == pytest.approx(
        measure(objective, bad).value - measure(objective, good).value
    )
    assert paired_bootstrap(objective, good, bad, rng=rng).p_better < 0.05


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_network_is_never_worse_than_itself(objective):
    same = with_prongs(np.random.default_rng(2))
    difference = paired_bootstrap(objective, same, same, rng=np.random.default_rng(2))
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert difference.p_worse == difference.p_better == 1


def test_same_seed_gives_the_same_answer():
    a = with_prongs(np.random.default_rng(3))
    b = smeared(a, np.random.default_rng(3), sigma=0.1)
    twice = [paired_bootstrap(Name("auc"), a, b, rng=np.random.default_rng(9)) for _ in range(2)]
    assert twice[0] == twice[1]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_replicas_are_the_objective_on_candidates_drawn_again(objective):
    rng = np.random.default_rng(4)
    a = several_classes(rng, candidates=500, negative=0.05)
    noise = np.abs(a.probabilities + 0.1 * rng.normal(size=(500, 4))) + 1e-3
    b = Predictions(
        noise / noise.sum(axis=1, keepdims=True), a.labels, a.weights,
        classes=a.classes, signal=a.signal, columns=a.columns,
    )  # fmt: skip
    slow = []
    replay = np.random.default_rng(5)
    chosen = [p if objective.prongs is None else p.with_prongs(objective.prongs) for p in (a, b)]
    for _ in range(100):
        again = np.repeat(np.arange(len(chosen[0])), replay.poisson(1.0, len(chosen[0])))
        slow.append(
            measure(objective, chosen[0].where(again)).value
            - measure(objective, chosen[1].where(again)).value
        )
    fast = paired_bootstrap(objective, a, b, rng=np.random.default_rng(5), replicas=100)
    low, high = np.percentile(slow, [15.865, 84.135])
    assert fast.low == pytest.approx(min(low, fast.value), rel=1e-6, abs=1e-9)
    assert fast.high == pytest.approx(max(high, fast.value), rel=1e-6, abs=1e-9)


def test_interval_is_the_spread_over_many_samples():
    differences, stated = [], []
    rng = np.random.default_rng(6)
    for _ in range(60):
        a = with_prongs(rng)
        b = smeared(a, rng, sigma=0.5)
        difference = paired_bootstrap(Name("auc"), a, b, rng=rng, replicas=40)
        differences.append(difference.value)
        stated.append((difference.high - difference.low) / 2)
    assert np.mean(stated) == pytest.approx(np.std(differences), rel=0.3)


def test_other_candidates_can_not_be_compared():
    rng = np.random.default_rng(7)
    a = with_prongs(rng)
    with pytest.raises(DataError, match="same candidates"):
        paired_bootstrap(Name("auc"), a, a.where(np.arange(4000) > 0), rng=rng)
    with pytest.raises(DataError, match="same candidates"):
        paired_bootstrap(Name("auc"), a, with_prongs(rng, weights=np.full(4000, 2.0)), rng=rng)


def test_twenty_five_thousand_candidates_take_seconds_at_most():
    rng = np.random.default_rng(8)
    a = gaussians(rng, signal=12_500, background=12_500)
    start = time.process_time()
    paired_bootstrap(Name("rejection", 0.75), a, smeared(a, rng, sigma=0.2), rng=rng)
    assert time.process_time() - start < 5
