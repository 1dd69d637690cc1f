"""Read the headers of TTree baskets: their keys, and the sizes of their compressed blocks.

Source: the formats of TKey and TBasket as in ROOT's io/doc/TFile and as uproot reads them.
"""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

import numpy as np

_KEY = struct.Struct(">ihiIhh")
"""Total bytes, version, bytes uncompressed, date, bytes of the key, cycle."""
_BASKET = struct.Struct(">Hiiii")
"""Version, buffer size, entry size, entries, end of the numbers; one byte before the key's end."""
_LONGEST_KEY = 4096
"""Bytes that are read for a key; its length varies, since it holds names."""
_BLOCK = 9
"""Bytes before each compressed block: algorithm, then compressed and uncompressed size, both
little-endian in three bytes."""


class Header(NamedTuple):
    """The key of a basket."""

    stored: int
    """Bytes in the file, including the key."""
    key: int
    """Bytes of the key."""
    size: int
    """Bytes behind the key, uncompressed: numbers, then the offsets of entries if stored."""
    entries: int
    end: int
    """Where the numbers end, in bytes from the end of the key."""


def parse_header(start: bytes) -> Header | None:
    """Parse the key in the first bytes of a basket; None if there is no key or it is longer."""
    if len(start) < _KEY.size:
        return None
    stored, _, size, _, key, _ = _KEY.unpack_from(start)
    if not _KEY.size + _BASKET.size < key <= min(len(start), stored) or size < 0:
        return None
    _, _, _, entries, end = _BASKET.unpack_from(start, key - _BASKET.size - 1)
    return Header(stored, key, size, entries, end - key)


def read_header(file: int, seek: int) -> Header | None:
    """Read the key of the basket at byte `seek` of a file descriptor; None if there is no key."""
    return parse_header(os.pread(file, _LONGEST_KEY, seek)) if seek > 0 else None


def check_headers(branch: Any, file: int) -> None:
    """Compare the headers of a branch's baskets with the branch, without reading the baskets.

    Call it before uproot reads: uproot allocates as many bytes and entries as a basket's header
    claims before it notices that these are too many.

    Args:
        branch: a branch of uproot; branches inside of it are checked too.
        file: descriptor.
    Raises:
        ValueError: a basket has no key, or contradicts the branch or its compressed blocks.
    """
    expected = np.diff(np.asarray(branch.entry_offsets, dtype=np.int64)).tolist()
    # embedded baskets come last, and uproot has read them with the tree
    expected = expected[: len(expected) - len(branch.embedded_baskets)]
    for seek, count in zip(branch.member("fBasketSeek"), expected, strict=False):
        header = read_header(file, int(seek))
        if header is None:
            raise ValueError(f"no basket begins at {seek}")
        size = header.stored - header.key
        if size != header.size:
            size = _uncompressed_size(file, int(seek) + header.key, int(seek) + header.stored)
        if (header.entries, header.size) != (count, size):
            raise ValueError(
                f"the basket at {seek} has {header.entries} entries in {header.size} bytes, "
                f"expected {count} in {size}"
            )
    for inner in branch.branches:
        check_headers(inner, file)


def _uncompressed_size(file: int, start: int, stop: int) -> int:
    """Add up the uncompressed sizes of the blocks between two positions of a file."""
    size = 0
    while start < stop:
        head = os.pread(file, _BLOCK, start)
        if len(head) < _BLOCK:
            break
        size += int.from_bytes(head[6:], "little")
        start += _BLOCK + int.from_bytes(head[3:6], "little")
    return size
