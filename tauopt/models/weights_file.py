"""The HDF5 file of a model's weights, looked into before Keras reads it.

HDF5 knows datasets whose content lies elsewhere (external and soft links, external storage, virtual
datasets), that are larger than the file (fill values, filters), and objects. Keras writes none of
these: numbers in the file itself, and nothing is read of anything else.
"""

from __future__ import annotations

import io
from typing import Any

import h5py

from tauopt.errors import CorruptError

MAX_DEPTH = 64
"""Groups within groups; ours have at most ten."""
MAX_OBJECTS = 100_000


def check_weights(data: bytes, *, told: str) -> None:
    """Check that a file of weights holds numbers and no more.

    Args:
        data: the whole file.
        told: what messages call it.
    Raises:
        CorruptError: it is no HDF5 file, or holds what Keras does not write.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _Walk(told, len(data)).group(file, "", 0)
    except CorruptError:
        raise
    except Exception as error:
        raise CorruptError(f"{told} is damaged: {error}") from error


class _Walk:
    """Goes through a file without following anything that leads out of it."""

    def __init__(self, told: str, size: int) -> None:
        self._told, self._size = told, size
        self._objects = self._bytes = 0

    def group(self, group: Any, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise CorruptError(f"{self._told}: groups are nested deeper than {MAX_DEPTH}")
        for name in group:
            self._objects += 1
            if self._objects > MAX_OBJECTS:
                raise CorruptError(f"{self._told}: more than {MAX_OBJECTS} objects")
            here = f"{path}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CorruptError(f"{self._told}: {here} is a link to elsewhere")
            one = group[name]
            if isinstance(one, h5py.Group):
                self.group(one, here, depth + 1)
            elif isinstance(one, h5py.Dataset):
                self._dataset(one, here)
            else:
                raise CorruptError(f"{self._told}: {here} is a {type(one).__name__}")

    def _dataset(self, one: Any, here: str) -> None:
        if one.is_virtual or one.external:
            raise CorruptError(f"{self._told}: {here} has its content in another file")
        if one.dtype.kind not in "fiub":
            raise CorruptError(f"{self._told}: {here} holds {one.dtype}, expected numbers")
        if one.chunks is not None:
            raise CorruptError(f"{self._told}: {here} is chunked, as Keras writes none")
        self._bytes += one.nbytes
        if one.id.get_storage_size() != one.nbytes or self._bytes > self._size:
            raise CorruptError(
                f"{self._told}: {here} of shape {one.shape} is larger than what the file holds"
            )
