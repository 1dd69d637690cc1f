"""Compare trials: what differs in their settings, in their numbers, and whether it is real."""

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
from tauopt.progress import Progress, Silent
from tauopt.workflows.evaluation_sources import (
    check_efficiencies,
    check_has_background,
    its_dataset,
)
from tauopt.workflows.paths import make_folder, output_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tauopt.evaluation.recorded_trial import Trial

RESULT, TABLE, REPORT = "compare.json", "compare.csv", "report.md"
MOST = 6
"""Trials that a figure can show."""


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
        efficiencies: of the signal, at which rejections are measured, and drawn in bins; none are
            0.6, 0.75, 0.85 and 0.95, and 0.75 in bins.
        to: folder of the results; None is `comparisons/<names>` in the output folder.
        output: folder of searches and runs; None is `tauopt-output`.
        cache: folder of prepared datasets; None is the user's.
        progress: told of every step.
    Raises:
        UsageError: too few, too many or the same trial twice, there is no such trial, or an
            efficiency is out of range.
        DataError: they have different datasets or mean different things by signal, or the dataset
            is gone.
        ServiceError: MLflow does not answer.
    """
    from tauopt.evaluation.find_trial import find_trial
    from tauopt.tracking.client import connect

    progress = progress or Silent()
    if not 2 <= len(trials) <= MOST:
        raise UsageError(f"expected 2 to {MOST} trials to compare, got {len(trials)}")
    wanted = check_efficiencies(efficiencies)
    client = connect(None, output=output_folder(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-compare-") as temporary:
        found = [
            find_trial(client, trial, folder=Path(temporary) / str(number))
            for number, trial in enumerate(trials)
        ]
        _check_different(found)
        check_has_background(found, wanted)

        named = names_of(found)
        place = to or output_folder(output) / "comparisons" / "-".join(t.name for t in found)
        folder = make_folder(place, option="--to")
        return _compared(
            client, named, efficiencies=wanted, folder=folder, cache=cache, progress=progress
        )


def _check_different(trials: Sequence[Trial]) -> None:
    seen: dict[str, str] = {}
    for trial in trials:
        if trial.sha256 in seen:
            raise UsageError(f"{trial.name} is named twice: its model is that of the same training")
        seen[trial.sha256] = trial.name


def _compared(
    client: MlflowClient,
    trials: dict[str, Trial],
    *,
    efficiencies: Sequence[float],
    folder: Path,
    cache: Path | None,
    progress: Progress,
) -> ComparisonReport:
    import numpy as np

    from tauopt.errors import DataError
    from tauopt.evaluation.recorded_trial import history
    from tauopt.evaluation.run_trial import contenders_of
    from tauopt.evaluation.split_candidates import SplitCandidates
    from tauopt.figures.figure_style import SampleLabel
    from tauopt.figures.performance.comparison_figures import EFFICIENCY, pages
    from tauopt.figures.save_figure import save_book
    from tauopt.metrics.bootstrap import SEED
    from tauopt.metrics.standard_metrics import EFFICIENCIES
    from tauopt.metrics.trial_comparison import compare as measured

    check_same_data(trials)
    first = next(iter(trials.values()))
    dataset = its_dataset(first, needed=True, cache=cache, progress=progress)
    if dataset is None:
        raise DataError(f"the dataset of {first.name} is gone")
    opener = f"compare {', '.join(trial.run_id or trial.name for trial in trials.values())}"
    candidates = SplitCandidates(dataset, dataset.sealed_test(opened_by=opener))
    contenders = contenders_of(trials, candidates, progress=progress)
    rng = np.random.default_rng(SEED)
    progress.say("measuring")
    numbers = measured(contenders, rng=rng, efficiencies=efficiencies or EFFICIENCIES)
    sample = SampleLabel.from_dataset(first.experiment.data, candidates.description)
    progress.say("drawing")
    drawn = pages(
        contenders,
        {name: history(client, trial) for name, trial in trials.items()},
        objective=first.experiment.objective.first,
        sample=sample,
        rng=rng,
        efficiencies=efficiencies or (EFFICIENCY,),
    )
    files = save_book(drawn, folder, name="figures")
    judged = contenders[0].predictions
    signal = int(judged.is_signal.sum())
    result = ComparisonReport(
        comparison=numbers,
        differences=differences(trials),
        run_ids={name: trial.run_id for name, trial in trials.items()},
        sample=f"{sample.name}, {sample.selection}",
        candidates={"signal": signal, "background": len(judged) - signal},
        folder=folder,
        files=(*files, folder / TABLE, folder / REPORT),
    )
    return _written(result)


def _written(result: ComparisonReport) -> ComparisonReport:
    from tauopt.durable import write_bytes, write_json
    from tauopt.metrics.trial_comparison import as_csv

    write_bytes(result.folder / TABLE, as_csv(result.comparison).encode())
    write_bytes(result.folder / REPORT, report(result).encode())
    write_json(result.folder / RESULT, result.as_json())
    return result
