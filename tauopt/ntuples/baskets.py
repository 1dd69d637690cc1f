"""Decode TTree baskets into flat arrays, at half the cost of general readers.

uproot reads the metadata of a file and decompresses. The rest is simple for branches of one number
or one list of numbers an entry: a basket holds its numbers, big-endian, entry after entry, and
behind them, for lists, the offset of each entry. uproot reads all other branches.

Source: see `basket_headers`.
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
_LARGEST_BASKET = 2**31 - 1
"""Bytes; ROOT's limit."""
_NAMELESS = SimpleNamespace(file_path="(named by the caller)")
"""Stands for the file in uproot's messages."""


@dataclass(frozen=True)
class Baskets:
    """Positions of the baskets of one branch, and the format of their numbers."""

    dtype: np.dtype[Any]
    """Type of a number, as in the file."""
    is_jagged: bool
    """Whether entries hold lists, even if of one number each."""
    width: int | None
    """Numbers an entry; None if it varies."""
    header: int
    """Bytes before each list, as `std::vector` has them."""
    edges: NDArray[np.int64]
    """(basket + 1) entries at which baskets begin, and the end of the last."""
    seeks: NDArray[np.int64]
    """(basket) position in the file, in bytes."""
    sizes: NDArray[np.int64]
    """(basket) bytes in the file."""


def baskets_of(branch: Any) -> Baskets | None:
    """Return the baskets of a branch of uproot; None if only uproot can read it.

    That is the case if the branch holds neither one number nor one list of numbers an entry, or
    if some of its baskets are embedded in the tree's own record.

    Raises:
        ValueError: the baskets begin at impossible entries.
    """
    import uproot

    interpretation, width, header = branch.interpretation, None, 0
    if isinstance(interpretation, uproot.interpretation.jagged.AsJagged):
        header, interpretation = interpretation.header_bytes, interpretation.content
    if type(interpretation) is not uproot.interpretation.numerical.AsDtype:
        return None
    stored, native = interpretation.from_dtype, interpretation.to_dtype
    if stored.base.kind not in "biuf" or native.base != stored.base.newbyteorder("="):
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
    """Return whether the baskets store the offsets of their lists.

    ROOT may leave them out and compute them from another branch. The first basket decides; if it
    is damaged the answer is True, and reading it raises.
    """
    if baskets.width is not None or not len(baskets.seeks):
        return True
    header = read_header(file, int(baskets.seeks[0]))
    return header is None or header.end != header.size


class _Basket(NamedTuple):
    """One basket's bytes, uncompressed."""

    raw: NDArray[np.uint8]
    entries: int
    end: int
    """Where the numbers end, and the offsets of entries begin if stored."""
    key: int
    """Bytes of the key, which stored offsets include."""


class _Span(NamedTuple):
    """Some entries of one basket."""

    basket: _Basket
    first: int
    stop: int


@dataclass
class BranchReader:
    """Read one branch by ranges of entries; keeps the last basket for the range that follows.

    One reader is not thread-safe, but many readers share a file through `os.pread`.
    """

    baskets: Baskets
    file: int
    """Descriptor."""
    _held: dict[int, _Basket] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> Array | Jagged:
        """Return the entries [start, stop), at least one; the caller checks that they exist.

        Raises:
            ValueError, OSError, and the exceptions of decompression: a basket is damaged.
        """
        edges = self.baskets.edges
        first = int(np.searchsorted(edges, start, side="right")) - 1
        last = int(np.searchsorted(edges, stop, side="left"))
        held = self._held
        baskets = [held[n] if n in held else self._basket(n) for n in range(first, last)]
        self._held = {last - 1: baskets[-1]}
        spans, ends = [], edges[first + 1 : last + 1].tolist()
        for basket, begin, end in zip(baskets, edges[first:last].tolist(), ends, strict=True):
            if basket.entries != end - begin:
                raise ValueError(f"a basket holds {basket.entries} entries, expected {end - begin}")
            # decode only the range: a basket may be as long as the file
            spans.append(_Span(basket, max(start - begin, 0), min(stop, end) - begin))
        # decode all baskets of the range together: a numpy call costs as much as a thousand
        # numbers, and holds the interpreter's lock
        return self._lists(spans) if self.baskets.width is None else self._fixed(spans)

    def _basket(self, number: int) -> _Basket:
        seek, size = int(self.baskets.seeks[number]), int(self.baskets.sizes[number])
        stored = os.pread(self.file, size, seek) if 0 < size <= _LARGEST_BASKET else b""
        if len(stored) != size or not size:
            raise ValueError(f"expected a basket of {size} bytes at {seek}, got {len(stored)}")
        header = parse_header(stored)
        if header is None or header.stored != size:
            raise ValueError(f"no basket of {size} bytes begins at {seek}")
        if not 0 <= header.end <= header.size:
            raise ValueError(
                f"the basket at {seek} has {header.size} bytes, numbers to {header.end}"
            )
        raw = _uncompressed(stored, header.key, header.size)
        return _Basket(raw, header.entries, header.end, header.key)

    def _fixed(self, spans: Sequence[_Span]) -> Array | Jagged:
        """Decode entries that all hold `width` numbers."""
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
        """Decode lists of varying length."""
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


def _uncompressed(stored: bytes, key: int, size: int) -> NDArray[np.uint8]:
    import uproot

    body = np.frombuffer(stored, np.uint8)
    if len(stored) - key == size:
        return body[key:]
    chunk = uproot.source.chunk.Chunk.wrap(_NAMELESS, body)
    cursor, blocks = uproot.source.cursor.Cursor(key), list[tuple[str, int, int]]()
    decompressed = uproot.compression.decompress(chunk, cursor, {}, len(stored) - key, size, blocks)
    raw: NDArray[np.uint8] = np.asarray(decompressed.raw_data)
    if sum(block[-1] for block in blocks) != size or len(raw) != size:
        raise ValueError(f"expected {size} bytes after decompression, got {len(raw)}")
    return raw


def _begins(spans: Sequence[_Span]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the byte offsets of lists in their baskets, checked, for all spans.

    Returns:
        for each span the beginning of each list and the end of the last, all spans joined; and
        the end of each span in that array, (span,).
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
    # ROOT stores the end of a basket's last list as zero
    begins[whole - 1] = [span.basket.end for span in spans[: len(whole)]]
    heads = begins[seams - lengths]
    if heads[0] < 0 or heads[1 if spans[0].first else 0 :].any():
        raise ValueError("its first list does not begin where the basket does")
    if begins[-1] > spans[-1].basket.end:
        raise ValueError("its lists end outside of the basket")
    return begins, seams


def _without_headers(
    raw: NDArray[np.uint8], begins: NDArray[np.int64], *, header: int, itemsize: int
) -> NDArray[np.uint8]:
    """Remove the header of each list; the lists begin at bytes `begins`."""
    unit = 2 if header % 2 == 0 and itemsize % 2 == 0 else 1  # half the elements to mask
    pieces = raw.view(f"u{unit}")
    kept = np.ones(len(pieces), np.bool_)
    for place in range(header // unit):
        kept[begins // unit + place] = False
    return pieces[kept].view(np.uint8)
