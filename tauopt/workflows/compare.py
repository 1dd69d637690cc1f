"""Compare trials: differences in settings and metrics, and their statistical significance."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tauopt.errors import UsageError
from tauopt.evaluation.comparison_report import (
    ComparisonReport,
    check_same_data,
    differences,
    names_of,
    report,
)
from tauopt.evaluation.evaluation_sources import check_efficiencies, check_has_background
from tauopt.progress import Progress, Silent
from tauopt.workflows.paths import make_folder, output_folder
from tauopt.workflows.trial_dataset import needed_dataset

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.evaluation.recorded_trial import Trial

RESULT, TABLE, REPORT = "compare.json", "compare.csv", "report.md"
MOST = 6
"""Largest number of trials that a figure can show."""


def compare(
    trials: Sequence[str],
    *,
    efficiencies: Sequence[float] = (),
    to: Path | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> ComparisonReport:
    """Compare trials on the sealed test split of the dataset that all were trained on.

    Args:
        trials: two to six: ids of runs or their first letters, `models:/NAME@champion`,
            `models:/NAME/3`, or folders of trials. Differences are to the first.
        efficiencies: signal efficiencies at which the background rejection is measured and drawn
            in bins; empty means 0.6, 0.75, 0.85 and 0.95, and 0.75 in bins.
        to: folder of the results; None means `comparisons/<names>` in the output folder.
        output: folder of searches and runs; None means `tauopt-output`.
        cache: folder of prepared datasets; None means the user's cache.
        progress: receives a message for each step.
    Returns:
        the comparison, with its folder and the files that were written.
    Raises:
        UsageError: too few, too many or the same trial twice, there is no such trial, or an
            efficiency is out of range.
        DataError: the trials have different datasets or different classes as signal, or the dataset
            is gone.
        ServiceError: MLflow does not answer.
    """
    from tauopt.evaluation.find_trial import find_trial
    from tauopt.tracking.client import connect

    progress = progress or Silent()
    if not 2 <= len(trials) <= MOST:
        raise UsageError(f"expected 2 to {MOST} trials to compare, got {len(trials)}")
    efficiencies = check_efficiencies(efficiencies)
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-compare-") as temporary:
        recorded = [
            find_trial(
                client,
                trial,
                folder=Path(temporary) / str(number),
                output=output_folder(output),
            )
            for number, trial in enumerate(trials)
        ]
        _check_different(recorded)
        check_has_background(recorded, efficiencies)
        folder = to or output_folder(output) / "comparisons" / "-".join(t.name for t in recorded)
        return _compare(
            client,
            names_of(recorded),
            efficiencies=efficiencies,
            folder=make_folder(folder, option="--to"),
            cache=cache,
            progress=progress,
        )


def _check_different(trials: Sequence[Trial]) -> None:
    """Raise UsageError where two references lead to the same model."""
    models: set[str] = set()
    for trial in trials:
        if trial.sha256 in models:
            raise UsageError(f"{trial.name} is named twice: another reference has the same model")
        models.add(trial.sha256)


def _compare(
    client: MlflowClient,
    trials: dict[str, Trial],
    *,
    efficiencies: Sequence[float],
    folder: Path,
    cache: Path | None,
    progress: Progress,
) -> ComparisonReport:
    """Run the trials on the test split, measure, draw and write."""
    import numpy as np

    from tauopt.durable import write_bytes, write_json
    from tauopt.evaluation.recorded_trial import history
    from tauopt.evaluation.run_trial import contenders_of
    from tauopt.evaluation.split_candidates import SplitCandidates
    from tauopt.figures.figure_style import SampleLabel
    from tauopt.figures.performance.comparison_figures import EFFICIENCY, pages
    from tauopt.figures.save_figure import save_book
    from tauopt.metrics.bootstrap import SEED
    from tauopt.metrics.standard_metrics import EFFICIENCIES
    from tauopt.metrics.trial_comparison import as_csv
    from tauopt.metrics.trial_comparison import compare as compare_numbers

    check_same_data(trials)
    first = next(iter(trials.values()))
    dataset = needed_dataset(first, cache=cache, progress=progress)
    opener = f"compare {', '.join(trial.run_id or trial.name for trial in trials.values())}"
    candidates = SplitCandidates(dataset, dataset.sealed_test(opened_by=opener))
    contenders = contenders_of(trials, candidates, progress=progress)
    rng = np.random.default_rng(SEED)
    progress.say("measuring")
    numbers = compare_numbers(
        contenders,
        rng=rng,
        efficiencies=efficiencies or EFFICIENCIES,
        objective=first.objective,
    )
    sample = SampleLabel.from_dataset(first.experiment.data, candidates.description)
    progress.say("drawing")
    figures = pages(
        contenders,
        {name: history(client, trial) for name, trial in trials.items()},
        objective=first.experiment.objective.first,
        sample=sample,
        rng=rng,
        efficiencies=efficiencies or (EFFICIENCY,),
    )
    files = save_book(figures, folder, name="figures")
    predictions = contenders[0].predictions
    signal = int(predictions.is_signal.sum())
    result = ComparisonReport(
        comparison=numbers,
        differences=differences(trials),
        run_ids={name: trial.run_id for name, trial in trials.items()},
        sample=f"{sample.name}, {sample.selection}",
        candidates={"signal": signal, "background": len(predictions) - signal},
        folder=folder,
        files=(*files, folder / TABLE, folder / REPORT),
    )
    write_bytes(result.folder / TABLE, as_csv(result.comparison).encode())
    write_bytes(result.folder / REPORT, report(result).encode())
    write_json(result.folder / RESULT, result.as_json())
    return result
