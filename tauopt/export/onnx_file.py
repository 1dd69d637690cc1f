"""Write models as ONNX files, and run these files; no other module imports ONNX libraries."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.durable import write_with
from tauopt.errors import CorruptError, DataError, UsageError
from tauopt.models.recurrent import Lstm

INSTALL = "pip install 'tauopt[onnx]'"
"""Command that installs the libraries."""
BATCH = "candidates"
"""Name of the first axis, of any length, of every input and output."""


def write_onnx(model: Any, path: Path, *, metadata: Mapping[str, str]) -> None:
    """Write a network to an ONNX file, atomically.

    Args:
        model: Keras model whose inputs and outputs have names; its preprocessing is a part of it.
        path: file to make or replace.
        metadata: properties to store in the file.
    Raises:
        UsageError: the extra `onnx` is not installed; names the command that installs it.
        DataError: a layer has no counterpart in ONNX.
    """
    with _installed():
        import onnx
        import tf2onnx

    # A model that was read from a file has no graph before it is called.
    model({x.name: np.ones((1, *x.shape[1:]), x.dtype) for x in model.inputs})

    def write(temporary: Path) -> None:
        with _exportable(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # tf2onnx uses deprecated numpy names
            model.export(temporary, format="onnx", verbose=False)
        graph = onnx.load(temporary)
        for tensor in (*graph.graph.input, *graph.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_param = BATCH
        onnx.helper.set_model_props(graph, dict(metadata))
        onnx.checker.check_model(graph)
        onnx.save(graph, temporary)

    logging.getLogger(tf2onnx.__name__).setLevel(logging.CRITICAL)  # failures raise
    try:
        write_with(path, write)
    except (ValueError, NotImplementedError, RuntimeError, onnx.checker.ValidationError) as error:
        raise DataError(
            f"model {model.name}: a layer has no counterpart in ONNX: {_first_line(error)}; "
            "export a model of another architecture"
        ) from error


class OnnxModel:
    """An ONNX file as a function of arrays, run on one core."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            UsageError: the extra `onnx` is not installed.
            CorruptError: the file is missing or no ONNX file.
        """
        with _installed():
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise CorruptError(f"{path} is no ONNX file that can be run: {error}") from error
        self.inputs = tuple(node.name for node in self._session.get_inputs())
        self.outputs = tuple(node.name for node in self._session.get_outputs())
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Return arrays by output name for arrays by input name, (candidate, ...) each."""
        outputs = self._session.run(None, {name: inputs[name] for name in self.inputs})
        return dict(zip(self.outputs, outputs, strict=True))


@contextlib.contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UsageError(f"ONNX needs {error.name}, which is not installed: {INSTALL}") from error


@contextlib.contextmanager
def _exportable() -> Iterator[None]:
    """Run LSTMs step by step in Keras: TensorFlow's fused kernel has no counterpart in ONNX."""
    before = Lstm.whole_sequences
    Lstm.whole_sequences = False
    try:
        yield
    finally:
        Lstm.whole_sequences = before


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
