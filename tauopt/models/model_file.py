"""Save models atomically; load them after checking their digest, without running their code."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tauopt import durable
from tauopt.errors import CorruptError
from tauopt.models import (
    attention_layers,
    batch_normalization,
    blocks,
    grid_layers,
    joint_objects,
    neighbour_layers,
    object_layers,
    output_scores,
    preprocessing,
    recurrent,
)
from tauopt.models._keras_internals import FUNCTIONAL_MODULE, is_keras_layer, is_keras_model
from tauopt.models.keras_archive import MAX_BYTES, read_config

OUR_LAYERS = tuple(
    f"{preprocessing.PACKAGE}>{layer.__name__}"
    for layer in (
        preprocessing.Preprocess,
        batch_normalization.Normalize,
        recurrent.Lstm,
        recurrent.Gru,
        object_layers.Rows,
        object_layers.Objects,
        object_layers.KeepFeatures,
        object_layers.FlatObjects,
        object_layers.SumObjects,
        object_layers.LastObject,
        object_layers.ReverseObjects,
        object_layers.FirstObject,
        joint_objects.RawFeatures,
        attention_layers.ClassToken,
        attention_layers.AttentionBias,
        attention_layers.Attend,
        attention_layers.PairFeatures,
        grid_layers.LeadingInCell,
        grid_layers.FillGrid,
        grid_layers.Cells,
        grid_layers.CellRows,
        neighbour_layers.NearestNeighbours,
        neighbour_layers.WithNeighbours,
        neighbour_layers.MeanOfReal,
        blocks.Gelu,
        blocks.TwoClasses,
        blocks.NestedClasses,
        output_scores.SumOfClasses,
        output_scores.AmongClasses,
        output_scores.AgainstClass,
    )
)
KERAS_MODULES = {
    "keras.layers": keras.layers,
    "keras.initializers": keras.initializers,
    "keras.regularizers": keras.regularizers,
    "keras.constraints": keras.constraints,
    "keras.optimizers": keras.optimizers,
    "keras.losses": keras.losses,
}
"""Modules of which a model may name every class, except those in `_REFUSED`."""
OTHER_KERAS_NAMES: dict[str | None, tuple[str, ...]] = {
    None: ("__keras_tensor__", "__tensor__", "__numpy__", "__tuple__"),
    "keras": ("DTypePolicy", "Sequential"),
    FUNCTIONAL_MODULE: ("Functional",),
}
"""Module -> other names that a model may hold."""
_REFUSED = (
    # They run code from the model file, ...
    "Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer",
    # ... or read a vocabulary from any file or address that the model file names.
    "StringLookup", "IntegerLookup", "TextVectorization",
)  # fmt: skip


def save_model(model: keras.Model, path: Path) -> str:
    """Save a model to a `.keras` file, whole or not at all; return the SHA-256 of the file."""
    durable.write_with(path, lambda temporary: model.save(temporary))
    return durable.sha256_file(path)


def load_model(path: Path, *, sha256: str | None = None) -> keras.Model:
    """Load a model that `save_model` saved, without running code from the file.

    Args:
        path: a `.keras` file.
        sha256: recorded digest of the file; None skips the digest, but no other check.
    Raises:
        CorruptError: the file is missing, altered or cut short, or holds an unknown layer.
    """
    path = Path(path)
    # The file is read once, and Keras loads a copy of the checked bytes in a private folder:
    # so a file that is exchanged between check and load does no harm.
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise CorruptError(f"model {path}: expected SHA-256 {sha256}, got {digest}")
    check_data(data, name=f"model {path}")
    with tempfile.TemporaryDirectory(prefix="tauopt-model-") as folder:
        copy = Path(folder) / "model.keras"
        copy.write_bytes(data)
        try:
            return keras.models.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:
            raise CorruptError(
                f"Keras can't load model {path}: {type(error).__name__}: {error}"
            ) from error


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CorruptError(
                f"model {path} has {size:,} bytes; expected at most {MAX_BYTES:,} bytes"
            )
        return path.read_bytes()
    except OSError as error:
        raise CorruptError(f"can't read model {path}: {error.strerror}") from error


def weights_apart(one: keras.Model, other: keras.Model) -> float:
    """Return the largest difference between weights of two models; infinite if shapes differ."""
    pairs = list(zip(one.get_weights(), other.get_weights(), strict=False))
    if len(one.weights) != len(other.weights) or any(a.shape != b.shape for a, b in pairs):
        return float("inf")
    return max((float(np.max(np.abs(a - b), initial=0.0)) for a, b in pairs), default=0.0)


def check_data(data: bytes, *, name: str) -> None:
    """Check the content of a `.keras` file without loading it.

    Args:
        data: content of the file.
        name: what error messages call the file.
    Raises:
        CorruptError: the file differs from what Keras writes (see `keras_archive`), or names a
            class that is neither Keras's nor ours.
    """
    for class_name, module in foreign_classes(read_config(data, name=name)):
        raise CorruptError(
            f"{name}: class {class_name!r} of module {module!r} is neither Keras's nor ours"
        )


def foreign_classes(config: Any) -> list[tuple[Any, Any]]:
    """Return name and module of each class in a model's configuration that is not allowed."""
    return [
        (item["class_name"], item.get("module"))
        for item in _class_items(config)
        if not _is_allowed(item["class_name"], item.get("module"), item.get("registered_name"))
    ]


def is_known_layer(layer: keras.layers.Layer) -> bool:
    """Return whether saved models may hold this layer: it is Keras's own, or ours."""
    kind = type(layer)
    if isinstance(layer, (keras.Sequential, keras.Model)):
        return is_keras_model(kind)
    module = "keras.layers" if is_keras_layer(kind) else None
    return _is_allowed(kind.__name__, module, keras.saving.get_registered_name(kind))


def _class_items(config: Any) -> Iterator[dict[str, Any]]:
    """Yield each part of a configuration that names a class or a function."""
    waiting = [config]  # no recursion, which a deeply nested file would exhaust
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _is_allowed(name: Any, module: Any, registered_name: Any) -> bool:
    if name in _REFUSED:
        return False
    if registered_name in OUR_LAYERS:
        return True
    if not isinstance(module, str | None) or not isinstance(name, str):
        return False
    if module in OTHER_KERAS_NAMES:
        return name in OTHER_KERAS_NAMES[module]
    known = KERAS_MODULES.get(module or "")
    return known is not None and isinstance(vars(known).get(name), type)
