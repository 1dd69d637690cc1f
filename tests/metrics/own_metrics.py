"""Metrics as users write them, and what goes wrong."""

import numpy as np


def punzi(scores, labels, weights, sigmas=3.0):
    """Punzi's figure of merit, largest over cuts on the score: efficiency / (sigmas / 2 + sqrt(B)).

    Source: G. Punzi, PHYSTAT 2003, arXiv:physics/0308063.
    """
    order = np.argsort(-scores, kind="stable")
    signal = np.cumsum(np.where(labels, weights, 0.0)[order])
    background = np.cumsum(np.where(labels, 0.0, weights)[order])
    return np.max(signal / signal[-1] / (sigmas / 2 + np.sqrt(background)))


def area(scores, labels, weights):
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(labels, scores, sample_weight=weights)


def central(probabilities, true_class, weights, spectators):
    central = spectators["eta"] < 1.0
    right = probabilities.argmax(axis=1) == true_class
    return np.average(right[central], weights=weights[central])


def raising(scores):
    return scores["pt"]


def nothing(scores):
    return None


def an_array(scores, weights):
    return scores * weights


def not_finite(scores, labels, weights):
    return np.float64(np.nan)


def asks_too_much(scores, truth, run_number):
    return 0.0


not_a_function = 3.0
