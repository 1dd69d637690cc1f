"""RNTuples in ROOT files: what of them differs from TTrees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from tauopt.ntuples.source import Column

CLASS = "ROOT::RNTuple"

_NUMBER = r"(?:bool|float|double|char|(?:std::)?u?int(?:8|16|32|64)_t)"
_LIST = re.compile(
    rf"(?:std::vector|ROOT::VecOps::RVec|ROOT::RVec)<{_NUMBER}>|std::array<{_NUMBER},\s*\d+>"
    r"|std::bitset<\d+>"
)
_ONE = re.compile(rf"{_NUMBER}|std::atomic<{_NUMBER}>|ROOT::RNTupleCardinality<{_NUMBER}>")
_CHECKSUM = 8
"""Bytes of the XXH3 checksum at the end of an envelope, of which page lists are one kind."""


def column(field: Any) -> Column:
    """Say what a field holds; fields inside of others are told, but not read."""
    kind, entries = str(field.typename), int(field.num_entries)
    if not field.top_level:
        problem = "is inside of another field of an RNTuple, of which only whole fields are read"
        return Column(kind, None, entries, problem=problem)
    jagged = None
    if _ONE.fullmatch(kind):
        jagged = False
    elif _LIST.fullmatch(kind):
        jagged = True
    return Column(kind, jagged, entries)


def check_page_lists(ntuple: Any) -> None:
    """Compare the lists of pages with their checksums; uproot does so of header and footer only.

    A damaged list asks for pages of billions of values: memory would be gone before anything is
    noticed. ValueError if one is damaged.
    """
    import xxhash

    for record in ntuple.footer.cluster_group_records:
        link = record.page_list_link
        chunk, cursor = ntuple.read_locator(link.locator, link.env_uncomp_size)
        content = bytes(cursor.bytes(chunk, link.env_uncomp_size, {}))
        stored = int.from_bytes(content[-_CHECKSUM:], "little")
        if xxhash.xxh3_64_intdigest(content[:-_CHECKSUM]) != stored:
            raise ValueError("a list of its pages does not have its checksum")


def chunks(
    ntuple: Any, names: Sequence[str], *, step: int, entries: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield awkward arrays of `step` entries by field, and a shorter last one.

    Whole clusters are read, each once: uproot reads all clusters that a range of entries touches.
    ValueError if they contradict themselves, beside all that uproot raises of damaged files.
    """
    import awkward as ak

    held = None
    for start, stop in pairwise(_edges(ntuple, step, entries)):
        read = ntuple.arrays(
            filter_name=lambda name: name in names, entry_start=start, entry_stop=stop
        )
        problem = ak.validity_error(read)
        if problem:
            raise ValueError(f"entries {start} to {stop} are damaged: {problem}")
        held = read if held is None else ak.concatenate([held, read])
        whole = len(held) - len(held) % step
        for first in range(0, whole, step):
            yield {name: held[name][first : first + step] for name in names}
        held = held[whole:]
    if held is not None and len(held):
        yield {name: held[name] for name in names}


def _edges(ntuple: Any, step: int, entries: tuple[int, int]) -> list[int]:
    """Return where to cut: first entries of clusters at least `step` apart, and both ends."""
    edges = [entries[0]]
    for cluster in ntuple.cluster_summaries:
        if edges[-1] + step <= cluster.num_first_entry < entries[1]:
            edges.append(int(cluster.num_first_entry))
    return [*edges, entries[1]] if entries[1] > entries[0] else []
