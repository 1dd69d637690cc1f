"""Check a `.keras` archive and the HDF5 file of its weights before Keras reads them.

What Keras writes is known exactly, so a file is refused for everything that differs from it, and
no attack has to be recognised:

- The archive has three members, stored without compression. That excludes compression bombs,
  links, names with `..` and duplicate members.
- The weights are datasets of numbers in the file itself. That excludes datasets whose content lies
  elsewhere (external and soft links, external storage, virtual datasets), datasets larger than the
  file (fill values, filters), and pickled objects.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import h5py

from tauopt.errors import CorruptError

WEIGHTS = "model.weights.h5"
MEMBERS = ("metadata.json", "config.json", WEIGHTS)
MAX_TEXT_BYTES = 16_000_000
"""Largest size of each JSON member; our largest networks have some 100 kB."""
MAX_BYTES = 4_000_000_000
"""Largest size of the archive."""
MAX_DEPTH = 64
"""Most HDF5 groups within groups; our weights have at most ten."""
MAX_OBJECTS = 100_000
"""Most HDF5 groups and datasets."""
_ENCRYPTED_FLAG = 0x1
_FILE_TYPE_MASK, _SYMLINK = 0o170000, 0o120000


def read_config(data: bytes, *, name: str) -> Any:
    """Check an archive, and return the model's configuration as JSON values.

    Args:
        data: content of the archive.
        name: what error messages call the archive.
    Raises:
        CorruptError: the archive or its weights are damaged, or hold what Keras does not write.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist(), name)
            json.loads(archive.read("metadata.json"))
            config = json.loads(archive.read("config.json"))
            weights = archive.read(WEIGHTS)
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError, NotImplementedError,
            RuntimeError, EOFError) as error:  # fmt: skip
        raise CorruptError(f"{name} is no Keras archive: {error}") from error
    check_weights(weights, name=f"{name}: {WEIGHTS}")
    return config


def _check_members(members: list[zipfile.ZipInfo], name: str) -> None:
    names = [member.filename for member in members]
    if sorted(names) != sorted(MEMBERS):
        raise CorruptError(f"{name}: expected members {MEMBERS}, got {names[:10]}")
    for member in members:
        if member.flag_bits & _ENCRYPTED_FLAG:
            raise CorruptError(f"{name}: {member.filename} is encrypted; Keras encrypts nothing")
        if (member.external_attr >> 16) & _FILE_TYPE_MASK == _SYMLINK:
            raise CorruptError(f"{name}: {member.filename} is a link; expected a file")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise CorruptError(
                f"{name}: {member.filename} is compressed, {member.file_size:,} bytes to "
                f"{member.compress_size:,}; Keras compresses nothing"
            )
        if member.filename != WEIGHTS and member.file_size > MAX_TEXT_BYTES:
            raise CorruptError(
                f"{name}: {member.filename} has {member.file_size:,} bytes; expected at most "
                f"{MAX_TEXT_BYTES:,}"
            )


def check_weights(data: bytes, *, name: str) -> None:
    """Check that an HDF5 file of weights holds numbers and nothing else.

    Args:
        data: content of the HDF5 file.
        name: what error messages call the file.
    Raises:
        CorruptError: the file is no HDF5 file, or holds what Keras does not write.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _WeightsCheck(name, len(data)).group(file, "", 0)
    except CorruptError:
        raise
    except Exception as error:  # h5py raises many kinds of errors on a damaged file
        raise CorruptError(f"{name} is damaged: {error}") from error


class _WeightsCheck:
    """Walks through an HDF5 file without following any link that leads out of it."""

    def __init__(self, name: str, file_bytes: int) -> None:
        self._name, self._file_bytes = name, file_bytes
        self._objects = self._bytes = 0

    def group(self, group: Any, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise CorruptError(f"{self._name}: groups are nested deeper than {MAX_DEPTH}")
        for key in group:
            self._objects += 1
            if self._objects > MAX_OBJECTS:
                raise CorruptError(f"{self._name} holds more than {MAX_OBJECTS:,} objects")
            item_path = f"{path}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise CorruptError(f"{self._name}: {item_path} is a link to elsewhere")
            item = group[key]
            if isinstance(item, h5py.Group):
                self.group(item, item_path, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self._dataset(item, item_path)
            else:
                raise CorruptError(
                    f"{self._name}: {item_path} is a {type(item).__name__}; "
                    "expected a group or a dataset"
                )

    def _dataset(self, dataset: Any, path: str) -> None:
        if dataset.is_virtual or dataset.external:
            raise CorruptError(f"{self._name}: {path} has its content in another file")
        if dataset.dtype.kind not in "fiub":
            raise CorruptError(f"{self._name}: {path} holds {dataset.dtype}; expected numbers")
        if dataset.chunks is not None:
            raise CorruptError(f"{self._name}: {path} is chunked; Keras writes no chunks")
        self._bytes += dataset.nbytes
        if dataset.id.get_storage_size() != dataset.nbytes or self._bytes > self._file_bytes:
            raise CorruptError(
                f"{self._name}: {path} of shape {dataset.shape} is larger than what the file holds"
            )
