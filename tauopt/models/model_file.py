"""Write and read models: whole or not at all, digest first, and nothing in them is executed."""

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
    blocks,
    grid_layers,
    joint_objects,
    neighbour_layers,
    normalization,
    object_layers,
    output_scores,
    preprocessing,
    recurrent,
)
from tauopt.models.keras_archive import MAX_BYTES, read_config

OUR_LAYERS = tuple(
    f"{preprocessing.PACKAGE}>{layer.__name__}"
    for layer in (
        preprocessing.Preprocess,
        normalization.Normalize,
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
"""Modules whose classes a model may name."""
KERAS_ITSELF: dict[str | None, tuple[str, ...]] = {
    None: ("__keras_tensor__", "__tensor__", "__numpy__", "__tuple__"),
    "keras": ("DTypePolicy", "Sequential"),
    "keras.src.models.functional": ("Functional",),
}
"""Other names that a model may hold, by module."""
_REFUSED = (
    # They run code that the file brings along, ...
    "Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer",
    # ... or read a vocabulary from any file or address that it names.
    "StringLookup", "IntegerLookup", "TextVectorization",
)  # fmt: skip


def save_model(model: keras.Model, path: Path) -> str:
    """Write a model to a `.keras` file; return its SHA-256."""
    durable.write_with(path, lambda temporary: model.save(temporary))
    return durable.sha256_file(path)


def load_model(path: Path, *, sha256: str | None = None) -> keras.Model:
    """Read a model that `save_model` wrote, without running anything it brings along.

    The file is read once: what was checked is what Keras gets, whoever changes the file meanwhile.

    Args:
        path: a `.keras` file.
        sha256: digest on record; None trusts the file's integrity, never its content.
    Raises:
        CorruptError: missing, altered, cut short, or it holds a layer that we do not know.
    """
    path = Path(path)
    data = _read(path)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise CorruptError(f"model {path}: expected SHA-256 {sha256}, got {found}")
    check_data(data, told=f"model {path}")
    with tempfile.TemporaryDirectory(prefix="tauopt-model-") as folder:
        own = Path(folder) / "model.keras"  # only we may write there
        own.write_bytes(data)
        try:
            return keras.models.load_model(own, compile=False, safe_mode=True)
        except Exception as error:
            raise CorruptError(f"model {path}: {type(error).__name__}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CorruptError(f"model {path} is larger than {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise CorruptError(f"model {path}: {error.strerror}") from error


def weights_apart(one: keras.Model, other: keras.Model) -> float:
    """Return the largest difference between weights of two models; infinite if shapes differ."""
    pairs = list(zip(one.get_weights(), other.get_weights(), strict=False))
    same = len(one.weights) == len(other.weights) and all(a.shape == b.shape for a, b in pairs)
    if not same:
        return float("inf")
    return max((float(np.max(np.abs(a - b), initial=0.0)) for a, b in pairs), default=0.0)


def check_data(data: bytes, *, told: str) -> None:
    """Look into a `.keras` file without loading it.

    Raises:
        CorruptError: it is other than what Keras writes (see `archive`), or names a class that is
            neither Keras's own nor ours.
    """
    for name, module in foreign_classes(read_config(data, told=told)):
        raise CorruptError(
            f"{told}: class {name!r} of module {module!r} is neither Keras's nor ours"
        )


def foreign_classes(config: Any) -> list[tuple[Any, Any]]:
    """Return name and module of each class in a model's configuration that we would not load."""
    return [
        (item["class_name"], item.get("module"))
        for item in _classes(config)
        if not _is_known(item["class_name"], item.get("module"), item.get("registered_name"))
    ]


def is_known_layer(layer: keras.layers.Layer) -> bool:
    """Say whether a model with this layer would be loaded: it is Keras's own, or ours."""
    kind = type(layer)
    if isinstance(layer, (keras.Sequential, keras.Model)):
        return kind.__module__.startswith("keras.src.models.")
    public = "keras.layers" if kind.__module__.startswith("keras.src.layers.") else None
    return _is_known(kind.__name__, public, keras.saving.get_registered_name(kind))


def _classes(config: Any) -> Iterator[dict[str, Any]]:
    """Yield each part of a configuration that names a class or a function."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _is_known(name: Any, module: Any, registered_name: Any) -> bool:
    return name not in _REFUSED and (registered_name in OUR_LAYERS or _is_kerass(name, module))


def _is_kerass(name: Any, module: Any) -> bool:
    if not isinstance(module, str | None) or not isinstance(name, str):
        return False
    if module in KERAS_ITSELF:
        return name in KERAS_ITSELF[module]
    part = KERAS_MODULES.get(module or "")
    return isinstance(getattr(part, name, None), type)
