"""Random points of a space, trained to the end: their scores after every epoch, for `replay`.

    python -m tests.comparison.record_curves FOLDER --space deepsets [--points 150] [--repeated 50]

Writes one file a training into FOLDER/<space>: scores of the validation split and of an independent
sample that is about twenty times as large, after every epoch. Trainings that are there already are
not repeated, and several processes may work in one folder. `curve_table` makes a small table of the
files.

The independent sample is simulated with another seed. Where a reference network is sure, only a
part of it is kept, with weights that make up for it: on average nothing changes, and it costs a
third.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.durable import locked, write_bytes, write_with
from tauopt.errors import LockedError

ROOT = Path(__file__).parents[2]
INDEPENDENT = {
    "name": "demo-independent",
    "simulate": {"taus": 75_000, "jets": 310_000, "seed": 101},
    "split": {
        "train": "event_number % 1000 == 0",
        "validation": "event_number % 1000 == 1",
        "test": "event_number % 1000 > 1",
    },
}
SURE_BACKGROUND, KEPT_BACKGROUND = 0.94, 0.1
"""Background below the cut at this signal efficiency is kept with this probability."""
SURE_SIGNAL, KEPT_SIGNAL = 0.4, 0.25
"""Signal above the cut at this signal efficiency is kept with this probability."""
LARGE = 5
"""One in so many candidates of the independent sample is for a large validation sample."""


@dataclass(frozen=True)
class Independent:
    """The independent sample, thinned."""

    dataset: Any
    kept: np.ndarray
    """(candidate,) bool, in stored order."""

    def inputs(self, spec: Any, label_map: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Yield the inputs of the candidates that are kept."""
        from tauopt.stream.batches import batches

        begin = 0
        split = self.dataset.sealed_test(opened_by="record_curves")
        for batch in batches(
            split, spec=spec, label_map=label_map, batch_size=16_384, shuffle=False
        ):
            chosen = self.kept[begin : begin + len(batch.labels)]
            begin += len(batch.labels)
            yield {name: values[chosen] for name, values in batch.inputs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--space", default="deepsets")
    parser.add_argument("--points", type=int, default=150)
    parser.add_argument("--repeated", type=int, default=50, help="points with three seeds")
    parser.add_argument("--epochs", type=int, default=8)
    words = parser.parse_args()

    from tauopt.config.load import read_experiment
    from tauopt.models.devices import limit_devices
    from tauopt.workflows.prepare import prepare

    limit_devices(cpus=1)
    overrides = [f"training.epochs={words.epochs}", "training.early_stopping=null"]
    file = read_experiment(ROOT / f"search_spaces/{words.space}.yaml", overrides=overrides)
    dataset = prepare(file.base.data)
    folder = words.folder / words.space
    folder.mkdir(parents=True, exist_ok=True)
    recorded = words.folder / f"{words.space}.yaml"
    if not recorded.exists():  # the shipped file may change while curves are recorded
        write_bytes(recorded, file.text.encode())
    independent = thinned(file, dataset, words.folder)
    points = random_points(file, words.points)
    for seed, number in tasks(words.points, words.repeated):
        path = folder / f"t{number:03d}-{seed}.npz"
        try:
            with locked(path.with_suffix(".lock"), what=str(path)):
                if not path.exists():
                    experiment = file.resolve(points[number])
                    record(path, points[number], experiment, dataset, independent, (number, seed))
        except LockedError:
            continue  # another process trains it


def tasks(points: int, repeated: int) -> Iterator[tuple[int, int]]:
    """Yield seed and point of each training: every point once before any comes twice."""
    for seed in range(3):
        for number in range(points if seed == 0 else repeated):
            yield seed, number


def random_points(file: Any, count: int) -> list[dict[str, Any]]:
    """Return the literature's values, then random points of the space."""
    from tauopt.study.suggest import random_point

    rng = np.random.default_rng(1)
    starts = [dict(point) for point in file.starts()]
    return [*starts, *(random_point(file.space, rng) for _ in range(count - len(starts)))]


def record(
    path: Path,
    point: dict[str, Any],
    experiment: Any,
    dataset: Any,
    independent: Independent,
    identity: tuple[int, int],
) -> None:
    """Train a point to the end, and write its scores after every epoch."""
    reports, scores, far_scores = [], [], []
    for trial, entry, probabilities in training(path, experiment, dataset, identity):
        inputs = independent.inputs(trial.data.spec, trial.data.label_map)
        far = np.concatenate(list(trial.trainer.predictor.each(inputs)))
        scores.append(logit(trial.data.predictions(probabilities).score))
        far_scores.append(logit(far[:, signal_columns(trial.data.spec)].sum(axis=1)))
        reports.append(entry)
    arrays = {"validation": np.array(scores), "independent": np.array(far_scores, np.float16)}
    arrays["record"] = np.array(json.dumps({"point": point, "reports": reports}))
    write_with(path, lambda temporary: np.savez(temporary, **arrays))
    print(path.stem, f"{reports[-1]['val_loss']:.4f}", point, flush=True)


def training(
    path: Path, experiment: Any, dataset: Any, identity: tuple[int, int]
) -> Iterator[tuple[Any, dict[str, float], np.ndarray]]:
    """Train as a trial trains; yield trial, report and validation probabilities of each epoch."""
    import shutil

    from tauopt.training.train_trial import _Trial
    from tauopt.training.trial_plan import TrialPlan, trial_seed

    number, seed = identity
    folder = path.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    plan = TrialPlan(
        experiment, dataset=dataset.folder, folder=folder, name=path.stem,
        seed=trial_seed(seed + 1, number),
    )  # fmt: skip
    trial = _Trial(plan, Silent(), lambda: False)
    while not trial.state.ended:
        trial.train_rung()
        entry = trial.evaluate()
        yield trial, entry, trial.trainer.predict(trial.data, alive=lambda: None)
    shutil.rmtree(folder)


class Silent:
    """A tracker that records nothing."""

    def start(self, **_: Any) -> None: ...

    def metrics(self, *_: Any, **__: Any) -> None: ...

    def artifact(self, *_: Any, **__: Any) -> None: ...


def logit(score: np.ndarray) -> np.ndarray:
    """Return the logit of scores, float32: they keep their digits near 1."""
    p = np.clip(score.astype(np.float64), 1e-12, 1 - 1e-7)
    return np.log(p / (1 - p)).astype(np.float32)


def signal_columns(spec: Any) -> list[int]:
    return [spec.classes.index(name) for name in spec.signal]


def thinned(file: Any, dataset: Any, folder: Path) -> Independent:
    """Return the independent sample; on first use train the reference network that thins it."""
    from tauopt.config.settings.dataset import Dataset
    from tauopt.dataset.network_inputs import task_labels
    from tauopt.stream.batches import kept
    from tauopt.workflows.prepare import prepare

    plain = file.base.data.model_dump(exclude_defaults=True)
    independent = prepare(Dataset.model_validate({**plain, **INDEPENDENT}))
    split = independent.sealed_test(opened_by="record_curves")
    label_map = task_labels(independent.manifest.classes, file.base.task)
    path = folder / "independent.npz"
    with locked(folder / "independent.lock", what=str(path), wait=True):
        if not path.exists():
            columns = split.columns(["labels", "weights", "event_numbers", "prongs"])
            every = Independent(independent, np.ones(kept(split, label_map), bool))
            experiment = file.without_ranges
            for trial, _, _ in training(folder / "reference.npz", experiment, dataset, (0, 0)):
                inputs = every.inputs(trial.data.spec, trial.data.label_map)
                last = np.concatenate(list(trial.trainer.predictor.each(inputs)))
            score = last[:, signal_columns(trial.data.spec)].sum(axis=1)
            write_thinned(path, score, columns, label_map)
    with np.load(path) as arrays:
        return Independent(independent, arrays["kept"])


def write_thinned(
    path: Path, score: np.ndarray, columns: dict[str, np.ndarray], label_map: np.ndarray
) -> None:
    """Choose the candidates to keep, and write their truth, weights and prongs."""
    is_signal = label_map[columns["labels"]] > 0
    cuts = np.quantile(score[is_signal], [1 - SURE_BACKGROUND, 1 - SURE_SIGNAL])
    chance = np.ones(len(score))
    chance[~is_signal & (score < cuts[0])] = KEPT_BACKGROUND
    chance[is_signal & (score > cuts[1])] = KEPT_SIGNAL
    kept = np.random.default_rng(2).random(len(score)) < chance
    arrays = {
        "kept": kept,
        "is_signal": is_signal[kept],
        "weights": columns["weights"][kept],
        "thinned": 1 / chance[kept],
        "prongs": columns["prongs"][kept],
        "large": columns["event_numbers"][kept] % LARGE == 0,
    }
    write_with(path, lambda temporary: np.savez(temporary, **arrays))
    print(f"independent sample: {len(score)} candidates, {kept.sum()} kept", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    main()
