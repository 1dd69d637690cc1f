"""What a basket of a TTree says of itself, in its key and in its compressed blocks.

Source: the formats of TKey and TBasket as in ROOT's io/doc/TFile and as uproot reads them.
"""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

import numpy as np

_KEY = struct.Struct(">ihiIhh")
"""Bytes in all, version, bytes uncompressed, date, bytes of the key, cycle."""
_BASKET = struct.Struct(">Hiiii")
"""Version, buffer size, entry size, entries, end of the numbers; one byte before the key's end."""
_LONGEST_KEY = 4096
"""Bytes of a key that are read at first; keys hold names."""
_BLOCK = 9
"""Bytes before each compressed block: algorithm, then sizes compressed and not, low byte first."""


class Header(NamedTuple):
    """The key of a basket."""

    stored: int
    """Bytes in the file, the key's among them."""
    key: int
    """Bytes of the key."""
    size: int
    """Bytes behind the key, uncompressed: numbers, then where each entry begins if that is kept."""
    entries: int
    end: int
    """Of the numbers, counted from the key's end."""


def parse_header(start: bytes) -> Header | None:
    """Read a key from the first bytes of a basket; None if there is none, or a longer one."""
    if len(start) < _KEY.size:
        return None
    stored, _, size, _, key, _ = _KEY.unpack_from(start)
    if not _KEY.size + _BASKET.size < key <= min(len(start), stored) or size < 0:
        return None
    _, _, _, entries, end = _BASKET.unpack_from(start, key - _BASKET.size - 1)
    return Header(stored, key, size, entries, end - key)


def read_header(file: int, seek: int) -> Header | None:
    """Read the key of the basket at a place of a file, given by its descriptor."""
    return parse_header(os.pread(file, _LONGEST_KEY, seek)) if seek > 0 else None


def check_headers(branch: Any, file: int) -> None:
    """Check what the baskets of a branch of uproot's say of themselves, without reading them.

    uproot makes room for as many bytes and entries as a basket says it has before it notices that
    these are too many.

    Args:
        branch: those inside of it are looked at too.
        file: descriptor.
    Raises:
        ValueError: a basket says other than the branch or its compressed blocks, or is none.
    """
    expected = np.diff(np.asarray(branch.entry_offsets, dtype=np.int64)).tolist()
    expected = expected[: len(expected) - len(branch.embedded_baskets)]  # which are held already
    for seek, count in zip(branch.member("fBasketSeek"), expected, strict=False):
        found = read_header(file, int(seek))
        if found is None:
            raise ValueError(f"no basket begins at {seek}")
        size = found.stored - found.key
        if size != found.size:
            size = _uncompressed_size(file, int(seek) + found.key, int(seek) + found.stored)
        if (found.entries, found.size) != (count, size):
            raise ValueError(
                f"the basket at {seek} has {found.entries} entries in {found.size} bytes, "
                f"expected {count} in {size}"
            )
    for inner in branch.branches:
        check_headers(inner, file)


def _uncompressed_size(file: int, start: int, stop: int) -> int:
    """Add up what the compressed blocks between two places say of their size."""
    size = 0
    while start < stop:
        head = os.pread(file, _BLOCK, start)
        if len(head) < _BLOCK:
            break
        size += int.from_bytes(head[6:], "little")
        start += _BLOCK + int.from_bytes(head[3:6], "little")
    return size
