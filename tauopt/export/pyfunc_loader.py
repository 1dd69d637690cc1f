"""Load a registered version for `mlflow.pyfunc.load_model`, through tauopt's safe loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.models.model_file import load_model
from tauopt.models.output_scores import only_probabilities


class Classifier:
    """A registered model with the interface that MLflow calls."""

    def __init__(self, path: Path) -> None:
        self._model = only_probabilities(load_model(path))

    def predict(
        self, inputs: Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Return class probabilities (candidate, class) for arrays by input name."""
        del params
        arrays = {name: np.asarray(values) for name, values in inputs.items()}
        return np.asarray(self._model(arrays, training=False))


def _load_pyfunc(path: str) -> Classifier:
    """Load the model in the data folder of a packed version; MLflow prescribes the name."""
    return Classifier(Path(path) / "model.keras")
