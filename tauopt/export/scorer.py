"""A trial's model on candidates of any file: its scores, and what working points say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.inputs import CANDIDATE
from tauopt.config.settings.networks import group_lengths
from tauopt.evaluation.file_candidates import padded
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.models.model_file import load_model
from tauopt.models.output_scores import MODE_SCORES, PROBABILITIES, SIGNAL_SCORE
from tauopt.prepare.inference_features import FileStep
from tauopt.training.prediction import BATCH_SIZE, AllOutputs

Array = NDArray[Any]
FLATTENED, PASSES = "flattened", "passes_"
NOT_SCORED = -1.0
"""Score of candidates that are not selected or lack a feature; they pass no working point."""


class Scorer:
    """Gives the columns of a friend tree, an array of every entry each.

    By name: `p_<class>`, `signal_score`, `against_<class>`, `<class>_of_signal` (see
    `tauopt.models.output_scores`); with working points `flattened` and `passes_<point>`.
    """

    def __init__(self, trial: Trial, points: WorkingPoints | None, *, default: float) -> None:
        """Load a trial's model.

        Args:
            trial: from `reference.find_trial`.
            points: its working points, if it has some.
            default: stands where there is no score.
        Raises:
            CorruptError: the model is damaged or hostile.
        """
        self._task, self._points, self._default = trial.experiment.task, points, default
        self._lengths = group_lengths(trial.experiment.model)
        self._run = AllOutputs(load_model(trial.model, sha256=trial.sha256))

    @property
    def spectators(self) -> tuple[str, ...]:
        """Spectators that working points need of each candidate."""
        needed = self._points.needs if self._points else ()
        return tuple(name for name in needed if not name.startswith("against_"))

    @property
    def columns(self) -> dict[str, np.dtype[Any]]:
        """Name and type of each column, in order."""
        nothing = {name: np.empty(0, np.float32) for name in self.spectators}
        empty = {name: values[:0] for name, values in self._scores_of_none().items()}
        return {name: values.dtype for name, values in self._judged(empty, nothing).items()}

    def __call__(self, step: FileStep) -> dict[str, Array]:
        """Return each column for the entries of a step, (entry,)."""
        scores = self._scores(step)
        found = {}
        for name, values in self._judged(scores, step.spectators).items():
            empty = False if values.dtype == np.bool_ else self._default
            found[name] = np.full(step.entries, empty, values.dtype)
            found[name][step.rows] = values
        return found

    def _scores_of_none(self) -> dict[str, Array]:
        """Return the scores of one made-up candidate: which there are."""
        return self._named({name: x[:1] for name, x in self._run.blank.items()})

    def _scores(self, step: FileStep) -> dict[str, Array]:
        candidates = len(step.rows)
        parts = []
        for begin in range(0, candidates, BATCH_SIZE):
            rows = np.arange(begin, min(begin + BATCH_SIZE, candidates))
            inputs = {CANDIDATE: np.ascontiguousarray(step.features.candidate[rows])}
            for name, length in self._lengths.items():
                inputs |= padded(step.features.groups[name], rows, name=name, length=length)
            parts.append(self._named(inputs))
        if not parts:
            return {name: values[:0] for name, values in self._scores_of_none().items()}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _named(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model; return a column of each score."""
        found = self._run(inputs)
        probabilities = found.pop(PROBABILITIES)
        named = {f"p_{name}": probabilities[:, i] for i, name in enumerate(self._task.classes)}
        modes = found.pop(MODE_SCORES, None)
        named |= found
        if modes is not None:
            signal = [name for name in self._task.classes if name in self._task.signal]
            named |= {f"{name}_of_signal": modes[:, i] for i, name in enumerate(signal)}
        return named

    def _judged(
        self, scores: Mapping[str, Array], spectators: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return scores with what working points say of them."""
        if self._points is None:
            return dict(scores)
        signal, columns = scores[SIGNAL_SCORE], {**spectators, **scores}
        passed = self._points.passes(signal, columns)
        return {
            **scores,
            FLATTENED: self._points.flattened(signal, columns),
            **{f"{PASSES}{name}": values for name, values in passed.items()},
        }
