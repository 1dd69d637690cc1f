"""A large made-up sample whose score depends on pT and pile-up, so that one cut is not flat."""

import numpy as np

from tauopt.metrics.predictions import Predictions


def taus_and_jets(rng, *, signal=60_000, background=20_000, negative=0.0):
    """Two background classes; the score rises with pT and falls with pile-up, more at 3 prongs."""
    n = signal + background
    labels = np.concatenate([np.full(signal, 2), rng.integers(0, 2, background)])
    prongs = rng.choice([1, 3], n, p=[0.7, 0.3])
    pt = 20e3 + rng.exponential(25e3, n)
    mu = np.clip(rng.normal(35, 10, n), 0, None)
    drift = 0.5 * np.log(pt / 40e3) - 0.03 * (mu - 35)
    logits = rng.normal(size=(n, 3)) * [0.7, 0.7, 0.3] + 0.8 * np.eye(3)[labels]
    logits[:, 2] += drift * np.where(prongs == 3, 1.3, 1.0)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    weights = rng.exponential(size=n) * np.where(rng.random(n) < negative, -1, 1)
    return Predictions(
        p, labels, weights if negative else np.ones(n), classes=("jet", "e", "tau"),
        signal=("tau",), columns={"prongs": prongs, "pt": pt, "mu": mu},
    )  # fmt: skip
