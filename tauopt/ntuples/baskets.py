"""Baskets of TTrees -> flat arrays, without a detour: at half the cost of general readers.

uproot reads a file's metadata and undoes its compression. What lies between is a few lines for
branches that hold one number or one list of numbers an entry, which is all that candidates need:
a basket's bytes are its numbers, big-endian, one entry after the other, and behind them, of lists,
where each entry begins. Other branches have no `Baskets` and are read by uproot.

Source: as `basket_headers`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.ntuples.basket_headers import parse_header, read_header
from tauopt.physics.jagged import Array, Jagged

_FIRST_WORD = 4
"""Bytes of the count that precedes the offsets."""
_LARGEST = 2**31 - 1
"""Bytes of a basket, as ROOT limits them."""
_NAMELESS = SimpleNamespace(file_path="(named by the caller)")
"""Stands for the file in uproot's messages."""


@dataclass(frozen=True)
class Baskets:
    """Where the baskets of one branch lie, and how their bytes become numbers."""

    dtype: np.dtype[Any]
    """Of a number, as in the file."""
    is_jagged: bool
    """Whether entries hold lists, be it of one number each."""
    width: int | None
    """Numbers an entry; None if each has its own count."""
    header: int
    """Bytes before each list, as `std::vector` has them."""
    edges: NDArray[np.int64]
    """(basket + 1) entries at which baskets begin, and the end of the last."""
    seeks: NDArray[np.int64]
    """(basket) place in the file."""
    sizes: NDArray[np.int64]
    """(basket) bytes in the file."""


def baskets_of(branch: Any) -> Baskets | None:
    """Return what is needed to read a branch of uproot's; None leaves it to uproot.

    That is: the branch is neither one number an entry nor one list of numbers, or keeps some
    baskets inside the tree's own record.
    """
    import uproot

    interpretation, width, header = branch.interpretation, None, 0
    if isinstance(interpretation, uproot.interpretation.jagged.AsJagged):
        header, interpretation = interpretation.header_bytes, interpretation.content
    if type(interpretation) is not uproot.interpretation.numerical.AsDtype:
        return None
    stored, wanted = interpretation.from_dtype, interpretation.to_dtype
    if stored.base.kind not in "biuf" or wanted.base != stored.base.newbyteorder("="):
        return None
    is_jagged = branch.interpretation is not interpretation or bool(stored.shape)
    if branch.interpretation is interpretation:
        width = int(np.prod(stored.shape, dtype=np.int64))
    elif stored.shape:
        return None
    edges = np.asarray(branch.entry_offsets, dtype=np.int64)
    if edges[0] != 0 or (np.diff(edges) < 0).any():
        raise ValueError(f"its baskets begin at impossible entries: {edges[:5].tolist()}, ...")
    seeks = np.asarray(branch.member("fBasketSeek"), dtype=np.int64)[: len(edges) - 1]
    sizes = np.asarray(branch.member("fBasketBytes"), dtype=np.int64)[: len(edges) - 1]
    if branch.embedded_baskets or len(seeks) != len(edges) - 1:
        return None
    return Baskets(stored.base, is_jagged, width, header, edges, seeks, sizes)


def stores_offsets(baskets: Baskets, file: int) -> bool:
    """Say whether lists can be told apart by what is in the baskets themselves.

    ROOT may leave their beginnings out and work them out from another branch. A first basket that
    is damaged says yes: reading it will tell what is wrong.
    """
    if baskets.width is not None or not len(baskets.seeks):
        return True
    found = read_header(file, int(baskets.seeks[0]))
    return found is None or found.end != found.size


class _Basket(NamedTuple):
    """One basket's bytes, uncompressed."""

    raw: NDArray[np.uint8]
    entries: int
    end: int
    """Of the numbers; behind it stands where each entry begins, if that is stored."""
    key: int
    """Bytes of the key, which offsets count too."""


class _Span(NamedTuple):
    """Some entries of one basket."""

    basket: _Basket
    first: int
    stop: int


@dataclass
class BranchReader:
    """Reads one branch by ranges of entries; keeps the last basket, for the range that follows.

    Not for several threads at once; `os.pread` lets many readers share a file. All baskets of a
    range are decoded together: a call into numpy costs as much as a thousand numbers, and makes
    threads wait for each other. Of a basket only the range is decoded: it may be a whole file.
    """

    baskets: Baskets
    file: int
    """Descriptor."""
    _held: dict[int, _Basket] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> Array | Jagged:
        """Return the entries from `start` to `stop`, one at least, which must be there.

        Raises:
            ValueError, OSError, and what decompression raises: a basket is damaged.
        """
        edges = self.baskets.edges
        first = int(np.searchsorted(edges, start, side="right")) - 1
        last = int(np.searchsorted(edges, stop, side="left"))
        held = self._held
        some = [held[n] if n in held else self._basket(n) for n in range(first, last)]
        self._held = {last - 1: some[-1]}
        spans, ends = [], edges[first + 1 : last + 1].tolist()
        for basket, begin, end in zip(some, edges[first:last].tolist(), ends, strict=True):
            if basket.entries != end - begin:
                raise ValueError(f"a basket holds {basket.entries} entries, expected {end - begin}")
            spans.append(_Span(basket, max(start - begin, 0), min(stop, end) - begin))
        return self._lists(spans) if self.baskets.width is None else self._fixed(spans)

    def _basket(self, number: int) -> _Basket:
        where = self.baskets
        return _read(self.file, int(where.seeks[number]), int(where.sizes[number]))

    def _fixed(self, spans: Sequence[_Span]) -> Array | Jagged:
        """Decode numbers of which each entry has as many."""
        width = self.baskets.width or 1
        row = width * self.baskets.dtype.itemsize
        for basket, _, _ in spans:
            if basket.end != basket.entries * row:
                raise ValueError(
                    f"a basket holds {basket.end} bytes, expected {basket.entries * row}"
                )
        content = self._native([s.basket.raw[s.first * row : s.stop * row] for s in spans])
        if not self.baskets.is_jagged:
            return content
        return Jagged(content, np.arange(len(content) // width + 1, dtype=np.int64) * width)

    def _lists(self, spans: Sequence[_Span]) -> Jagged:
        """Decode lists of numbers."""
        header, size = self.baskets.header, self.baskets.dtype.itemsize
        begins, seams = _begins(spans)
        counts = np.delete(np.diff(begins), seams[:-1] - 1)
        counts -= header
        if (counts < 0).any() or (counts % size).any():
            raise ValueError("its lists begin at impossible places")
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts // size, out=offsets[1:])
        ends = zip(begins[[0, *seams[:-1]]].tolist(), begins[seams - 1].tolist(), strict=True)
        parts = [span.basket.raw[slice(*end)] for span, end in zip(spans, ends, strict=True)]
        if header:
            parts = [
                _without_headers(raw, begin[:-1] - begin[0], header=header, itemsize=size)
                for raw, begin in zip(parts, np.split(begins, seams[:-1]), strict=True)
            ]
        return Jagged(self._native(parts), offsets)

    def _native(self, parts: Sequence[NDArray[np.uint8]]) -> Array:
        dtype = self.baskets.dtype
        return np.concatenate([part.view(dtype) for part in parts], dtype=dtype.newbyteorder("="))


def _read(file: int, seek: int, size: int) -> _Basket:
    """Read one basket."""
    stored = os.pread(file, size, seek) if 0 < size <= _LARGEST else b""
    if len(stored) != size or not size:
        raise ValueError(f"expected a basket of {size} bytes at {seek}, got {len(stored)}")
    found = parse_header(stored)
    if found is None or found.stored != size:
        raise ValueError(f"no basket of {size} bytes begins at {seek}")
    if not 0 <= found.end <= found.size:
        raise ValueError(f"the basket at {seek} has {found.size} bytes, numbers to {found.end}")
    raw = _uncompressed(stored, found.key, found.size)
    return _Basket(raw, found.entries, found.end, found.key)


def _uncompressed(stored: bytes, key: int, size: int) -> NDArray[np.uint8]:
    import uproot

    body = np.frombuffer(stored, np.uint8)
    if len(stored) - key == size:
        return body[key:]
    chunk = uproot.source.chunk.Chunk.wrap(_NAMELESS, body)
    cursor, blocks = uproot.source.cursor.Cursor(key), list[tuple[str, int, int]]()
    found = uproot.compression.decompress(chunk, cursor, {}, len(stored) - key, size, blocks)
    raw: NDArray[np.uint8] = np.asarray(found.raw_data)
    if sum(block[-1] for block in blocks) != size or len(raw) != size:
        raise ValueError(f"expected {size} bytes, got other than that after decompression")
    return raw


def _begins(spans: Sequence[_Span]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where lists begin in each basket's bytes, and where the last of them ends.

    That is one more than there are entries, for each span, joined; and where each span's end.
    """
    stored = []
    for basket, first, stop in spans:
        places = basket.raw[basket.end + _FIRST_WORD :]
        if len(places) != 4 * (basket.entries + 1):
            raise ValueError(
                f"expected offsets of {basket.entries} entries, got {len(places)} bytes"
            )
        stored.append(places[4 * first : 4 * (stop + 1)].view(">i4"))
    lengths = [len(places) for places in stored]
    seams = np.cumsum(lengths)
    begins = np.concatenate(stored, dtype=np.int64)
    begins -= np.repeat([span.basket.key for span in spans], lengths)
    whole = seams[:-1] if spans[-1].stop < spans[-1].basket.entries else seams
    begins[whole - 1] = [span.basket.end for span in spans[: len(whole)]]  # stored as zero
    heads = begins[seams - lengths]
    if heads[0] < 0 or heads[1 if spans[0].first else 0 :].any():
        raise ValueError("its first list does not begin where the basket does")
    if begins[-1] > spans[-1].basket.end:
        raise ValueError("its lists end outside of the basket")
    return begins, seams


def _without_headers(
    raw: NDArray[np.uint8], begins: NDArray[np.int64], *, header: int, itemsize: int
) -> NDArray[np.uint8]:
    """Return the bytes without the header of each list, which begin at `begins`."""
    unit = 2 if header % 2 == 0 and itemsize % 2 == 0 else 1
    pieces = raw.view(f"u{unit}")
    kept = np.ones(len(pieces), np.bool_)
    for place in range(header // unit):
        kept[begins // unit + place] = False
    return pieces[kept].view(np.uint8)
