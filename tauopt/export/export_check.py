"""An exported model against the network it was made of, candidate by candidate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.export.onnx_file import OnnxModel
from tauopt.models.output_scores import PROBABILITIES, SIGNAL_SCORE
from tauopt.training.latency import one_core

LIMIT = 1e-5
"""Largest difference of a score, between 0 and 1, that is put down to rounding."""
LEAST = 1e-6
"""Scores that are ratios of probabilities are compared where their signal is at least so probable:
below, they are ratios of roundings (softmax gives 1e-38 with few digits, or none)."""

Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ExportCheck:
    """How an ONNX file and its Keras model agree, and how fast both are on one core."""

    candidates: int
    differences: dict[str, float]
    """Output -> largest difference."""
    onnx_per_s: float
    keras_per_s: float

    @property
    def largest(self) -> float:
        """The largest difference of all outputs."""
        return max(self.differences.values())

    @property
    def passed(self) -> bool:
        """Whether it is within the limit."""
        return self.largest <= LIMIT

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {**asdict(self), "largest": self.largest, "limit": LIMIT, "passed": self.passed}


def compare(
    onnx: OnnxModel,
    keras: Callable[[Mapping[str, Any]], Outputs],
    batches: Iterable[Mapping[str, Any]],
) -> ExportCheck:
    """Run both on the same candidates, bound to one core.

    Args:
        onnx: the exported model.
        keras: the network it was made of: arrays by input name to outputs by name.
        batches: inputs by name, (candidate, ...) each; the first batch is timed only if there is no
            other, since both take their memory in it.
    Raises:
        DataError: there are no candidates, or one of the two gives NaN where the other does not.
    """
    differences: dict[str, float] = {}
    seconds, candidates, timed = {"onnx": 0.0, "keras": 0.0}, 0, 0
    with one_core():
        for number, inputs in enumerate(batches):
            found, spent = _timed(onnx, inputs)
            expected, other = _timed(keras, inputs)
            size = len(expected[PROBABILITIES])
            if number == 1:
                timed, seconds = 0, dict.fromkeys(seconds, 0.0)
            timed += size
            seconds["onnx"] += spent
            seconds["keras"] += other
            for name, value in largest_differences(found, expected).items():
                differences[name] = max(value, differences.get(name, 0.0))
            candidates += size
    if not candidates:
        raise DataError("there are no candidates to compare on")
    speed = {name: timed / spent if spent else 0.0 for name, spent in seconds.items()}
    return ExportCheck(candidates, differences, speed["onnx"], speed["keras"])


def largest_differences(found: Outputs, expected: Outputs) -> dict[str, float]:
    """Return the largest absolute difference of each output; infinite where only one is a number.

    Args:
        found, expected: outputs by name, (N, ...) each.
    """
    signal = expected.get(SIGNAL_SCORE)
    result = {}
    for name, values in expected.items():
        rows = np.ones(len(values), np.bool_)
        if signal is not None and name not in (PROBABILITIES, SIGNAL_SCORE):
            rows = ~(signal < LEAST)
        ours, theirs = found[name][rows], values[rows]
        if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            result[name] = float("inf")
            continue
        apart = np.abs(ours.astype(np.float64) - theirs)
        result[name] = float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0
    return result


def _timed(
    run: Callable[[Mapping[str, Any]], Outputs], inputs: Mapping[str, Any]
) -> tuple[Outputs, float]:
    begun = time.process_time()
    outputs = run(inputs)
    return outputs, time.process_time() - begun
