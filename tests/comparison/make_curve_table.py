"""Table of learning curves from the scores that `record_curves` wrote, for `replay`.

    python -m tests.comparison.make_curve_table FOLDER --space deepsets OUT.npz

Validation samples of three sizes: a sixth of the demo's validation split (2 k background), samples
of its size (12 k: the split itself, and parts of the independent sample) and one of 60 k. The rest
of the independent sample is the truth. All have the weights of the demo's slices of pT-hat.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tauopt.config.settings.objective import parse_objective
from tauopt.metrics.influence import paired_value
from tauopt.metrics.predictions import Predictions
from tauopt.replay.curve_table import CurveTable

METRICS = ("rejection@0.75", "rejection@[0.6, 0.9]")
GROUPS = 32
SMALL, SMALL_SAMPLES, MIDDLE_SAMPLES = 6, 4, 3


class Sample(NamedTuple):
    """Candidates of a validation sample among those that were scored."""

    name: str
    of: str
    """`validation` or `independent`."""
    chosen: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--space", default="deepsets")
    words = parser.parse_args()
    from tauopt.config.load import read_experiment
    from tauopt.workflows.prepare import prepare

    file = read_experiment(words.folder / f"{words.space}.yaml")
    truth = truth_columns(words.folder, prepare(file.base.data))
    samples = list(validation_samples(truth))
    files = sorted((words.folder / words.space).glob("t*.npz"))
    rows = [measured(path, truth, samples) for path in files]
    print(f"{len(rows)} trainings", flush=True)
    numbers = sorted({row["number"] for row in rows})
    points = {row["number"]: row["point"] for row in rows}
    table = CurveTable(
        name=words.space,
        space=file.space,
        metrics=METRICS,
        samples=tuple(sample.name for sample in samples),
        points=tuple(points[number] for number in numbers),
        point=np.array([numbers.index(row["number"]) for row in rows]),
        seed=np.array([row["seed"] for row in rows]),
        candidates=np.array([row["candidates"] for row in rows]),
        loss=np.stack([row["loss"] for row in rows], axis=1),
        values=np.stack([row["values"] for row in rows], axis=2),
        influences=np.stack([row["influences"] for row in rows], axis=2),
        truth=np.stack([row["truth"] for row in rows], axis=1),
    )
    table.save(words.out)
    errors = np.sqrt(np.mean([row["truth_error"] ** 2 for row in rows], axis=0))
    print(dict(zip(METRICS, errors.tolist(), strict=True)), "errors of the truth", flush=True)


def truth_columns(folder: Path, dataset: Any) -> dict[str, dict[str, np.ndarray]]:
    """Return truth and weights of the candidates that were scored."""
    columns = dataset.validation.columns(["labels", "weights"])
    with np.load(folder / "independent.npz") as arrays:
        independent = {name: arrays[name] for name in arrays.files}
    return {
        "validation": {
            "is_signal": columns["labels"] > 0,
            "weights": columns["weights"].astype(np.float64),
        },
        "independent": {
            "is_signal": independent["is_signal"],
            "weights": independent["weights"].astype(np.float64) * independent["thinned"],
            "large": independent["large"],
        },
    }


def validation_samples(truth: dict[str, dict[str, np.ndarray]]) -> Iterator[Sample]:
    """Yield the validation samples of three sizes."""
    size = len(truth["validation"]["is_signal"])
    position = np.arange(size)
    for part in range(SMALL_SAMPLES):
        yield Sample(f"2k-{part}", "validation", position % SMALL == part)
    yield Sample("12k-0", "validation", np.ones(size, bool))
    large = np.flatnonzero(truth["independent"]["large"])
    for part in range(MIDDLE_SAMPLES):
        chosen = np.zeros(len(truth["independent"]["large"]), bool)
        chosen[large[np.arange(len(large)) % 5 == part]] = True
        yield Sample(f"12k-{part + 1}", "independent", chosen)
    yield Sample("60k-0", "independent", truth["independent"]["large"])


def measured(
    path: Path, truth: dict[str, dict[str, np.ndarray]], samples: list[Sample]
) -> dict[str, Any]:
    """Return the curves of one training on every sample."""
    with np.load(path) as arrays:
        record = json.loads(str(arrays["record"]))
        logits = {name: arrays[name].astype(np.float64) for name in truth}
    number, seed = path.stem[1:].split("-")
    reports = range(len(record["reports"]))
    rest = ~truth["independent"]["large"]
    others = chosen(truth["independent"], rest)
    objectives = [parse_objective(name) for name in METRICS]
    true = [
        [paired_value(o, predictions(logits["independent"][r][rest], others)) for r in reports]
        for o in objectives
    ]
    loss, values, influences = [], [], []
    for sample in samples:
        columns = chosen(truth[sample.of], sample.chosen)
        scored = [predictions(logits[sample.of][r][sample.chosen], columns) for r in reports]
        loss.append([balanced_loss(each) for each in scored])
        paired = [[paired_value(o, each) for each in scored] for o in objectives]
        values.append([[each.value for each in row] for row in paired])
        influences.append([[regrouped(each.influence) for each in row] for row in paired])
    return {
        "number": int(number), "seed": int(seed), "point": record["point"],
        "candidates": [report["candidates_seen"] for report in record["reports"]],
        "loss": np.array(loss), "values": np.array(values), "influences": np.array(influences),
        "truth": np.array([[each.value for each in row] for row in true]),
        "truth_error": np.array([row[-1].error for row in true]),
    }  # fmt: skip


def chosen(columns: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    return {name: columns[name][mask] for name in ("is_signal", "weights")}


def predictions(logit: np.ndarray, columns: dict[str, np.ndarray]) -> Predictions:
    p = 1 / (1 + np.exp(-logit))
    return Predictions(
        np.stack([1 - p, p], axis=1), columns["is_signal"].astype(np.int64), columns["weights"],
        classes=("jet", "tau"), signal=("tau",),
    )  # fmt: skip


def balanced_loss(scored: Predictions) -> float:
    """Return the cross-entropy, signal and background with equal weight."""
    p = np.clip(scored.probabilities[np.arange(len(scored)), scored.labels], 1e-7, 1)
    parts = (scored.is_signal, ~scored.is_signal)
    return float(
        np.mean([np.average(-np.log(p[part]), weights=scored.weights[part]) for part in parts])
    )


def regrouped(influence: np.ndarray) -> np.ndarray:
    """Return influences in fewer groups, the last one for limits as it was."""
    return np.append(influence[:-1].reshape(GROUPS, -1).sum(axis=1), influence[-1])


if __name__ == "__main__":
    main()
