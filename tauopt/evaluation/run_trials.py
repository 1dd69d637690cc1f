"""Several trials run on the test split of the dataset that all were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tauopt.config.settings.dotted_paths import flat
from tauopt.errors import DataError
from tauopt.evaluation.recorded_trial import Trial
from tauopt.evaluation.reference_score import against_trial
from tauopt.evaluation.run_trial import run_on
from tauopt.evaluation.split_candidates import EvaluationCandidates
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.progress import Progress

NOT_THERE = "-"
_SECTIONS = ("task", "model", "training", "objective")
"""Of an experiment, that make a training what it is."""
_FACTS = ("tauopt_version", "dataset_digest", "seed", "parameters", "candidates_seen", "reports",
          "best_report", "ended", "seconds", "precision", "training_method")  # fmt: skip
"""Of a trial's result that a reader of a comparison asks for."""


def contenders_of(
    trials: Mapping[str, Trial], candidates: EvaluationCandidates, *, progress: Progress
) -> list[ScoredTrial]:
    """Run trials over the candidates that all their tasks keep.

    Args:
        trials: name -> trial; the first one is the base.
        candidates: that are judged.
        progress: told of every step.
    Raises:
        DataError: one means something else by signal than the base, or reads other features.
    """
    (name, first), *others = trials.items()
    progress.say(f"running {name} on the {candidates.told}")
    base = run_on(candidates, first)
    mask = np.ones(len(base.predictions), np.bool_)
    found = []
    for other_name, trial in others:
        progress.say(f"running {other_name}")
        kept, other = against_trial(base, trial, candidates)
        found.append((kept, replace(other, name=other_name)))
        mask &= kept
    if not mask.any():
        raise DataError("there are no candidates that all of these trials judge")
    own = ScoredTrial(name, base.predictions, factors=base.factors)
    return [own.where(mask), *(one.where(mask[kept]) for kept, one in found)]


def check_same_data(trials: Mapping[str, Trial]) -> None:
    """Check that trials were trained on one dataset.

    Raises:
        DataError: they were not: one's test split may hold what another was trained on.
    """
    digests = {name: trial.dataset_digest for name, trial in trials.items()}
    if len(set(digests.values())) > 1:
        told = ", ".join(f"{name} on {digest[:16]}" for name, digest in digests.items())
        raise DataError(
            f"these trials were trained on different datasets ({told}), and the test split of one "
            "may hold what another has learned from; compare them on ntuples that none has seen: "
            "tauopt evaluate RUN FILES --reference OTHER"
        )


def differences(trials: Mapping[str, Trial]) -> dict[str, list[Any]]:
    """Return the settings and facts in which trials differ: path -> a value for each trial."""
    every = [_facts(trial) for trial in trials.values()]
    sections = {name: place for place, name in enumerate((*_SECTIONS, *_FACTS))}
    paths = sorted(
        dict.fromkeys(path for facts in every for path in facts),
        key=lambda path: sections[path.partition(".")[0]],  # what only one has comes to its like
    )
    table = {path: [facts.get(path, NOT_THERE) for facts in every] for path in paths}
    return {path: values for path, values in table.items() if any(v != values[0] for v in values)}


def _facts(trial: Trial) -> dict[str, Any]:
    experiment = trial.experiment.model_dump(mode="json", include=set(_SECTIONS))
    settings = {path: v for part in _SECTIONS for path, v in flat(experiment[part], part).items()}
    return {**settings, **{name: trial.result.get(name, NOT_THERE) for name in _FACTS}}


def names_of(trials: Sequence[Trial]) -> dict[str, Trial]:
    """Return trials by a name of their own each: the run's, with letters of its id where needed."""
    names = [trial.name for trial in trials]
    return {
        trial.name
        if names.count(trial.name) == 1
        else f"{trial.name} ({trial.run_id[:6] or trial.sha256[:6]})": trial
        for trial in trials
    }
