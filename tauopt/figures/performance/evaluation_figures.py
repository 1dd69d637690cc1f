"""All figures of an evaluation, one after another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.performance.calibration_figure import as_trained, calibration_figure
from tauopt.figures.performance.comparison_figures import split_by_prongs
from tauopt.figures.performance.flatness_figure import flatness_figure
from tauopt.figures.performance.one_against_rest_figure import one_against_rest_figure
from tauopt.figures.performance.overtraining_figure import overtraining_figure
from tauopt.figures.performance.permutation_importance_figure import importance_figure
from tauopt.figures.performance.profile_figures import choose_axes, profile_figure
from tauopt.figures.performance.roc_figures import roc_ratio_figure
from tauopt.figures.performance.trial_figures import confusion_figure, training_figure
from tauopt.metrics.efficiency_profiles import ProfileKind
from tauopt.metrics.permutation_importance import PermutationImportance
from tauopt.metrics.predictions import Predictions
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.standard_metrics import EFFICIENCIES
from tauopt.metrics.variable_axes import VARIABLES

_OF_ALL = ("prongs", "decay_mode")
"""Variables that fix the prongs, drawn for all candidates together."""
_FLAT = ("pt", "eta", "mu")
"""Variables in which working points should be flat."""
_AS_TRAINED = "classes as in training"
Page = tuple[str, Figure, dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """The inputs of all figures of an evaluation.

    Attributes:
        contenders: the trial and perhaps its reference, on the same candidates, with decisions of
            working points.
        sample: label of these candidates.
        bins: spectators against which efficiencies are drawn; missing ones are left out.
        efficiencies: signal efficiencies at which rejections are measured.
        train: candidates of the training split, with the same selection.
        history: reports of the trial.
        objective: name of the trial's objective in `history`.
        kept: the objective of the model that the trial keeps, as in `history`.
        importances: permutation importances of groups and features.
        permuted: the candidates on which these were measured.
    """

    contenders: Sequence[ScoredTrial]
    sample: SampleLabel
    bins: Sequence[str] = VARIABLES
    efficiencies: Sequence[float] = EFFICIENCIES
    train: Predictions | None = None
    history: Sequence[Mapping[str, float]] = ()
    objective: str = ""
    kept: float = math.nan
    importances: Sequence[PermutationImportance] = ()
    permuted: Predictions | None = None

    @property
    def first(self) -> Predictions:
        """Predictions of the trial."""
        return self.contenders[0].predictions


def pages(subject: Subject, *, rng: np.random.Generator) -> Iterator[Page]:
    """Draw all figures of an evaluation.

    Args:
        subject: trial, reference and candidates.
        rng: generator for the bootstraps.
    Yields:
        name, figure and points.
    Raises:
        DataError: there is one class only.
    """
    if subject.first.has_background:
        yield from _curves(subject, rng)
        yield from _profiles(subject, rng)
    yield from _classes(subject, rng)
    yield from _training(subject)
    yield from _importances(subject)


def _curves(subject: Subject, rng: np.random.Generator) -> Iterator[Page]:
    for suffix, chosen, sample in split_by_prongs(subject.contenders, subject.sample):
        yield (
            f"roc{suffix}",
            *roc_ratio_figure(chosen, sample=sample, rng=rng, least=min(subject.efficiencies)),
        )
    if subject.train is not None:
        drawn = overtraining_figure(subject.train, subject.first, sample=subject.sample)
        yield "scores", *drawn


def _profiles(subject: Subject, rng: np.random.Generator) -> Iterator[Page]:
    """Draw efficiencies and rejections, for each number of prongs where the column exists."""
    parts = list(split_by_prongs(subject.contenders, subject.sample))
    for suffix, chosen, sample in parts[1:] or parts:
        names = [name for name in subject.bins if not suffix or name not in _OF_ALL]
        yield from _in_bins(chosen, names, suffix=suffix, sample=sample, rng=rng)
        flat = choose_axes(chosen[0], [name for name in names if name in _FLAT])
        if flat:
            yield f"flatness{suffix}", *flatness_figure(chosen, flat, sample=sample, rng=rng)
    if parts[1:]:
        names = [name for name in subject.bins if name in _OF_ALL]
        yield from _in_bins(subject.contenders, names, suffix="", sample=subject.sample, rng=rng)


def _in_bins(
    contenders: Sequence[ScoredTrial],
    bins: Sequence[str],
    *,
    suffix: str,
    sample: SampleLabel,
    rng: np.random.Generator,
) -> Iterator[Page]:
    kinds: tuple[ProfileKind, ...] = ("efficiency", "rejection")
    for kind in kinds:
        for axis in choose_axes(contenders[0], bins, kind):
            drawn = profile_figure(contenders, axis, kind, sample=sample, rng=rng)
            if drawn is not None:
                yield f"{kind}_{axis.name}{suffix}", *drawn


def _classes(subject: Subject, rng: np.random.Generator) -> Iterator[Page]:
    """Draw confusion matrices, ROC curves of each class against the rest, and calibration."""
    sample, first = subject.sample, subject.contenders[0]
    trained_sample = sample
    if first.factors:
        trained_sample = replace(sample, weights=f"{sample.weights}, {_AS_TRAINED}")
    yield "confusion_by_true", *confusion_figure(first.predictions, sample=sample)
    drawn = confusion_figure(as_trained(first), sample=trained_sample, by="predicted")
    yield "confusion_by_predicted", *drawn
    if len(first.predictions.classes) > 2:
        drawn = one_against_rest_figure(subject.contenders, sample=sample, rng=rng)
        yield "one_against_rest", *drawn
    yield "calibration", *calibration_figure(subject.contenders, sample=trained_sample, rng=rng)


def _training(subject: Subject) -> Iterator[Page]:
    if subject.history:
        sample = replace(subject.sample, selection="training")
        text = f"{len(subject.history)} reports; objective on the validation split"
        drawn = training_figure(
            subject.history,
            objective=subject.objective,
            kept=subject.kept,
            sample=sample,
            text=text,
        )
        yield "training", *drawn


def _importances(subject: Subject) -> Iterator[Page]:
    if subject.permuted is None:
        return
    for name, whole in {"importance_groups": True, "importance_features": False}.items():
        chosen = [entry for entry in subject.importances if entry.whole == whole]
        yield name, *importance_figure(chosen, subject.permuted, sample=subject.sample)
