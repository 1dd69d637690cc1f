"""Pack a `.keras` file into an MLflow model folder, byte for byte.

`mlflow.tensorflow.save_model` would save the model again (other bytes, other digest), pickle every
registered layer beside it, and import all of it to guess its requirements. That takes ten seconds,
and `MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false` can't load the result. The folder written here has
the same layout, with the very file that was evaluated and without pickles.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import tauopt
from tauopt.tracking._mlflow_internals import save_example

MODEL_FILE = "data/model.keras"
"""Path of the `.keras` file inside the folder."""


def pack_model(
    folder: Path,
    model: Path,
    *,
    example: Mapping[str, np.ndarray],
    output: np.ndarray,
    metadata: Mapping[str, Any],
    loader: str = "mlflow.tensorflow",
) -> None:
    """Write an MLflow model folder around a `.keras` file.

    Args:
        folder: new folder; must not exist.
        model: `.keras` file, copied unchanged.
        example: model inputs by name, (candidate, ...): a few candidates in physical units.
        output: output of the model for the example, (candidate, class).
        metadata: JSON-able facts kept in the MLmodel file.
        loader: module with `_load_pyfunc(path)` for `mlflow.pyfunc.load_model`. The default
            loads in Keras' safe mode and knows the layers of modules that are imported already.
    """
    from mlflow import pyfunc
    from mlflow.models import Model

    (folder / "data").mkdir(parents=True)
    shutil.copyfile(model, folder / MODEL_FILE)
    (folder / "data" / "keras_module.txt").write_text("tensorflow.keras")
    (folder / "data" / "save_format.txt").write_text("tf")
    requirements = _requirements()
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    packed = Model(metadata=dict(metadata))
    packed.signature = signature(example, output)
    save_example(packed, dict(example), folder)
    packed.add_flavor(
        "tensorflow",
        code=None,
        data="data",
        model_type="keras",
        keras_version=version("keras"),
        save_format="tf",
    )
    pyfunc.add_to_model(packed, loader_module=loader, data="data", pip_requirements=requirements)
    packed.save(str(folder / "MLmodel"))


def signature(example: Mapping[str, np.ndarray], output: np.ndarray) -> Any:
    """Return the MLflow `ModelSignature`: named input tensors, class probabilities as output."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    inputs = [
        TensorSpec(np.dtype(value.dtype), (-1, *value.shape[1:]), name=name)
        for name, value in example.items()
    ]
    outputs = [TensorSpec(np.dtype(output.dtype), (-1, *output.shape[1:]))]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _requirements() -> list[str]:
    return [
        f"tauopt=={tauopt.__version__}",
        *(f"{name}=={version(name)}" for name in ("tensorflow", "keras", "mlflow", "numpy")),
    ]
