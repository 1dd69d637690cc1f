"""The best rnn trial against boosted trees on the candidate variables, on the test split.

    python -m tests.comparison.compare <folder of a search or of a trial>

The trees get what a cut-based or BDT identification has: the candidate's own variables, one
tree ensemble for each number of prongs, the same training split and weights, and the validation
split to stop by.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from tauopt.config.settings.experiment import Experiment, Task
from tauopt.config.settings.objective import ObjectiveName
from tauopt.dataset.network_inputs import task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset, SplitReader, open_dataset
from tauopt.metrics.bootstrap import Difference, paired_bootstrap
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions

OBJECTIVES = [ObjectiveName("rejection", at, p) for p in (1, 3) for at in (0.6, 0.75)]


@dataclass(frozen=True)
class Row:
    """One working point of both, and their difference."""

    objective: ObjectiveName
    network: Estimate
    trees: Estimate
    difference: Difference

    def __str__(self) -> str:
        ratio = self.network.value / self.trees.value
        return (
            f"{self.objective!s:<20}{self.network!s:>22}{self.trees!s:>22}"
            f"{ratio:>8.2f}   p(not better) = {self.difference.p_better:.3f}"
        )


def best_trial(search: Path) -> Path:
    """Return the folder of the trial with the largest value; `search` itself if it is one."""
    results = [search / "result.json", *search.glob("t*/result.json")]
    known = [path for path in results if path.is_file()]
    return max(known, key=lambda path: json.loads(path.read_text())["value"]).parent


def compare(network: Predictions, trees: Predictions) -> list[Row]:
    """Compare both at every working point."""
    rng = np.random.default_rng(1)
    return [
        Row(
            objective,
            measure(objective, network),
            measure(objective, trees),
            paired_bootstrap(objective, network, trees, rng=rng, replicas=500),
        )
        for objective in OBJECTIVES
    ]


def network_predictions(trial: Path, dataset: PreparedDataset, split: SplitReader) -> Predictions:
    """Run the best model of a trial over a split."""
    from tauopt.evaluation.predict import LoadedModel, predict
    from tauopt.evaluation.split_candidates import SplitCandidates
    from tauopt.models.model_file import load_model

    result = json.loads((trial / "result.json").read_text())
    model = load_model(trial / "best.keras", sha256=result["model_sha256"])
    candidates = SplitCandidates(dataset, split)
    inputs = candidates.inputs_of(Experiment.model_validate(result["experiment"]))
    return predict(LoadedModel(model, inputs), candidates)


def tree_predictions(dataset: PreparedDataset, task: Task, split: SplitReader) -> Predictions:
    """Train one ensemble a prong on the training split and run them over `split`."""
    train, validation, test = (
        _table(part, dataset, task) for part in (dataset.train, dataset.validation, split)
    )
    score = np.zeros(len(test[1]))
    for prongs in np.unique(test[3]):
        fit, stop, judge = (part[3] == prongs for part in (train, validation, test))
        trees = HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=1000, early_stopping=True, n_iter_no_change=20,
            class_weight="balanced", random_state=1,
        )  # fmt: skip
        with threadpool_limits(1):  # threads that wait for each other on a busy node take minutes
            trees.fit(
                train[0][fit], train[1][fit], sample_weight=train[2][fit],
                X_val=validation[0][stop], y_val=validation[1][stop],
                sample_weight_val=validation[2][stop],
            )  # fmt: skip
        score[judge] = trees.predict_proba(test[0][judge])[:, 1]
    return Predictions(
        np.stack([1 - score, score], axis=1).astype(np.float32), test[1], test[2],
        classes=("background", "signal"), signal=("signal",), columns={"prongs": test[3]},
    )  # fmt: skip


def _table(split: SplitReader, dataset: PreparedDataset, task: Task) -> tuple[np.ndarray, ...]:
    """Return variables, signal or not, weights and prongs of what the task keeps."""
    columns = split.columns(["labels", "weights", "prongs"])
    label = task_labels(dataset.manifest.classes, task)[columns["labels"]]
    kept = label >= 0
    is_signal = np.isin(np.array(list(task.classes))[label], task.signal).astype(int)
    variables = np.concatenate([chunk.candidate for chunk in split.chunks])
    return (
        variables[kept], is_signal[kept],
        columns["weights"][kept].astype(np.float64), columns["prongs"][kept],
    )  # fmt: skip


def compare_trial(trial: Path, dataset: Path | None = None) -> list[Row]:
    """Compare a trial's network with trees; its dataset is where it was, unless told."""
    result = json.loads((trial / "result.json").read_text())
    data = open_dataset(dataset or Path(result["dataset_folder"]))
    split = data.sealed_test(opened_by="the comparison with boosted trees")
    task = Experiment.model_validate(result["experiment"]).task
    return compare(network_predictions(trial, data, split), tree_predictions(data, task, split))


if __name__ == "__main__":
    folder = best_trial(Path(sys.argv[1]))
    print(f"{folder}\n{'':<20}{'network':>22}{'trees':>22}{'ratio':>8}")
    for row in compare_trial(folder):
        print(row)
