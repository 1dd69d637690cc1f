"""Boosted trees on all that a network can see, laid flat: a stronger reference than a BDT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from tauopt.config.settings.experiment import Task
from tauopt.config.settings.objective import parse_objective
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.stream.batches import batches

LENGTHS = {"tracks": 10, "clusters": 8, "neutral_pfos": 10, "conversions": 4}
"""Objects laid flat; missing ones are NaN, which the trees know to be missing."""
OBJECTIVE = parse_objective("rejection@0.75")
"""What the best settings are picked by on the validation split, as the networks' are."""


@dataclass(frozen=True)
class Flat:
    """A split as trees see it, of N candidates.

    Attributes:
        x: (N, feature) float32, in physical units, NaN where there is no object.
        labels: (N,) of the task's classes. weights: (N,). prongs: (N,).
    """

    x: NDArray[np.float32]
    labels: NDArray[np.integer]
    weights: NDArray[np.float64]
    prongs: NDArray[np.integer]

    def where(self, mask: NDArray[np.bool_]) -> Flat:
        """Return the candidates with a True in `mask`, (N,)."""
        return Flat(self.x[mask], self.labels[mask], self.weights[mask], self.prongs[mask])


def flat(split: SplitReader, dataset: PreparedDataset, task: Task) -> Flat:
    """Lay a split flat, in stored order; candidates outside the task are left out."""
    spec = input_spec(dataset.manifest, task, LENGTHS)
    label_map = task_labels(dataset.manifest.classes, task)
    stored = batches(split, spec=spec, label_map=label_map, batch_size=8192, shuffle=False)
    columns = split.columns(["labels", "weights", "prongs"])
    labels = label_map[columns["labels"]]
    kept = labels >= 0
    x = np.concatenate([_row(batch.inputs) for batch in stored])[: int(kept.sum())]
    return Flat(
        x, labels[kept], columns["weights"][kept].astype(np.float64), columns["prongs"][kept]
    )


def _row(inputs: Any) -> NDArray[np.float32]:
    parts = [np.asarray(inputs["candidate"])]
    for group in LENGTHS:
        there = np.asarray(inputs[f"{group}_mask"])[..., None]
        objects = np.where(there, np.asarray(inputs[group]), np.float32(np.nan))
        parts.append(objects.reshape(len(objects), -1))
    return np.concatenate(parts, axis=1).astype(np.float32)


def tuned_trees(
    train: Flat, validation: Flat, task: Task, *, points: int, rng: np.random.Generator
) -> tuple[dict[str, Any], list[Any]]:
    """Try random settings for jets against taus; return the best and its ensembles, one a prong.

    The validation split stops the boosting and picks the settings, as it does for networks.
    """
    found = []
    for _ in range(points):
        settings = {
            "learning_rate": float(10 ** rng.uniform(-1.7, -0.7)),
            "max_leaf_nodes": int(rng.choice([15, 31, 63])),
            "min_samples_leaf": int(rng.choice([20, 50, 100])),
            "l2_regularization": float(10 ** rng.uniform(-2, 1)),
            "max_features": float(rng.choice([0.2, 0.5, 1.0])),
        }
        ensembles = [
            _fitted(train.where(train.prongs == p), validation.where(validation.prongs == p),
                    _signal_labels(task), settings)
            for p in (1, 3)
        ]  # fmt: skip
        judged = signal_predictions(ensembles, validation, task)
        value = measure(OBJECTIVE, judged).value
        print(f"  trees: {value:.1f} with {settings}", flush=True)
        found.append((value, settings, ensembles))
    _, settings, ensembles = max(found, key=lambda one: one[0])
    return settings, ensembles


def _signal_labels(task: Task) -> NDArray[np.integer]:
    return np.array([int(name in task.signal) for name in task.classes])


def signal_predictions(ensembles: list[Any], split: Flat, task: Task) -> Predictions:
    """Return what the two ensembles say of a split: background or signal."""
    score = np.zeros(len(split.labels))
    for prongs, trees in zip((1, 3), ensembles, strict=True):
        here = split.prongs == prongs
        score[here] = trees.predict_proba(split.x[here])[:, 1]
    return Predictions(
        np.stack([1 - score, score], axis=1).astype(np.float32),
        _signal_labels(task)[split.labels], split.weights,
        classes=("background", "signal"), signal=("signal",), columns={"prongs": split.prongs},
    )  # fmt: skip


def mode_predictions(
    train: Flat, validation: Flat, test: Flat, *, task: Task, settings: dict[str, Any]
) -> Predictions:
    """Train one ensemble for the decay modes of true taus; return what it says of those in test."""
    signal = np.flatnonzero(_signal_labels(task))
    place = np.full(len(task.classes), -1)
    place[signal] = np.arange(len(signal))
    parts = [part.where(np.isin(part.labels, signal)) for part in (train, validation, test)]
    trees = _fitted(parts[0], parts[1], place, settings)
    classes = tuple(np.array(list(task.classes))[signal])
    return Predictions(
        trees.predict_proba(parts[2].x).astype(np.float32),
        place[parts[2].labels], parts[2].weights,
        classes=classes, signal=classes, columns={"prongs": parts[2].prongs},
    )  # fmt: skip


def _fitted(
    train: Flat, validation: Flat, labels: NDArray[np.integer], settings: dict[str, Any]
) -> Any:
    trees = HistGradientBoostingClassifier(
        max_iter=600, early_stopping=True, n_iter_no_change=15, class_weight="balanced",
        random_state=1, **settings,
    )  # fmt: skip
    train, validation = (replace(part, labels=labels[part.labels]) for part in (train, validation))
    never = np.isnan(train.x).all(axis=0)  # no candidate has so many objects
    train = replace(train, x=np.where(never, np.float32(0), train.x))
    with threadpool_limits(2):
        trees.fit(
            train.x, train.labels, sample_weight=train.weights,
            X_val=validation.x, y_val=validation.labels, sample_weight_val=validation.weights,
        )  # fmt: skip
    return trees
