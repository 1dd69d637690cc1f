"""Compare an exported ONNX file with its Keras model, candidate by candidate."""

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
"""Largest difference of a score in [0, 1] that passes as rounding."""
LEAST_SIGNAL = 1e-6
"""Least signal score at which scores that are ratios of probabilities are compared: below, they are
ratios of rounding errors (softmax gives 1e-38 with few digits, or none)."""

Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ExportCheck:
    """Agreement of an ONNX file with its Keras model, and the speed of both on one core."""

    candidates: int
    differences: dict[str, float]
    """Output -> largest absolute difference."""
    onnx_per_s: float
    """Candidates per second."""
    keras_per_s: float

    @property
    def largest(self) -> float:
        """The largest difference of all outputs."""
        return max(self.differences.values())

    @property
    def passed(self) -> bool:
        """Whether the largest difference is within the limit."""
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
        batches: arrays by input name, (candidate, ...) each.
    Raises:
        DataError: there are no candidates.
    """
    differences: dict[str, float] = {}
    seconds, candidates, timed = {"onnx": 0.0, "keras": 0.0}, 0, 0
    with one_core():
        for number, inputs in enumerate(batches):
            outputs, onnx_s = _timed(onnx, inputs)
            expected, keras_s = _timed(keras, inputs)
            size = len(expected[PROBABILITIES])
            if number == 1:  # both allocate their memory in the first batch: its time is dropped
                timed, seconds = 0, dict.fromkeys(seconds, 0.0)
            timed += size
            seconds["onnx"] += onnx_s
            seconds["keras"] += keras_s
            for name, value in largest_differences(outputs, expected).items():
                differences[name] = max(value, differences.get(name, 0.0))
            candidates += size
    if not candidates:
        raise DataError("expected candidates to compare the ONNX file on, got none")
    speed = {name: timed / spent if spent else 0.0 for name, spent in seconds.items()}
    return ExportCheck(candidates, differences, speed["onnx"], speed["keras"])


def largest_differences(outputs: Outputs, expected: Outputs) -> dict[str, float]:
    """Return the largest absolute difference of each output; infinite if only one of them is NaN.

    Args:
        outputs, expected: by name, (N, ...) each.
    """
    signal = expected.get(SIGNAL_SCORE)
    largest = {}
    for name, values in expected.items():
        rows = np.ones(len(values), np.bool_)
        if signal is not None and name not in (PROBABILITIES, SIGNAL_SCORE):
            rows = ~(signal < LEAST_SIGNAL)
        ours, theirs = outputs[name][rows], values[rows]
        if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            largest[name] = float("inf")
            continue
        difference = np.abs(ours.astype(np.float64) - theirs)
        largest[name] = float(np.nanmax(difference)) if np.isfinite(difference).any() else 0.0
    return largest


def _timed(
    run: Callable[[Mapping[str, Any]], Outputs], inputs: Mapping[str, Any]
) -> tuple[Outputs, float]:
    start = time.process_time()
    outputs = run(inputs)
    return outputs, time.process_time() - start
