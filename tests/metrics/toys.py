"""Small made-up predictions, and slow, obvious references."""

import numpy as np

from tauopt.metrics.predictions import Predictions


def gaussians(rng, *, signal=2000, background=2000, separation=1.5, weights=None, prongs=None):
    """Two Gaussians `separation` apart, squeezed into (0, 1) as a binary network's output."""
    labels = np.repeat([1, 0], [signal, background])
    x = rng.normal(size=signal + background) + separation * labels
    p = 1 / (1 + np.exp(-x))
    return Predictions(
        np.stack([1 - p, p], axis=1),
        labels,
        np.ones(len(labels)) if weights is None else weights,
        classes=("jet", "tau"),
        signal=("tau",),
        columns={} if prongs is None else {"prongs": prongs},
    )


def several_classes(rng, *, candidates=3000, negative=0.0):
    """Four classes with probabilities that lean to the true one, and 1 or 3 prongs."""
    labels = rng.integers(0, 4, candidates)
    logits = rng.normal(size=(candidates, 4)) + 1.5 * np.eye(4)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    weights = rng.exponential(size=candidates) * np.where(rng.random(candidates) < negative, -1, 1)
    columns = {"prongs": rng.choice([1, 3], candidates), "pt": rng.exponential(30, candidates)}
    classes = ("jet", "1p0n", "1p1n", "3p0n")
    return Predictions(
        p.astype(np.float32), labels, weights, classes=classes, signal=classes[1:], columns=columns
    )


def slow_auc(score, is_signal, weights):
    total = wins = 0.0
    for s, ws in zip(score[is_signal], weights[is_signal], strict=True):
        for b, wb in zip(score[~is_signal], weights[~is_signal], strict=True):
            total += ws * wb
            wins += ws * wb * (1.0 if s > b else 0.5 if s == b else 0.0)
    return wins / total


def slow_efficiencies(score, is_signal, weights):
    """Signal and background efficiency of every cut, tightest first."""
    cuts = [np.inf, *sorted(set(score), reverse=True)]
    return [
        np.array([weights[(score >= cut) & kind].sum() / weights[kind].sum() for cut in cuts])
        for kind in (is_signal, ~is_signal)
    ]


def slow_background_at(score, is_signal, weights, at):
    """Background efficiency where the signal efficiency is `at`, walking from either end."""
    signal, background = slow_efficiencies(score, is_signal, weights)
    upward = next(i for i in range(len(signal)) if signal[i] >= at - 1e-9)
    downward = max(i for i in range(len(signal)) if signal[i] < at - 1e-9) + 1
    crossings = []
    for i in (upward, downward):
        part = min(max((at - signal[i - 1]) / (signal[i] - signal[i - 1]), 0.0), 1.0)
        crossings.append(background[i - 1] + part * (background[i] - background[i - 1]))
    return sum(crossings) / 2
