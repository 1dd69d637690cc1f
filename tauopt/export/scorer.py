"""Columns of a friend tree for the candidates of any file: scores and working-point decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.settings.networks import group_lengths
from tauopt.evaluation.file_candidates import input_batches
from tauopt.evaluation.recorded_trial import Trial
from tauopt.metrics.working_points.working_point_set import WorkingPoints
from tauopt.models.model_file import load_model
from tauopt.models.output_scores import MODE_SCORES, PROBABILITIES, SIGNAL_SCORE
from tauopt.prepare.inference_features import FileStep
from tauopt.training.prediction import AllOutputs

Array = NDArray[Any]
FLATTENED, PASSES = "flattened", "passes_"


class Scorer:
    """A trial's model as a function from steps of a file to the columns of a friend tree.

    Columns by name: `p_<class>`, `signal_score`, `against_<class>`, `<class>_of_signal` (see
    `tauopt.models.output_scores`); with working points `flattened` and `passes_<point>`.
    """

    def __init__(self, trial: Trial, points: WorkingPoints | None, *, default: float) -> None:
        """Load a trial's model.

        Args:
            trial: from `find_trial`.
            points: working points of its model; None if it has none.
            default: value where there is no score.
        Raises:
            CorruptError: the model was altered, or holds what may not be loaded.
        """
        self._task, self._points, self._default = trial.experiment.task, points, default
        self._lengths = group_lengths(trial.experiment.model)
        self._outputs = AllOutputs(load_model(trial.model, sha256=trial.sha256))

    @property
    def spectators(self) -> tuple[str, ...]:
        """Spectators that the working points read."""
        needed = self._points.needs if self._points else ()
        return tuple(name for name in needed if not name.startswith("against_"))

    @property
    def columns(self) -> dict[str, np.dtype[Any]]:
        """Name and type of each column, in order."""
        spectators = {name: np.empty(0, np.float32) for name in self.spectators}
        columns = self._with_decisions(self._no_scores(), spectators)
        return {name: values.dtype for name, values in columns.items()}

    def __call__(self, step: FileStep) -> dict[str, Array]:
        """Return each column for all entries of a step, (entry,)."""
        batches = input_batches(step.features, lengths=self._lengths)
        parts = [self._scores(inputs) for inputs in batches] or [self._no_scores()]
        scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        columns = {}
        for name, values in self._with_decisions(scores, step.spectators).items():
            empty = False if values.dtype == np.bool_ else self._default
            columns[name] = np.full(step.entries, empty, values.dtype)
            columns[name][step.rows] = values
        return columns

    def _no_scores(self) -> dict[str, Array]:
        """Return the scores of no candidate, for their names and types."""
        return {name: values[:0] for name, values in self._scores(self._outputs.blank).items()}

    def _scores(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on a batch; return a column (candidate,) for each score."""
        outputs = self._outputs(inputs)
        probabilities = outputs.pop(PROBABILITIES)
        scores = {f"p_{name}": probabilities[:, i] for i, name in enumerate(self._task.classes)}
        modes = outputs.pop(MODE_SCORES, None)
        scores |= outputs
        if modes is not None:
            signal = [name for name in self._task.classes if name in self._task.signal]
            scores |= {f"{name}_of_signal": modes[:, i] for i, name in enumerate(signal)}
        return scores

    def _with_decisions(
        self, scores: Mapping[str, Array], spectators: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Add the flattened score and the decision of each working point to the scores."""
        if self._points is None:
            return dict(scores)
        signal, columns = scores[SIGNAL_SCORE], {**spectators, **scores}
        passed = self._points.passes(signal, columns)
        return {
            **scores,
            FLATTENED: self._points.flattened(signal, columns),
            **{f"{PASSES}{name}": values for name, values in passed.items()},
        }
