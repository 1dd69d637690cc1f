"""The literature's networks trained by tauopt and by plain Keras: the same losses, the same value.

    python -m tests.comparison.parity FOLDER [--epochs 10] [--seeds 3] [--networks rnn dense ...]

Each network has its published settings and trains twice on the demo sample for each seed: by
`tauopt train`, and as a script would, with `fit`, Keras's layers and Keras's Adam over arrays. Both
begin with the same weights and see the same batches; each is judged on the validation split after
every epoch. What is printed: the largest difference of a training loss in the first epoch and in
any, losses and objective at the end, and the ratio of the objectives with its error over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.objective import parse_objective
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.metrics.named_metrics import measure

ROOT = Path(__file__).parents[2]
FILES = {
    "rnn": "tests/comparison/baseline.yaml",
    "decay_mode_rnn": "search_spaces/decay_mode.yaml",
    "deepsets": "search_spaces/deepsets.yaml",
    "dense": "search_spaces/dense.yaml",
}
ALIKE = {
    "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 256, "early_stopping": None,
    "reduce_on_plateau": None, "loss": "crossentropy",
}  # fmt: skip


@dataclass(frozen=True)
class Course:
    """A training, epoch by epoch: loss on what it trained on, on validation, and the objective."""

    loss: np.ndarray
    val_loss: np.ndarray
    value: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=list(FILES), choices=list(FILES))
    words = parser.parse_args()
    print(*HEAD, sep=" | ")
    for name in words.networks:
        experiment = published(name, epochs=words.epochs)
        dataset = prepared(experiment)
        pairs = []
        for seed in range(1, words.seeds + 1):
            place = words.folder / f"{name}-{seed}"
            pairs.append(
                (by_tauopt(experiment, dataset, seed, place), by_keras(experiment, dataset, seed))
            )
            print(*row(f"{name}, seed {seed}", *pairs[-1]), sep=" | ", flush=True)
        ratios = np.array([ours.value[-1] / plain.value[-1] for ours, plain in pairs])
        error = ratios.std(ddof=1) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
        print(f"{name}: objective over plain Keras's {ratios.mean():.3f} ± {error:.3f}", flush=True)


HEAD = (
    "network", "losses apart, epoch 1", "at most", "loss", "plain", "validation loss", "plain",
    "objective", "plain",
)  # fmt: skip


def row(name: str, ours: Course, plain: Course) -> Iterator[str]:
    """Give the cells of a line."""
    apart = np.abs(ours.loss - plain.loss)
    yield from (name, f"{apart[0]:.1e}", f"{apart.max():.1e}")
    yield from (f"{x[-1]:.4f}" for x in (ours.loss, plain.loss, ours.val_loss, plain.val_loss))
    yield from (f"{x[-1]:.4g}" for x in (ours.value, plain.value))


def published(name: str, *, epochs: int) -> Experiment:
    """Return a network with the literature's values, none searched, and a training for all."""
    from tauopt.config.load import read_experiment
    from tauopt.config.settings.networks import group_lengths

    shipped = read_experiment(ROOT / FILES[name]).without_ranges
    used = set(group_lengths(shipped.model))
    default = type(shipped.model)(type=name)
    groups = {key: group for key, group in getattr(default, "groups", {}).items() if key in used}
    model = default.model_copy(update={"groups": groups} if groups else {})
    training = shipped.training.model_copy(update={**ALIKE, "epochs": epochs})
    return shipped.model_copy(update={"model": model, "training": training})


def prepared(experiment: Experiment) -> Path:
    """Prepare the demo sample as the experiment's dataset file says; return its folder."""
    from tauopt.workflows.prepare import prepare

    return prepare(experiment.data).folder


def by_tauopt(experiment: Experiment, dataset: Path, seed: int, folder: Path) -> Course:
    """Train a trial; an interrupted one goes on."""
    from tauopt.tracking.spool import SpoolTracker
    from tauopt.training.train_trial import run_trial
    from tauopt.training.trial_plan import TrialPlan

    folder.mkdir(parents=True, exist_ok=True)
    plan = TrialPlan(experiment, dataset=dataset, folder=folder, name=folder.name, seed=seed)
    reports = list(run_trial(plan, tracker=SpoolTracker(folder), after=0))
    columns = ([r.metrics[key] for r in reports] for key in ("loss", "val_loss"))
    return Course(*map(np.array, columns), np.array([r.value for r in reports]))


def by_keras(experiment: Experiment, dataset: Path, seed: int) -> Course:
    """Train as a script would: arrays, Keras's layers, Keras's Adam, `fit`."""
    import keras

    from tauopt.models.build_model import build_model
    from tauopt.training.network_and_data import TrialData
    from tauopt.training.rungs import Rungs
    from tests.comparison.plain_networks import plain_network, probabilities, take_weights

    data = TrialData(open_dataset(dataset), experiment, seed)
    spec, name = data.spec, parse_objective(experiment.objective.first)
    rungs = Rungs.from_training(experiment.training, candidates=data.candidates)
    plain = plain_network(spec, experiment.model)
    take_weights(plain, build_model(spec, experiment.model, seed=seed))
    one = plain.output.shape[-1] == 1
    plain.compile(
        keras.optimizers.Adam(experiment.training.learning_rate),
        "binary_crossentropy" if one else "categorical_crossentropy",
    )
    validation, labels, weights = arrays(data, data.validation())
    losses, val_losses, found, seen = [], [], [], 0
    while seen < rungs.total:
        (segment,) = rungs.segments(seen, rungs.next(seen))
        seen = segment.stop
        x, y, w = arrays(data, batches_of(data, segment))
        y = y == spec.classes.index(spec.signal[0]) if one else np.eye(len(spec.classes))[y]
        fitted = plain.fit(x, y, segment.batch_size, shuffle=False, sample_weight=w, verbose=0)
        losses.append(fitted.history["loss"][0])
        p = probabilities(spec, plain.predict(validation, batch_size=8192, verbose=0))
        true = np.clip(p[np.arange(len(labels)), labels].astype(float), 1e-7, 1)
        val_losses.append(np.average(-np.log(true), weights=weights))
        found.append(measure(name, data.predictions(p)).value)
    return Course(*map(np.array, (losses, val_losses, found)))


def batches_of(data: Any, segment: Any) -> Iterator[Any]:
    """Yield the batches of a segment as the stream gives them."""
    from tauopt.stream.batches import batches

    return batches(
        data.dataset.train, spec=data.spec, label_map=data.label_map, seed=data.seed,
        **segment._asdict(),
    )  # fmt: skip


def arrays(data: Any, stream: Iterator[Any]) -> tuple[dict[str, np.ndarray], ...]:
    """Return what a script has in memory: features, labels, and weights in the loss."""
    from tests.comparison.plain_networks import preprocessed

    parts = [(preprocessed(data.spec, b.inputs), b.labels.copy(), b.weights) for b in stream]
    x = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
    y, w = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    return x, y, w * data.class_weights[y]


if __name__ == "__main__":
    main()
