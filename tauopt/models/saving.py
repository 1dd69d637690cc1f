"""Write and read models: whole or not at all, digest first, and nothing in them is executed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from tauopt import durable
from tauopt.errors import CorruptError
from tauopt.models import (
    attention,
    blocks,
    grids,
    neighbours,
    normalization,
    objects,
    preprocessing,
    recurrent,
    scores,
    together,
)

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
MAX_CONFIG_BYTES = 16_000_000
MAX_WEIGHTS_BYTES = 4_000_000_000
OUR_LAYERS = tuple(
    f"{preprocessing.PACKAGE}>{layer.__name__}"
    for layer in (
        preprocessing.Preprocess,
        normalization.Normalize,
        recurrent.Lstm,
        recurrent.Gru,
        objects.Rows,
        objects.Objects,
        objects.KeepFeatures,
        objects.FlatObjects,
        objects.SumObjects,
        objects.LastObject,
        objects.ReverseObjects,
        objects.FirstObject,
        together.RawFeatures,
        attention.ClassToken,
        attention.AttentionBias,
        attention.Attend,
        attention.PairFeatures,
        grids.LeadingInCell,
        grids.FillGrid,
        grids.Cells,
        grids.CellRows,
        neighbours.NearestNeighbours,
        neighbours.WithNeighbours,
        neighbours.MeanOfReal,
        blocks.Gelu,
        blocks.TwoClasses,
        blocks.NestedClasses,
        scores.SumOfClasses,
        scores.AmongClasses,
        scores.AgainstClass,
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
_REFUSED = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")


def save_model(model: keras.Model, path: Path) -> str:
    """Write a model to a `.keras` file; return its SHA-256."""
    durable.write_with(path, lambda temporary: model.save(temporary))
    return durable.sha256_file(path)


def load_model(path: Path, *, sha256: str | None = None) -> keras.Model:
    """Read a model that `save_model` wrote, without running anything it brings along.

    Args:
        path: a `.keras` file.
        sha256: digest on record; None trusts the file's integrity, never its content.
    Raises:
        CorruptError: missing, altered, cut short, or it holds a layer that we do not know.
    """
    path = Path(path)
    try:
        found = durable.sha256_file(path)
    except OSError as error:
        raise CorruptError(f"model {path}: {error.strerror}") from error
    if sha256 is not None and found != sha256:
        raise CorruptError(f"model {path}: expected SHA-256 {sha256}, got {found}")
    check_archive(path)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CorruptError(f"model {path}: {error}") from error


def check_archive(path: Path) -> None:
    """Look into a `.keras` file without loading it.

    Raises:
        CorruptError: other members than Keras writes, sizes beyond reason, or a class that is
            neither Keras's own nor ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            limits = {"config.json": MAX_CONFIG_BYTES, "metadata.json": MAX_CONFIG_BYTES}
            if sorted(sizes) != sorted(MEMBERS) or len(archive.infolist()) != len(MEMBERS):
                raise CorruptError(f"model {path}: expected members {MEMBERS}, got {list(sizes)}")
            for name, size in sizes.items():
                if size > limits.get(name, MAX_WEIGHTS_BYTES):
                    raise CorruptError(f"model {path}: {name} has {size} bytes")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError) as error:
        raise CorruptError(f"model {path} is no Keras archive: {error}") from error
    for name, module in foreign_classes(config):
        raise CorruptError(
            f"model {path}: class {name!r} of module {module!r} is neither Keras's nor ours"
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
    if module in KERAS_ITSELF:
        return name in KERAS_ITSELF[module]
    part = KERAS_MODULES.get(module)
    return isinstance(name, str) and isinstance(getattr(part, name, None), type)
