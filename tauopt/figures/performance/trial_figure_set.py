"""All figures of one trial, saved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tauopt.figures.figure_style import SampleLabel, note
from tauopt.figures.performance.trial_figures import (
    confusion_figure,
    roc_figure,
    score_figure,
    training_figure,
)
from tauopt.figures.save_figure import save_figure
from tauopt.metrics.predictions import Predictions


def write_figures(
    predictions: Predictions,
    folder: Path,
    *,
    sample: SampleLabel,
    history: Sequence[Mapping[str, float]] = (),
    objective: str = "",
    kept: float = math.nan,
) -> list[Path]:
    """Write the ROC curve, scores, confusion matrix and training curves into `folder`.

    Args:
        predictions: on one split.
        folder: created if missing.
        sample: label of this split.
        history: one mapping for each report (see `training_figure`); empty: no training curves.
        objective: name of the objective in `history`.
        kept: the objective of the model that the trial keeps.
    Returns:
        `roc.png`, `roc.json`, `score.png`, ..., all in `folder`; without background in the task
        neither ROC curve nor scores.
    Raises:
        DataError: there is one class only; then nothing is written.
    """
    drawn = {}
    if predictions.has_background:
        drawn["roc"] = roc_figure(predictions, sample=sample)
        drawn["score"] = score_figure(predictions, sample=sample)
    drawn["confusion"] = confusion_figure(predictions, sample=sample)
    if history:
        text = note(predictions, sample)
        drawn["training"] = training_figure(
            history, objective=objective, kept=kept, sample=sample, text=text
        )
    return [
        path
        for name, (figure, points) in drawn.items()
        for path in save_figure(figure, points, folder, name=name)
    ]
